"""What entries point to by digest, shown beside them: approvals, results of gates, provenance.

Keeps: an exhibit's entry is in the last tree that the bundle shows; each of its texts has a digest
that the entry names as evidence. A person's approval is believed for their own signature: by the
key that the entry names, over exactly what the entry says.
Does not: know whose key it is, unless the entry that enrolled it is shown as well.
Source: docs/formats/proof.md, DSSE v1.0, OpenSSH's PROTOCOL.sshsig.
"""

from __future__ import annotations

from collections.abc import Sequence

import msgspec

from surefoot.trust import canonical, envelope, merkle
from surefoot.trust.bundle import Exhibit, NotProved
from surefoot.trust.digest import digest_of
from surefoot.trust.entry import Entry, NotAnEntry, parse
from surefoot.trust.keys import BadKey, PublicKey, parse_public_line

APPROVAL_TYPE = "application/vnd.surefoot.approval+json"

_APPROVED = ("deployment", "environment", "plan", "verdict")


class Shown(msgspec.Struct, frozen=True, kw_only=True):
    """An exhibit that holds: the entry, the digests of its texts, and who signed it themselves.

    `signed_by` is a person's name for an approval with their own signature, else empty, also when
    nothing here says which key it was; `enrolled`
    says that the entry that enrolled the key to that name is among the exhibits.
    """

    entry: Entry
    digests: tuple[str, ...]
    signed_by: str = ""
    enrolled: bool = False


def check(exhibits: Sequence[Exhibit], size: int, root: bytes) -> tuple[Shown, ...]:
    """All exhibits, against the last tree. Raises `NotProved("proof.evidence.differs")`."""
    entries = [_entry(exhibit, size, root) for exhibit in exhibits]
    try:
        keys = dict(key for entry in entries for key in enrolled(entry))
    except BadKey as error:
        raise _differs(0, "public keys", str(error)) from None
    return tuple(_shown(*pair, keys) for pair in zip(exhibits, entries, strict=True))


def _entry(exhibit: Exhibit, size: int, root: bytes) -> Entry:
    try:
        entry = parse(exhibit.i, exhibit.raw)
    except NotAnEntry as error:
        raise _differs(exhibit.i, "an entry", str(error)) from None
    if not isinstance(entry, Entry):
        raise _differs(exhibit.i, "an entry", "a seal")
    leaf = merkle.leaf_hash(exhibit.raw)
    if not merkle.verify_inclusion(leaf, exhibit.i, size, exhibit.proof, root):
        raise _differs(exhibit.i, "an entry in the last tree", "no proof of it")
    for text in exhibit.texts:
        if digest_of(text) not in entry.evidence:
            raise _differs(exhibit.i, "a text that the entry names", digest_of(text))
    return entry


def enrolled(entry: Entry) -> list[tuple[str, tuple[str, PublicKey]]]:
    """Fingerprint, person and key of all that an entry enrols. Raises `BadKey`."""
    listed = entry.body.get("founders") if entry.kind == "InstallationCreated" else [entry.body]
    if entry.kind not in ("PersonEnrolled", "InstallationCreated") or not isinstance(listed, list):
        return []
    found = []
    for each in listed:
        person, line = (each.get("person"), each.get("key")) if isinstance(each, dict) else (0, 0)
        if isinstance(person, str) and isinstance(line, str):
            key, _ = parse_public_line(line)
            found.append((key.fingerprint, (person, key)))
    return found


def _shown(exhibit: Exhibit, entry: Entry, keys: dict[str, tuple[str, PublicKey]]) -> Shown:
    digests = tuple(digest_of(text) for text in exhibit.texts)
    body = entry.body
    if entry.kind != "ApprovalGiven" or body.get("envelope") not in digests:
        return Shown(entry=entry, digests=digests)
    sealed = exhibit.texts[digests.index(str(body["envelope"]))]
    said = canonical.encode({name: body.get(name, "") for name in _APPROVED})
    person, found = str(body.get("person")), str(body.get("key"))
    owner, key = keys.get(found, ("", None))
    try:
        if key is None:
            key = envelope.embedded_key(sealed, found)
        if key is None:
            return Shown(entry=entry, digests=digests)
        payload, _ = envelope.open(sealed, [key], 1, APPROVAL_TYPE)
    except envelope.BadEnvelope as error:
        raise _differs(entry.index, f"an approval signed by {person}", str(error)) from None
    if key.fingerprint != found or payload != said or owner not in ("", person):
        raise _differs(entry.index, f"an approval signed by {person}", "another signature")
    return Shown(entry=entry, digests=digests, signed_by=person, enrolled=bool(owner))


def _differs(index: int, expected: str, found: str) -> NotProved:
    return NotProved("proof.evidence.differs", f"evidence of entry {index}", expected, found)
