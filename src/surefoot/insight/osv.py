"""Advisories as their sources publish them, read to make a snapshot.

Keeps: sizes are bounded, in archives as well; a file that cannot be read ends the work, so that no
record is left out unseen; of two records with one name the one that was changed later counts.
Does not: fetch anything, sign, or know when the sources were fetched.
Source: OSV schema 1.7; the form of OSV's archives; CISA KEV schema; EPSS daily CSV.
"""

from __future__ import annotations

import csv
import gzip
import io
import zipfile
import zlib
from collections.abc import Iterator
from decimal import Decimal, InvalidOperation
from pathlib import Path
from typing import Any

import msgspec

from surefoot.core.advisory import Advisory
from surefoot.insight.advisories import BadSnapshot, Line, time_of

RECORD_BYTES_MAX = 16 * 1024 * 1024
FILE_BYTES_MAX = 2 * 1024 * 1024 * 1024
RECORDS_MAX = 5_000_000
_DETAILS_MAX = 300
_RECORD = msgspec.json.Decoder(Advisory)


def records(source: Path) -> Iterator[Advisory]:
    """The records in a folder, an archive (.zip), a file of lines (.jsonl), or one file (.json).

    Raises `BadSnapshot`.
    """
    for number, (name, content) in enumerate(_contents(source), 1):
        if number > RECORDS_MAX:
            raise BadSnapshot(f"{source.name}: more than {RECORDS_MAX} records")
        yield record(name, content)


def _contents(source: Path) -> Iterator[tuple[str, bytes]]:
    if source.is_dir():
        for file in sorted(source.rglob("*.json")):
            yield file.name, _bounded(file)
    elif source.suffix == ".zip":
        yield from _archived(source)
    elif source.suffix == ".jsonl":
        with source.open("rb") as lines:
            number = 0
            while line := lines.readline(RECORD_BYTES_MAX + 1):
                number += 1
                if len(line) > RECORD_BYTES_MAX:
                    raise BadSnapshot(f"{source.name}: line {number} is too long")
                yield f"{source.name}, line {number}", line
    elif source.suffix == ".json":
        yield source.name, _bounded(source)
    else:
        raise BadSnapshot(f"{source.name}: expected a folder, .zip, .jsonl or .json")


def _bounded(file: Path) -> bytes:
    with file.open("rb") as opened:
        content = opened.read(RECORD_BYTES_MAX + 1)
    if len(content) > RECORD_BYTES_MAX:
        raise BadSnapshot(f"{file.name}: more than {RECORD_BYTES_MAX} bytes")
    return content


def _archived(source: Path) -> Iterator[tuple[str, bytes]]:
    total = 0
    try:
        with zipfile.ZipFile(source) as archive:
            for entry in sorted(archive.infolist(), key=lambda e: e.filename):
                if entry.is_dir() or not entry.filename.endswith(".json"):
                    continue
                # The size in the directory is a claim: what comes out is counted.
                with archive.open(entry) as opened:
                    content = opened.read(RECORD_BYTES_MAX + 1)
                total += len(content)
                if len(content) > RECORD_BYTES_MAX or total > FILE_BYTES_MAX:
                    raise BadSnapshot(f"{entry.filename[:80]}: too large")
                yield entry.filename, content
    # What `zipfile` raises for what is cut, damaged, or packed in a way it does not know.
    except (zipfile.BadZipFile, zlib.error, EOFError, NotImplementedError, OSError) as error:
        raise BadSnapshot(f"{source.name}: not a whole archive: {str(error)[:100]}") from None


def record(name: str, content: bytes) -> Advisory:
    """One record. Raises `BadSnapshot` for what is none."""
    try:
        found = _RECORD.decode(content)
        time_of(found.modified)
    except (msgspec.DecodeError, RecursionError, BadSnapshot) as error:
        raise BadSnapshot(f"{name[:80]}: {str(error)[:200]}") from None
    return msgspec.structs.replace(
        found,
        details="" if found.summary else found.details[:_DETAILS_MAX],
        database_specific=_word(found.database_specific, "severity"),
        affected=tuple(
            msgspec.structs.replace(
                each,
                database_specific=_word(each.database_specific, "severity"),
                ecosystem_specific=_word(each.ecosystem_specific, "urgency"),
            )
            for each in found.affected or ()
        ),
    )


def _word(found: dict[str, Any] | None, name: str) -> dict[str, Any] | None:
    word = (found or {}).get(name)
    return {name: word[:40]} if isinstance(word, str) else None


def exploited(content: bytes) -> Iterator[tuple[str, int]]:
    """(CVE, since when) of CISA's catalogue. Raises `BadSnapshot`."""
    try:
        listed = msgspec.json.decode(content, type=_Catalogue).vulnerabilities
    except (msgspec.DecodeError, RecursionError) as error:
        raise BadSnapshot(f"known exploited: {str(error)[:200]}") from None
    if not listed:
        raise BadSnapshot("known exploited: an empty catalogue")
    for each in listed:
        yield each.cve_id.upper(), time_of(each.date_added)


class _Entry(msgspec.Struct, rename={"cve_id": "cveID", "date_added": "dateAdded"}):
    cve_id: str
    date_added: str


class _Catalogue(msgspec.Struct):
    vulnerabilities: tuple[_Entry, ...]


def likely(content: bytes) -> Iterator[tuple[str, int]]:
    """(CVE, likelihood in millionths) of an EPSS table, gzip or plain. Raises `BadSnapshot`."""
    if content[:2] == b"\x1f\x8b":
        try:
            with gzip.open(io.BytesIO(content)) as opened:
                content = opened.read(256 * 1024 * 1024 + 1)
        except (OSError, EOFError, zlib.error) as error:
            raise BadSnapshot(f"likelihoods: {error}") from None
    if len(content) > 256 * 1024 * 1024:
        raise BadSnapshot("likelihoods: too large")
    text = content.decode("utf-8", "replace")
    rows = csv.reader(line for line in text.splitlines() if not line.startswith("#"))
    head = next(rows, [])
    if head[:2] != ["cve", "epss"]:
        raise BadSnapshot("likelihoods: expected a table with the columns cve and epss")
    for row in rows:
        try:
            value = Decimal(row[1])
            if not 0 <= value <= 1 or not row[0].startswith("CVE-"):
                raise ValueError
        except (ValueError, InvalidOperation, IndexError):
            raise BadSnapshot(f"likelihoods: a row that cannot be read: {row[:2]}"[:200]) from None
        yield row[0], int(value * 1_000_000)


def lines(sources: list[Path], catalogue: bytes | None, table: bytes | None) -> Iterator[Line]:
    """The lines of a snapshot, in the order of names. Raises `BadSnapshot`."""
    newest: dict[str, Advisory] = {}
    for source in sources:
        for each in records(source):
            held = newest.get(each.id)
            if held is None or time_of(held.modified) < time_of(each.modified):
                newest[each.id] = each
    for name in sorted(newest):
        yield Line(osv=newest[name])
    for pair in sorted(exploited(catalogue)) if catalogue is not None else ():
        yield Line(exploited=pair)
    for pair in sorted(likely(table)) if table is not None else ():
        yield Line(likely=pair)
