"""Verifies what a journal knew of a device at a time: its newest report, and that none came later.

Keeps: everything hangs on the newest batch of the environment at that time, which a state proof of
the stream of batches binds to a signed checkpoint. The batches before it follow by their links. A
report is in its batch by the batch's root; that another batch has none of the device is shown by
the two neighbours in the root over its reports sorted by device.
Does not: verify the state proof (the caller does, with the keys it trusts), show that a batch was
sorted rightly (the whole batch shows that), or that the device told the truth.
Source: docs/formats/device-proof.md.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

import msgspec

from surefoot.trust import canonical, merkle
from surefoot.trust.bundle import NotProved
from surefoot.trust.entry import Entry, NotAnEntry, Plain, parse
from surefoot.trust.proof import Proved

FORMAT = "surefoot-device-proof/1"
BATCH_FORMAT = "surefoot-device-batch/1"
BATCHES_MAX = 1_000
BYTES_MAX = 16 * 1024 * 1024

_KIND = "DeviceBatchSealed"
_PATH_MAX = 32
_Hex = tuple[str, ...]


class Shown(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A report's exact bytes, as text, its place in its batch's first root, and the path to it."""

    raw: str
    place: int
    path: _Hex


class Near(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """One or two neighbours in the order of devices; `index` is the first one's place there.

    `reports` are exact bytes as text, `paths` their audit paths, hashes in hex.
    """

    index: int
    reports: _Hex
    paths: tuple[_Hex, ...]


class Link(
    msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True, omit_defaults=True
):
    """One entry of the stream of batches: its place, its exact bytes as text, and neighbours.

    Without `near` nothing is said about the device in this batch.
    """

    i: int
    raw: str
    near: Near | None = None


class DeviceBundle(
    msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True, omit_defaults=True
):
    """The file: claim, state proof as text, the device's newest report, the batches since."""

    format: str
    environment: str
    device: str
    bundle: str
    batches: tuple[Link, ...]
    report: Shown | None = None


class DeviceProved(msgspec.Struct, frozen=True, kw_only=True):
    """What was shown. `report` is the newest that was shown, None for none.

    `batches` were looked at; `silent` of them are shown to hold no later report, `unproved` say
    nothing; `whole` when that reaches back to the report, or to the first batch ever.
    `sealed` is the entry of the report's batch.
    """

    environment: str
    device: str
    at_ms: int
    report: Plain | None
    sealed: Entry | None
    batches: int
    silent: int
    unproved: int
    whole: bool
    proved: Proved


def is_device_proof(content: bytes) -> bool:
    """Whether these bytes say that they are one; nothing is verified."""
    return b'"format":"' + FORMAT.encode() + b'"' in content[:BYTES_MAX]


def reports_of(content: bytes) -> list[bytes]:
    """The reports of a batch's object, as the canonical bytes that were hashed.

    Raises `ValueError` for anything else.
    """
    held = canonical.parse(content)
    if not isinstance(held, dict) or held.get("format") != BATCH_FORMAT:
        raise ValueError("not a batch of device reports")
    reports = held["reports"]
    if not isinstance(reports, list):
        raise ValueError("not a batch of device reports")
    return [canonical.encode(report) for report in reports]


def by_device(reports: Sequence[bytes]) -> list[bytes]:
    """The reports in the order of the second root: by device, then by number."""
    return sorted(reports, key=lambda raw: msgspec.json.decode(raw, type=_Key).order())


class _Key(msgspec.Struct, frozen=True):
    """What reports are sorted by."""

    device: str
    report: int

    def order(self) -> tuple[bytes, int]:
        return self.device.encode(), self.report


def verify(content: bytes, prove: Callable[[bytes], Proved]) -> DeviceProved:
    """Verify a file; `prove` verifies the state proof inside, and raises `NotProved`.

    Raises `NotProved`, whatever the bytes are.
    """
    bundle = _read(content)
    proved = prove(bundle.bundle.encode())
    stream = f"devices/{bundle.environment}"
    if proved.stream != stream or proved.release:
        raise _malformed(f"a proof of {stream}", proved.stream)
    entries = _chain(bundle, proved)
    report, sealed = _report(bundle, entries)
    silent = unproved = 0
    for link, entry in zip(bundle.batches, entries, strict=True):
        if entry.kind != _KIND:
            continue
        if link.near is None:
            unproved += 1
            continue
        newest = _look(bundle.device, entry, link.near)
        if (newest is not None) != (entry is sealed) or (newest and newest != _raw(bundle)):
            raise _other(entry.index, "no later report of the device", "one")
        silent += newest is None
    reaches = sealed is not None or not entries or entries[0].n == 0
    return DeviceProved(
        environment=bundle.environment,
        device=bundle.device,
        at_ms=proved.until_ms,
        report=report,
        sealed=sealed,
        batches=sum(entry.kind == _KIND for entry in entries),
        silent=silent,
        unproved=unproved,
        whole=reaches and not unproved,
        proved=proved,
    )


def _read(content: bytes) -> DeviceBundle:
    if len(content) > BYTES_MAX:
        raise _malformed(f"at most {BYTES_MAX} bytes", str(len(content)))
    try:
        plain = canonical.parse(content)
        bundle = msgspec.convert(plain, DeviceBundle, strict=True)
    except (canonical.NotCanonical, msgspec.ValidationError) as error:
        raise _malformed("canonical JSON of the format", str(error)[:200]) from None
    if bundle.format != FORMAT:
        raise _malformed(FORMAT, bundle.format[:80])
    if not bundle.device or len(bundle.batches) > BATCHES_MAX + 1:
        raise _malformed(f"a device, and at most {BATCHES_MAX} batches", "another form")
    return bundle


def _raw(bundle: DeviceBundle) -> bytes:
    return b"" if bundle.report is None else bundle.report.raw.encode()


def _chain(bundle: DeviceBundle, proved: Proved) -> list[Entry]:
    """The entries, each linked to the one before; the last is the one in force then."""
    entries: list[Entry] = []
    for link in bundle.batches:
        entry = _entry(link)
        if entry.stream != proved.stream:
            raise _broken(entry.index, f"an entry of {proved.stream}", entry.stream)
        if entries:
            last = entries[-1]
            bound = (last.n + 1, merkle.leaf_hash(last.raw).hex())
            if (entry.n, entry.prev) != bound or entry.index <= last.index:
                raise _broken(entry.index, f"the entry after number {last.n}", f"number {entry.n}")
        entries.append(entry)
    newest = proved.entry
    found = (entries[-1].index, entries[-1].raw) if entries else None
    if found != (None if newest is None else (newest.index, newest.raw)):
        where = newest.index if newest else -1
        raise _broken(where, "entries up to the newest of that time", "others")
    return entries


def _entry(link: Link) -> Entry:
    try:
        entry = parse(link.i, link.raw.encode())
    except NotAnEntry as error:
        raise _broken(link.i, "an entry", str(error)[:200]) from None
    if not isinstance(entry, Entry):
        raise _broken(link.i, "an entry", "a seal")
    return entry


def _report(bundle: DeviceBundle, entries: list[Entry]) -> tuple[Plain | None, Entry | None]:
    """The report in the first batch of the chain, by that batch's first root."""
    shown = bundle.report
    if shown is None:
        return None, None
    if not entries or entries[0].kind != _KIND:
        raise _broken(-1, "the batch of the report first", "none")
    sealed = entries[0]
    raw, root, count = shown.raw.encode(), _digest(sealed, "root"), _count(sealed)
    if not _included(raw, (shown.place, count), shown.path, root):
        raise _other(sealed.index, "the report in the batch's root", "no proof of it")
    report = _parsed(raw, sealed.index)
    if (report["device"], report.get("environment")) != (bundle.device, bundle.environment):
        raise _other(sealed.index, f"a report of {bundle.device}", f"one of {report['device']}")
    return report, sealed


def _look(device: str, entry: Entry, near: Near) -> bytes | None:
    """The device's newest report in a batch, or None when the neighbours leave no place for one."""
    root, count = _digest(entry, "by_device"), _count(entry)
    last = near.index + len(near.reports) - 1
    if not 1 <= len(near.reports) <= 2 or len(near.paths) != len(near.reports):
        raise _other(entry.index, "one or two neighbours with their paths", "another form")
    names: list[str] = []
    for place, (text, path) in enumerate(zip(near.reports, near.paths, strict=True), near.index):
        raw = text.encode()
        if not _included(raw, (place, count), path, root):
            raise _other(entry.index, f"report {place} in the order of devices", "no proof of it")
        names.append(str(_parsed(raw, entry.index)["device"]))
    wanted, keys = device.encode(), [name.encode() for name in names]
    first_is, last_is = near.index == 0, last == count - 1
    if keys[0] == wanted and (last_is if len(keys) == 1 else keys[1] > wanted):
        return near.reports[0].encode()
    between = len(keys) == 2 and keys[0] < wanted < keys[1]
    if between or (len(keys) == 1 and (first_is and wanted < keys[0])):
        return None
    if len(keys) == 1 and last_is and keys[0] < wanted:
        return None
    raise _other(entry.index, f"neighbours of {device}", ", ".join(names)[:200])


def _included(raw: bytes, place: tuple[int, int], path: Sequence[str], root: bytes) -> bool:
    index, count = place
    if len(path) > _PATH_MAX:
        return False
    try:
        hashes = [bytes.fromhex(text) for text in path]
    except ValueError:
        return False
    return merkle.verify_inclusion(merkle.leaf_hash(raw), index, count, hashes, root)


def _parsed(raw: bytes, index: int) -> Plain:
    try:
        report = canonical.parse(raw)
    except canonical.NotCanonical as error:
        raise _other(index, "a report", str(error)[:200]) from None
    if not isinstance(report, dict) or not isinstance(report.get("device"), str):
        raise _other(index, "a report of a device", "another form")
    return report


def _digest(entry: Entry, name: str) -> bytes:
    text = entry.body.get(name)
    if not isinstance(text, str) or not text.startswith("sha256:"):
        raise _other(entry.index, f"a batch with {name}", "one without")
    try:
        return bytes.fromhex(text.removeprefix("sha256:"))
    except ValueError:
        raise _other(entry.index, f"a batch with {name}", "another form") from None


def _count(entry: Entry) -> int:
    count = entry.body.get("count")
    if not isinstance(count, int) or isinstance(count, bool) or count < 1:
        raise _other(entry.index, "a batch with reports", "none")
    return count


def _malformed(expected: str, found: str) -> NotProved:
    return NotProved("proof.device.malformed", "device proof", expected, found)


def _broken(index: int, expected: str, found: str) -> NotProved:
    return NotProved("proof.device.chain", f"batch at entry {index}", expected, found)


def _other(index: int, expected: str, found: str) -> NotProved:
    return NotProved("proof.device.report", f"batch at entry {index}", expected, found)
