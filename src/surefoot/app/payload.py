"""Words that people wrote, kept beside the journal: shown by looking them up, and erased.

Keeps: whoever wrote the words does not erase them alone; the erasure is an entry, in the very
transaction in which the words go. Entries, proofs and verification are the same before and after.
Does not: reach copies. Backups, exports of the database and what was printed are not here.
"""

from __future__ import annotations

from typing import Annotated

import msgspec

from surefoot.app.facade import App
from surefoot.app.operation import Arguments, Reason, Request, operation
from surefoot.core import facts as f
from surefoot.core import policy
from surefoot.core.errors import Refused
from surefoot.core.target import Plain
from surefoot.engine.effects import draft
from surefoot.trust.entry import Draft, Entry
from surefoot.trust.payload import is_commitment, opening

ERASED = "(erased)"


class WordsArguments(Arguments, frozen=True, kw_only=True):
    index: Annotated[int, msgspec.Meta(ge=0, le=2**53 - 1)]


class EraseArguments(Arguments, frozen=True, kw_only=True):
    index: Annotated[int, msgspec.Meta(ge=0, le=2**53 - 1)]
    commitment: str = ""
    reason: Reason


def opened(app: App, text: str) -> str:
    """Words as they were written: looked up, or as they stand in an older entry."""
    if not is_commitment(text):
        return text
    found = app.log.payload(text)
    return ERASED if found is None else found.text


def opened_body(app: App, body: Plain) -> Plain:
    """A fact's fields with the words behind commitments."""
    return {k: opened(app, v) if isinstance(v, str) else v for k, v in body.items()}


def commitments_of(entry: Entry) -> list[str]:
    """What of an entry can be erased."""
    texts = [entry.reason, *(v for v in entry.body.values() if isinstance(v, str))]
    own = entry.kind == f.PayloadErased.__name__
    return [t for t in texts if is_commitment(t) and not (own and t == entry.body["commitment"])]


@operation("journal erase", "POST", "/journal/{index}/erasures", EraseArguments)
def erase(app: App, request: Request, arguments: EraseArguments) -> Plain:
    """Forget the words behind an entry's commitments; entry and proofs stay as they are."""
    app.check(request, lambda w: policy.require(w, request.asker, "payload.erase"))
    chosen = _chosen(app, request, arguments)
    words = app.words(arguments.reason)

    def drafts() -> list[Draft]:
        facts = [draft(f.PayloadErased(commitment=c), (), words) for c in chosen]
        return [
            msgspec.structs.replace(each, erases=(commitment,))
            for each, commitment in zip(facts, chosen, strict=True)
        ]

    app.log.transact(lambda w: drafts(), app.actor(request), request.id)
    app.log.scrub()
    return {"index": arguments.index, "erased": [*chosen]}


@operation(
    "journal words",
    "GET",
    "/journal/{index}/words",
    WordsArguments,
    timeless="words are there until they are erased, and then for no time",
)
def words(app: App, request: Request, arguments: WordsArguments) -> Plain:
    """The words behind an entry's commitments with their salts, for a stranger who has a proof."""
    found = [e for e in app.log.entries(arguments.index, 1) if e.index == arguments.index]
    kept = [app.log.payload(c) for e in found for c in commitments_of(e)]
    shown = [each for each in kept if each is not None]
    if not shown:
        raise Refused(
            "payload.words.unknown",
            f"entry {arguments.index}",
            expected="an entry whose words are kept",
            found="none, or they were erased",
            remedy="see: surefoot journal entry",
        )
    return {"words": opening(shown).decode()}


def _chosen(app: App, request: Request, arguments: EraseArguments) -> list[str]:
    found = [e for e in app.log.entries(arguments.index, 1) if e.index == arguments.index]
    subject = f"entry {arguments.index}"
    there = commitments_of(found[0]) if found else []
    chosen = [c for c in there if arguments.commitment in ("", c)]
    if not chosen:
        raise Refused(
            "payload.erase.unknown",
            subject,
            expected="an entry with words that can be erased",
            found="none" if found else "no such entry",
            remedy="see: surefoot journal entry",
        )
    author = found[0].actor
    if (author.type, author.id) == ("person", request.asker.id):
        refused = Refused(
            "payload.erase.own",
            subject,
            expected="somebody other than who wrote the words",
            found=request.asker.id,
            remedy="ask another person with the permission payload.erase",
        )
        app.note_refusal(request, refused)
        raise refused
    held = [c for c in chosen if app.log.payload(c) is not None]
    if not held:
        raise Refused(
            "payload.erase.done",
            subject,
            expected="words that are still kept",
            found="they were erased before",
            remedy="nothing to do",
        )
    if not arguments.reason:
        raise Refused(
            "payload.reason.input",
            subject,
            expected="a reason",
            found="none",
            remedy="say why: --reason TEXT",
        )
    return held
