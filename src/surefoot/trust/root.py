"""root.json: the one file that trust starts at, and how one version follows another.

Keeps: a root is canonical JSON in a DSSE envelope, signed by a threshold of the people it names;
the next version is signed by a threshold of the version before as well, so whoever pinned one
follows to the newest; nothing in it is unknown, unbounded or twice there. A log key counts for the
times and, when it was compromised, for the tree that the root says.
Does not: read files or the clock; times are UTC milliseconds, and an end of 0 is none.
Source: docs/formats/root.md; the rules of following are those of TUF's root role.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from typing import Annotated, Literal

import msgspec

from surefoot.trust import canonical, envelope
from surefoot.trust.cosignature import CosignerKey
from surefoot.trust.keys import BadKey, PublicKey, parse_public_line
from surefoot.trust.note import (
    Checkpoint,
    NotANote,
    VerifierKey,
    parse_checkpoint,
    signers_of,
)
from surefoot.trust.quorum import NotAPolicy, TrustPolicy, parse_policy

PAYLOAD_TYPE = "application/vnd.surefoot.root+json"
BYTES_MAX = 256 * 1024

_LISTED_MAX = 64
_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._@-]{0,63}")
_ROOT_HASH = re.compile(r"[0-9a-f]{64}")

Ended = Literal["", "rotated", "lost", "compromised"]
_Time = Annotated[int, msgspec.Meta(ge=0, le=2**53 - 1)]
_Line = Annotated[str, msgspec.Meta(max_length=4096)]


class BadRoot(ValueError):
    """The bytes are no root, or not one that may follow."""


class LogKey(
    msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True, forbid_unknown_fields=True
):
    """A key of the log: when it counts, and how it ended.

    `anchor` is the log's own post-quantum cosigner key. `last_size` and `last_root` (64 hex digits)
    are the last tree that a compromised key is believed for.
    """

    vkey: _Line
    from_ms: _Time
    until_ms: _Time = 0
    anchor: _Line = ""
    ended: Ended = ""
    last_size: _Time = 0
    last_root: str = ""

    @property
    def origin(self) -> str:
        """The name the key signs under."""
        return self.vkey.split("+", 1)[0]

    def fault(self, checkpoint: Checkpoint, time_ms: int = -1) -> str:
        """Why a checkpoint that this key signed does not count, in words; "" when it does.

        `time_ms` is the time of its seal, -1 when nobody looks at it.
        """
        if self.ended == "compromised":
            if checkpoint.size > self.last_size:
                return (
                    f"the key is compromised and trusted up to {self.last_size} leaves; "
                    f"this checkpoint has {checkpoint.size}"
                )
            if checkpoint.size == self.last_size and checkpoint.root.hex() != self.last_root:
                return f"the key is compromised, and {self.last_size} leaves have another root"
            return ""
        if 0 <= time_ms < self.from_ms:
            return "the checkpoint is from before the key's time"
        if self.until_ms and time_ms > self.until_ms:
            return f"the key's time is over ({self.ended or 'ended'})"
        return ""


class CosignerEntry(
    msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True, forbid_unknown_fields=True
):
    """A witness or an auditor, by its name in the quorum and its cosigner key."""

    name: str
    vkey: _Line
    url: _Line = ""
    from_ms: _Time
    until_ms: _Time = 0

    def counts_at(self, time_s: int) -> bool:
        """Whether a cosignature of this second counts."""
        time_ms = time_s * 1000
        return self.from_ms // 1000 * 1000 <= time_ms and not 0 < self.until_ms < time_ms


class KeyEntry(
    msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True, forbid_unknown_fields=True
):
    """A key that signs releases, as one line of OpenSSH."""

    key: _Line
    from_ms: _Time
    until_ms: _Time = 0


class Root(
    msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True, forbid_unknown_fields=True
):
    """Whom to believe, and for when. `signers` are public key lines by person.

    `quorum` is the `group` and `quorum` lines of a tlog-policy over the witnesses' names.
    """

    v: Annotated[int, msgspec.Meta(ge=1, le=1)] = 1
    version: Annotated[int, msgspec.Meta(ge=1, le=2**31)]
    installation: str
    threshold: Annotated[int, msgspec.Meta(ge=1, le=_LISTED_MAX)]
    signers: dict[str, _Line]
    logs: tuple[LogKey, ...]
    witnesses: tuple[CosignerEntry, ...] = ()
    auditors: tuple[CosignerEntry, ...] = ()
    quorum: _Line = ""
    release_keys: tuple[KeyEntry, ...] = ()

    def signer_keys(self) -> tuple[PublicKey, ...]:
        """The signers' keys."""
        return tuple(parse_public_line(line)[0] for line in self.signers.values())

    def log(self, vkey: str) -> LogKey | None:
        """What the root says of a log key, None when it says nothing."""
        return next((log for log in self.logs if log.vkey == vkey), None)

    def verifiers(self) -> tuple[VerifierKey, ...]:
        """All keys of the log, those that ended included: they still verify what they signed."""
        return tuple(VerifierKey.parse(log.vkey) for log in self.logs)

    def policy(self) -> TrustPolicy:
        """The C2SP policy: all keys of the log, the witnesses, and which of them are enough.

        Raises `NotAPolicy` when the quorum names others.
        """
        lines = [f"log {log.vkey}" for log in self.logs]
        lines += [f"witness {e.name} {e.vkey} {e.url}".rstrip() for e in self.witnesses]
        return parse_policy("\n".join([*lines, self.quorum.rstrip("\n") or "quorum none", ""]))


def payload_of(root: Root) -> bytes:
    """The canonical bytes that are signed. Raises `BadRoot` for one that no reader takes."""
    check(root)
    return canonical.encode({"v": root.v, **msgspec.to_builtins(root)})


def read_payload(payload: bytes) -> Root:
    """The root in unsigned bytes, as a draft has it. Raises `BadRoot`."""
    if len(payload) > BYTES_MAX:
        raise BadRoot(f"root of {len(payload)} bytes, at most {BYTES_MAX}")
    try:
        root = msgspec.convert(canonical.parse(payload), Root)
    except (canonical.NotCanonical, msgspec.ValidationError) as error:
        raise BadRoot(f"not a root: {str(error)[:200]}") from None
    check(root)
    if payload_of(root) != payload:
        raise BadRoot("not a root: a member says what is so without it")
    return root


def read_root(content: bytes) -> Root:
    """The root in an envelope that a threshold of its own signers signed. Raises `BadRoot`."""
    root = unsigned(content)
    _open(content, root)
    return root


def unsigned(content: bytes) -> Root:
    """The root in an envelope whose signatures nobody looked at. Raises `BadRoot`."""
    try:
        found = envelope.parse(content)
    except envelope.BadEnvelope as error:
        raise BadRoot(str(error)) from None
    if found.payload_type != PAYLOAD_TYPE:
        raise BadRoot(f"payload type {found.payload_type!r}, expected {PAYLOAD_TYPE!r}")
    return read_payload(found.payload)


def follow(pinned: Root, newer: bytes) -> Root:
    """The next version, signed by a threshold of the pinned root's signers and of its own.

    Raises `BadRoot` for any other version or installation.
    """
    root = read_root(newer)
    if root.version != pinned.version + 1:
        raise BadRoot(f"version {root.version}, expected {pinned.version + 1}")
    if root.installation != pinned.installation:
        raise BadRoot(f"of {root.installation[:80]}, expected one of {pinned.installation}")
    _open(newer, pinned)
    for log in pinned.logs:
        # What a stolen key signed is in the world for good, whoever would like it back.
        if log.ended == "compromised" and root.log(log.vkey) != log:
            raise BadRoot(f"log key {log.origin} was compromised, and is told otherwise")
    return root


def follow_all(pinned: Root, newer: Sequence[bytes]) -> Root:
    """The newest of the versions after a pinned one, each following the one before it."""
    for content in newer:
        pinned = follow(pinned, content)
    return pinned


def open_trusted(note: str, root: Root, time_ms: int = -1) -> tuple[Checkpoint, LogKey]:
    """A checkpoint by a log key that counts for it, and that key; `time_ms` is its seal's time.

    Raises `NotANote`, and says plainly why a known key does not count.
    """
    text, signers = signers_of(note, *root.verifiers())
    checkpoint = parse_checkpoint(text)
    faults = []
    for signer in signers:
        log = root.log(signer.text())
        assert log is not None
        own = "" if checkpoint.origin == log.origin else "the checkpoint is of another log"
        fault = own or log.fault(checkpoint, time_ms)
        if not fault:
            return checkpoint, log
        faults.append(f"{log.vkey}: {fault}")
    raise NotANote("; ".join(faults))


def unsigned_root(keys: Sequence[VerifierKey]) -> Root:
    """A root that nobody signed, for the log itself: all these keys count, nobody else's does."""
    return Root(
        version=1,
        installation="log",
        threshold=1,
        signers={"log": PublicKey(keys[0].public).line()},
        logs=tuple(LogKey(vkey=key.text(), from_ms=0) for key in keys),
    )


def check(root: Root) -> None:
    """Refuse a root that says something twice, or what cannot be. Raises `BadRoot`."""
    _names([root.installation])
    _names(root.signers)
    if root.threshold > len(root.signers):
        raise BadRoot(f"threshold {root.threshold} of {len(root.signers)} signers")
    _distinct("signer's key", [(_person(line), name) for name, line in root.signers.items()])
    if not root.logs:
        raise BadRoot("no log key")
    if "#" in root.quorum:
        raise BadRoot("quorum: a comment, which is nobody's statement")
    for listed in (root.signers, root.logs, root.witnesses, root.auditors, root.release_keys):
        if len(listed) > _LISTED_MAX:
            raise BadRoot(f"more than {_LISTED_MAX} of a kind")
    _distinct("log key", [(_log(log), log.vkey) for log in root.logs])
    cosigners = (*root.witnesses, *root.auditors)
    _names(entry.name for entry in cosigners)
    _distinct("cosigner's name", [(entry.name, entry.name) for entry in cosigners])
    anchors = {_cosigner(log.anchor) for log in root.logs if log.anchor}
    # A log that is its own witness, or a founder who is one, would stand behind itself twice.
    others = {*anchors, *map(_log, root.logs), *(key.raw for key in root.signer_keys())}
    own = [(_cosigner(entry.vkey), entry.name) for entry in cosigners]
    _distinct("cosigner key", [*((raw, "the log's or a founder's") for raw in others), *own])
    _distinct("release key", [(_person(entry.key), entry.key) for entry in root.release_keys])
    times = [(log.from_ms, log.until_ms) for log in root.logs]
    times += [(entry.from_ms, entry.until_ms) for entry in cosigners]
    times += [(entry.from_ms, entry.until_ms) for entry in root.release_keys]
    for from_ms, until_ms in times:
        if until_ms and until_ms < from_ms:
            raise BadRoot("a key that ends before it begins")
    try:
        root.policy()
    except NotAPolicy as error:
        raise BadRoot(f"quorum: {error}") from None


def _log(log: LogKey) -> bytes:
    try:
        key = VerifierKey.parse(log.vkey)
    except NotANote as error:
        raise BadRoot(f"log key: {error}") from None
    if key.text() != log.vkey:
        raise BadRoot("log key in another form")
    if bool(log.ended) != bool(log.until_ms):
        raise BadRoot(f"log key {log.origin}: an end has a time and a cause, or neither")
    if log.ended == "compromised":
        if not _ROOT_HASH.fullmatch(log.last_root):
            raise BadRoot(f"log key {log.origin}: compromised, without the last trusted tree")
    elif log.last_size or log.last_root:
        raise BadRoot(f"log key {log.origin}: a last trusted tree belongs to a compromised key")
    return key.public


def _cosigner(text: str) -> bytes:
    try:
        key = CosignerKey.parse(text)
    except NotANote as error:
        raise BadRoot(f"cosigner key: {error}") from None
    if key.text() != text:
        raise BadRoot("cosigner key in another form")
    return key.public


def _person(line: str) -> str:
    try:
        key, comment = parse_public_line(line)
    except BadKey as error:
        raise BadRoot(f"public key: {error}") from None
    if comment or key.line() != line:
        raise BadRoot("public key line in another form, or with a comment")
    return key.fingerprint


def _names(names: Iterable[str]) -> None:
    for name in names:
        if not _NAME.fullmatch(name):
            raise BadRoot(f"not a name: {name[:80]!r}")


def _distinct(what: str, listed: Sequence[tuple[object, str]]) -> None:
    """Refuse what is there twice, by the name of its second place."""
    seen: set[object] = set()
    for each, name in listed:
        if each in seen:
            raise BadRoot(f"one {what} twice: {name[:120]}")
        seen.add(each)


def _open(content: bytes, root: Root) -> None:
    try:
        envelope.open(content, root.signer_keys(), root.threshold, PAYLOAD_TYPE)
    except envelope.BadEnvelope as error:
        raise BadRoot(f"root version {root.version}: {error}") from None
