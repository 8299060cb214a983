"""A snapshot of advisories: a signed statement, and the parts that it names by digest.

Keeps: a part is believed only as the bytes that the statement names, and only with the counts that
it states; sizes are bounded before anything is unpacked; a record that cannot be read refuses its
part. Does not: say whose statements count, or how old they may be.
Source: docs/formats/advisories.md; OSV schema 1.7; CISA KEV catalogue; EPSS data of FIRST.
"""

from __future__ import annotations

import zlib
from collections.abc import Callable, Iterable, Iterator
from datetime import UTC, datetime

import msgspec

from surefoot.core import ecosystem as ecosystems
from surefoot.core.advisory import Advisory, Known, Wanted
from surefoot.core.errors import Corrupt
from surefoot.trust import canonical, envelope
from surefoot.trust.digest import Digest, digest_of, parse_digest
from surefoot.trust.keys import PublicKey

FORMAT = "surefoot/advisories/v1"
PAYLOAD_TYPE = "application/vnd.surefoot.advisories.v1+json"
PART_BYTES_MAX = 2 * 1024 * 1024
PART_UNPACKED_MAX = 32 * 1024 * 1024
PARTS_MAX = 1_000
LINES_MAX = 200_000


class BadSnapshot(ValueError):
    """The bytes are no snapshot, or another than the statement says."""


class PartEntry(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """One part: its bytes by digest and size, and what is in it.

    `records` counts advisories with the withdrawn ones; `ecosystems` how many are about each.
    """

    digest: Digest
    size_bytes: int
    records: int
    withdrawn: int
    exploited: int
    likely: int
    newest_ms: int
    ecosystems: dict[str, int]


class Statement(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """What the signer says: when it was made, and of which parts it is."""

    format: str
    made_at_ms: int
    parts: tuple[PartEntry, ...]

    def encoded(self) -> bytes:
        """The canonical bytes."""
        return canonical.encode(msgspec.to_builtins(self))

    @property
    def newest_ms(self) -> int:
        """When the newest record was last changed."""
        return max((part.newest_ms for part in self.parts), default=0)

    def total(self, name: str) -> int:
        """The sum of a count over all parts."""
        return sum(getattr(part, name) for part in self.parts)

    def ecosystems(self) -> dict[str, int]:
        """How many records are about each ecosystem."""
        found: dict[str, int] = {}
        for part in self.parts:
            for name, count in part.ecosystems.items():
                found[name] = found.get(name, 0) + count
        return dict(sorted(found.items()))


class Line(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """One line of a part: an advisory, a weakness known to be exploited since a time (UTC ms), or
    a likelihood of that in millionths."""

    osv: Advisory | None = None
    exploited: tuple[str, int] | None = None
    likely: tuple[str, int] | None = None


_LINE = msgspec.json.Decoder(Line)
_STATEMENT = msgspec.json.Decoder(Statement)


def open_statement(content: bytes, known: Iterable[PublicKey]) -> tuple[Statement, frozenset[str]]:
    """The statement in a signed envelope, and who of the known keys signed it.

    Raises `BadSnapshot`.
    """
    try:
        payload, signers = envelope.open(content, known, 1, PAYLOAD_TYPE)
        return read_statement(payload), signers
    except envelope.BadEnvelope as error:
        raise BadSnapshot(str(error)) from None


def read_statement(payload: bytes) -> Statement:
    """The statement in an opened payload. Raises `BadSnapshot` for another form or an empty one."""
    try:
        found = _STATEMENT.decode(payload)
        digests = {parse_digest(part.digest) for part in found.parts}
    except (msgspec.DecodeError, ValueError) as error:
        raise BadSnapshot(f"no statement of advisories: {str(error)[:200]}") from None
    if found.format != FORMAT:
        raise BadSnapshot(f"another format: {found.format[:60]}")
    if found.encoded() != payload:
        raise BadSnapshot("the statement is not canonical JSON")
    if not 1 <= len(found.parts) <= PARTS_MAX or len(digests) != len(found.parts):
        raise BadSnapshot(f"expected 1 to {PARTS_MAX} parts, each once")
    if any(not 0 < part.size_bytes <= PART_BYTES_MAX for part in found.parts):
        raise BadSnapshot(f"expected parts of 1 to {PART_BYTES_MAX} bytes")
    if found.total("records") - found.total("withdrawn") <= 0:
        raise BadSnapshot("it holds no advisory: nothing could ever be found with it")
    return found


def check_part(entry: PartEntry, content: bytes) -> None:
    """Raises `BadSnapshot` when a part is not as the statement says."""
    if len(content) != entry.size_bytes or digest_of(content) != entry.digest:
        raise BadSnapshot(f"part {entry.digest}: other bytes than the statement names")
    found = entry_of(content, list(lines_of(content)))
    if found != entry:
        raise BadSnapshot(f"part {entry.digest}: other counts than the statement says")


def lines_of(content: bytes) -> Iterator[Line]:
    """The lines of a packed part. Raises `BadSnapshot`."""
    opened = zlib.decompressobj()
    try:
        text = opened.decompress(content, PART_UNPACKED_MAX + 1)
    except zlib.error as error:
        raise BadSnapshot(f"a part that cannot be unpacked: {error}") from None
    if len(text) > PART_UNPACKED_MAX:
        raise BadSnapshot(f"a part of more than {PART_UNPACKED_MAX} bytes unpacked")
    if not opened.eof or opened.unused_data:
        raise BadSnapshot("a part that ends early, or goes on after its end")
    if not text.endswith(b"\n"):
        raise BadSnapshot("a part that ends in the middle of a line")
    for number, line in enumerate(text[:-1].split(b"\n"), 1):
        if number > LINES_MAX:
            raise BadSnapshot(f"a part of more than {LINES_MAX} lines")
        yield _line(number, line)


def _line(number: int, line: bytes) -> Line:
    try:
        found = _LINE.decode(line)
    except (msgspec.DecodeError, RecursionError) as error:
        raise BadSnapshot(f"line {number}: {str(error)[:200]}") from None
    if sum(each is not None for each in (found.osv, found.exploited, found.likely)) != 1:
        raise BadSnapshot(f"line {number}: expected exactly one of osv, exploited and likely")
    return found


def entry_of(content: bytes, lines: Iterable[Line]) -> PartEntry:
    """What a statement says of a part."""
    records = withdrawn = exploited = likely = newest = 0
    about: dict[str, int] = {}
    for line in lines:
        exploited += line.exploited is not None
        likely += line.likely is not None
        if line.osv is None:
            continue
        records += 1
        withdrawn += bool(line.osv.withdrawn)
        newest = max(newest, time_of(line.osv.modified))
        for name in sorted(_ecosystems(line.osv)):
            about[name] = about.get(name, 0) + 1
    return PartEntry(
        digest=digest_of(content),
        size_bytes=len(content),
        records=records,
        withdrawn=withdrawn,
        exploited=exploited,
        likely=likely,
        newest_ms=newest,
        ecosystems=about,
    )


def _ecosystems(advisory: Advisory) -> set[str]:
    if advisory.withdrawn:
        return set()
    return {a.package.ecosystem for a in advisory.affected or () if a.package.ecosystem}


def time_of(text: str) -> int:
    """UTC milliseconds of a time or day as the sources write it. Raises `BadSnapshot`."""
    try:
        found = datetime.fromisoformat(text)
    except ValueError:
        raise BadSnapshot(f"no time: {text[:40]!r}") from None
    if found.tzinfo is None:
        found = found.replace(tzinfo=UTC)
    return int(found.timestamp() * 1000)


def pack(lines: Iterable[Line]) -> Iterator[tuple[PartEntry, bytes]]:
    """Lines as parts that keep to the bounds."""
    held: list[Line] = []
    size = 0
    for line in lines:
        length = len(_encoded(line)) + 1
        if held and size + length > PART_UNPACKED_MAX // 8:
            yield _packed(held)
            held, size = [], 0
        held.append(line)
        size += length
    if held:
        yield _packed(held)


def _encoded(line: Line) -> bytes:
    given = {n: getattr(line, n) for n in Line.__struct_fields__ if getattr(line, n) is not None}
    return msgspec.json.encode(given)


def _packed(lines: list[Line]) -> tuple[PartEntry, bytes]:
    content = zlib.compress(b"".join(_encoded(line) + b"\n" for line in lines), 9)
    entry = entry_of(content, lines)
    if len(content) > PART_BYTES_MAX:
        raise BadSnapshot(f"a part of {len(content)} bytes packed, at most {PART_BYTES_MAX}")
    return entry, content


class Shelf:
    """The snapshot of a statement whose parts are all among the blobs."""

    def __init__(self, digest: str, statement: Statement, part: Callable[[Digest], bytes]) -> None:
        self.digest = digest
        self._statement = statement
        self._part = part

    @property
    def made_at_ms(self) -> int:
        """When it was made."""
        return self._statement.made_at_ms

    @property
    def newest_ms(self) -> int:
        """When its newest record was last changed."""
        return self._statement.newest_ms

    def about(self, wanted: Wanted) -> Known:
        """What it says of these packages, from all its parts. Raises `Corrupt`, `Failed`."""
        found: list[Advisory] = []
        exploited: dict[str, int] = {}
        likely: dict[str, int] = {}
        withdrawn = 0
        for entry in self._statement.parts:
            for line in self._lines(entry):
                if line.exploited is not None:
                    exploited[line.exploited[0]] = line.exploited[1]
                elif line.likely is not None:
                    likely[line.likely[0]] = line.likely[1]
                elif line.osv is not None and _is_wanted(line.osv, wanted):
                    withdrawn += bool(line.osv.withdrawn)
                    if not line.osv.withdrawn:
                        found.append(line.osv)
        return Known(
            advisories=tuple(found),
            exploited=exploited,
            likely=likely,
            ecosystems=self._statement.ecosystems(),
            withdrawn=withdrawn,
        )

    def _lines(self, entry: PartEntry) -> Iterator[Line]:
        try:
            yield from lines_of(self._part(entry.digest))
        except BadSnapshot as error:
            raise Corrupt(
                "advisories.part.differs",
                f"part {entry.digest}",
                expected="the part as it was when it was taken",
                found=str(error)[:200],
                remedy="import the snapshot again",
            ) from None


def _is_wanted(advisory: Advisory, wanted: Wanted) -> bool:
    for each in advisory.affected or ():
        base = ecosystems.base_of(each.package.ecosystem)
        if (base, ecosystems.normal(base, each.package.name)) in wanted:
            return True
    return False
