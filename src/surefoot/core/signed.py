"""What people signed themselves: approvals, manifests and roots, checked from the kept envelopes.

Keeps: that somebody approved or cut something is believed for their own signature, by a key that
counted then, over exactly what the fact says, and not because the journal says so.
Does not: read blobs or the journal.
"""

from __future__ import annotations

from collections.abc import Callable

from surefoot.core import facts as f
from surefoot.core import manifest as manifests
from surefoot.core import trust_root
from surefoot.core.errors import Refused
from surefoot.core.world import World
from surefoot.trust import canonical, envelope
from surefoot.trust.digest import Digest, digest_of
from surefoot.trust.keys import parse_public_line
from surefoot.trust.note import NotANote, VerifierKey, open_note

APPROVAL_TYPE = "application/vnd.surefoot.approval+json"

Find = Callable[[Digest], bytes | None]
"""A blob's bytes by digest; None when it is not there, or differs."""


def fault_of(world: World, fact: f.Fact, evidence: tuple[Digest, ...], find: Find) -> str | None:
    """What speaks against a person's act, "" for nothing; None for a fact nobody signs.

    `world` is as it was before the fact.
    """
    if isinstance(fact, f.ApprovalGiven):
        return _approval(world, fact, find)
    if isinstance(fact, f.ReleaseRegistered):
        return _release(world, fact, evidence, find)
    if isinstance(fact, f.RootPublished):
        return _root(world, fact.digest, find, world.log.key)
    if isinstance(fact, f.EpochOpened):
        return _root(world, fact.root, find, fact.key)
    if isinstance(fact, f.LogKeyRotated):
        return _rotation(fact)
    return None


def _root(world: World, digest: Digest, find: Find, key: str) -> str:
    """Signed by the founders or the root before, and about the key that signs then."""
    content = find(digest)
    newest = find(Digest(world.root.digest)) if world.root.digest else None
    if content is None or (newest is None and world.root.digest):
        return "no such root.json"
    try:
        root = trust_root.checked(world, content, newest)
    except Refused as refused:
        return f"{refused.expected}: {refused.found}"
    log = root.log(key) if key else root.logs[-1]
    return "" if log is not None and not log.ended else "the log's key does not count in it"


def _rotation(fact: f.LogKeyRotated) -> str:
    """Both keys signed the same statement."""
    try:
        texts = {open_note(fact.statement, VerifierKey.parse(k)) for k in (fact.old, fact.new)}
    except NotANote as error:
        return str(error)
    same = texts == {trust_root.rotation_text(fact.old, fact.new)}
    return "" if same else "the keys signed something else"


def _approval(world: World, fact: f.ApprovalGiven, find: Find) -> str:
    said = {
        "deployment": fact.deployment,
        "environment": fact.environment,
        "plan": fact.plan,
        "verdict": fact.verdict,
    }
    payload, why = _opened(world, fact.person, find(fact.envelope), APPROVAL_TYPE, fact.key)
    if payload is None or payload == canonical.encode(said):
        return why
    return "the signature is over something else"


def _release(
    world: World, fact: f.ReleaseRegistered, evidence: tuple[Digest, ...], find: Find
) -> str:
    sealed = find(evidence[0]) if evidence else None
    payload, why = _opened(world, fact.cutter, sealed, manifests.PAYLOAD_TYPE, "")
    if payload is None:
        return why
    if digest_of(payload) != fact.release:
        return "the signature is over another manifest"
    manifest = manifests.decode(payload)
    for name in ("version", "commit", "definition", "governance", "contributors", "cutter"):
        if getattr(manifest, name) != getattr(fact, name):
            return f"the signed manifest names another {name}"
    return ""


def _opened(
    world: World, person: str, content: bytes | None, kind: str, key: str
) -> tuple[bytes | None, str]:
    """The payload that the person signed; or None, and why."""
    known = world.people.people.get(person)
    if content is None or known is None:
        return None, "no envelope" if content is None else "nobody of that name"
    keys = [parse_public_line(line)[0] for p, line in known.keys.items() if key in ("", p)]
    try:
        return envelope.open(content, keys, 1, kind)[0], ""
    except envelope.BadEnvelope as error:
        return None, f"not signed by {person}: {error}"
