"""A raw git commit object: who wrote it, when, and which key signed it.

Keeps: a signature is checked here, over the exact bytes git signs, and by our own SSHSIG code; no
configuration of the repository takes part. A commit's identifier is the hash of its bytes.
Does not: run git, or decide whether a key is enrolled.
Source: git's commit object and `Documentation/gitformat-signature`.
"""

from __future__ import annotations

import hashlib
import re
from typing import Literal

import msgspec

from surefoot.core.errors import Corrupt, Refused
from surefoot.trust import sshsig

NAMESPACE = "git"
HEX = re.compile(r"[0-9a-f]{40}|[0-9a-f]{64}")

_PERSON = re.compile(rb"(?P<name>[^<\n]*)<(?P<email>[^>\n]*)> (?P<time>\d{1,12}) [+-]\d{4}")
_COAUTHOR = re.compile(rb"(?im)^co-authored-by:[^<\n]*<([^>\n]{1,254})>\s*$")
_SIGNATURE_HEADERS = (b"gpgsig", b"gpgsig-sha256")
_COAUTHORS_MAX = 50

Standing = Literal["good", "none", "other", "bad"]


class Person(msgspec.Struct, frozen=True):
    """A name and address as somebody typed them: a claim, not an identity."""

    name: str
    email: str


class Commit(msgspec.Struct, frozen=True, kw_only=True):
    """One commit. `signer` is a fingerprint, and not empty only when `standing` is "good".

    `standing`: "none" without a signature, "other" with one that is not SSH, "bad" when the
    signature does not hold. `time_seconds` is the committer's clock, UTC since 1970.
    """

    id: str
    tree: str
    parents: tuple[str, ...]
    author: Person
    committer: Person
    coauthors: tuple[str, ...]
    time_seconds: int
    subject: str
    signer: str
    standing: Standing


def object_id(kind: str, content: bytes, like: str) -> str:
    """The identifier git gives the object, in the hash that `like` was made with."""
    framed = f"{kind} {len(content)}\0".encode() + content
    if len(like) == 40:
        return hashlib.sha1(framed, usedforsecurity=False).hexdigest()
    return hashlib.sha256(framed).hexdigest()


def check_id(kind: str, content: bytes, name: str) -> None:
    """Raises `Corrupt` when the object's bytes do not hash to its name."""
    found = object_id(kind, content, name)
    if found != name:
        raise Corrupt(
            "source.object.altered",
            f"{kind} {name}",
            expected=name,
            found=found,
            remedy="the repository is damaged or was tampered with; clone it again",
        )


def parse_commit(name: str, raw: bytes) -> Commit:
    """The commit in the raw object. Raises `Corrupt` when altered, `Refused` for another form."""
    check_id("commit", raw, name)
    headers, _, message = raw.partition(b"\n\n")
    fields = _fields(headers)
    try:
        author, _ = _person(_one(fields, b"author"))
        committer, time_seconds = _person(_one(fields, b"committer"))
        tree = _one(fields, b"tree").decode()
        parents = tuple(value.decode() for key, value in fields if key == b"parent")
    except ValueError as error:
        raise Refused(
            "source.commit.input", f"commit {name}", expected="a commit object", found=str(error)
        ) from None
    signer, standing = _signature(name, raw, fields)
    return Commit(
        id=name,
        tree=tree,
        parents=parents,
        author=author,
        committer=committer,
        coauthors=_coauthors(message),
        time_seconds=time_seconds,
        subject=message.split(b"\n", 1)[0][:200].decode(errors="replace"),
        signer=signer,
        standing=standing,
    )


def signed_bytes(raw: bytes) -> bytes:
    """What the signature of a raw commit covers: the object without its signature headers."""
    headers, gap, message = raw.partition(b"\n\n")
    kept = []
    inside = False
    for line in headers.split(b"\n"):
        if not line.startswith(b" "):
            inside = line.split(b" ", 1)[0] in _SIGNATURE_HEADERS
        if not inside:
            kept.append(line)
    return b"\n".join(kept) + gap + message


def _signature(name: str, raw: bytes, fields: list[tuple[bytes, bytes]]) -> tuple[str, Standing]:
    header = _SIGNATURE_HEADERS[0] if len(name) == 40 else _SIGNATURE_HEADERS[1]
    found = [value for key, value in fields if key == header]
    if not found:
        return "", "none"
    if len(found) > 1:
        return "", "bad"
    if not found[0].startswith(sshsig.BEGIN.encode()):
        return "", "other"
    try:
        return sshsig.verify(found[0], signed_bytes(raw), NAMESPACE).fingerprint, "good"
    except sshsig.BadSignature:
        return "", "bad"


def _fields(headers: bytes) -> list[tuple[bytes, bytes]]:
    fields: list[tuple[bytes, bytes]] = []
    for line in headers.split(b"\n"):
        if line.startswith(b" ") and fields:
            key, value = fields[-1]
            fields[-1] = (key, value + b"\n" + line[1:])
        else:
            key, _, value = line.partition(b" ")
            fields.append((key, value))
    return fields


def _one(fields: list[tuple[bytes, bytes]], wanted: bytes) -> bytes:
    found = [value for key, value in fields if key == wanted]
    if len(found) != 1:
        raise ValueError(f"{len(found)} headers {wanted.decode()}, expected one")
    return found[0]


def _person(value: bytes) -> tuple[Person, int]:
    match = _PERSON.fullmatch(value)
    if not match:
        raise ValueError(f"author or committer in another form: {value[:80]!r}")
    name = match["name"].strip().decode(errors="replace")
    return Person(name, match["email"].strip().decode(errors="replace")), int(match["time"])


def _coauthors(message: bytes) -> tuple[str, ...]:
    found = _COAUTHOR.findall(message)[:_COAUTHORS_MAX]
    return tuple(sorted({email.decode(errors="replace") for email in found}))
