"""Snapshots of advisories: read back as made, and refused in every other form."""

from __future__ import annotations

import gzip
import io
import json
import zipfile
import zlib
from collections.abc import Callable
from pathlib import Path
from typing import Any

import msgspec
import pytest

from surefoot.core.errors import Corrupt
from surefoot.insight import advisories, osv
from surefoot.insight.advisories import BadSnapshot, PartEntry, Statement
from surefoot.testing.advisory_snapshot import MadeSnapshot, lines, record, snapshot
from surefoot.trust import envelope
from surefoot.trust.digest import digest_of
from surefoot.trust.keys import PrivateKey

KEY = PrivateKey(b"k" * 32)
STRANGER = PrivateKey(b"s" * 32)
MADE = 1_800_000_000_000
RECORDS = (
    record("GHSA-1", "PyPI/Demo", "1.1", aliases=["CVE-2026-1"], summary="It leaks."),
    record("DEBIAN-CVE-2026-2", "Debian:12/openssl", "3.0.12-1", upstream=["CVE-2026-2"]),
    record("GHSA-3", "npm/demo", withdrawn="2026-01-02T00:00:00Z", modified="2026-02-01T00:00:00Z"),
)


def made(**more: Any) -> MadeSnapshot:
    found = lines(RECORDS, [("CVE-2026-1", 77)], [("CVE-2026-2", 420_000)])
    return snapshot(found, more.get("signer", KEY), more.get("made_at_ms", MADE))


def opened(given: MadeSnapshot) -> Statement:
    return advisories.open_statement(given.sealed, [KEY.public])[0]


def shelf(given: MadeSnapshot) -> advisories.Shelf:
    parts = {digest_of(each): each for each in given.parts}
    return advisories.Shelf(digest_of(given.sealed), opened(given), parts.__getitem__)


def test_what_was_put_in_comes_out() -> None:
    statement = opened(made())
    assert statement.made_at_ms == MADE
    assert statement.newest_ms == advisories.time_of("2026-02-01T00:00:00Z")
    names = ("records", "withdrawn", "exploited", "likely")
    assert [statement.total(n) for n in names] == [3, 1, 1, 1]
    assert statement.ecosystems() == {"Debian:12": 1, "PyPI": 1}, "not what was withdrawn"
    known = shelf(made()).about(frozenset({("PyPI", "demo"), ("npm", "demo")}))
    assert [a.id for a in known.advisories] == ["GHSA-1"]
    assert (known.exploited, known.likely) == ({"CVE-2026-1": 77}, {"CVE-2026-2": 420_000})
    assert (known.withdrawn, known.ecosystems) == (1, {"Debian:12": 1, "PyPI": 1})
    for part, content in zip(statement.parts, made().parts, strict=True):
        advisories.check_part(part, content)


def test_large_sources_become_several_parts(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(advisories, "PART_UNPACKED_MAX", 8 * 2_000)
    many = [record(f"GHSA-{n}", f"PyPI/p{n}", "1.0") for n in range(100)]
    found = snapshot(lines(many), KEY, MADE)
    assert len(found.parts) > 3
    assert opened(found).total("records") == 100
    wanted = frozenset({("PyPI", "p7"), ("PyPI", "p99")})
    assert [a.id for a in shelf(found).about(wanted).advisories] == ["GHSA-7", "GHSA-99"]


def sealed(payload: bytes, kind: str = advisories.PAYLOAD_TYPE) -> bytes:
    return envelope.seal(kind, payload, [KEY])


def changed(change: Callable[[Any], None]) -> bytes:
    plain = msgspec.to_builtins(opened(made()))
    change(plain)
    return sealed(json.dumps(plain, sort_keys=True, separators=(",", ":")).encode())


BAD: dict[str, Callable[[], bytes]] = {
    "of another signer": lambda: made(signer=STRANGER).sealed,
    "of another kind": lambda: sealed(opened(made()).encoded(), "application/vnd.other+json"),
    "a statement that is not canonical": lambda: sealed(opened(made()).encoded() + b" "),
    "of another format": lambda: changed(lambda s: s.update(format="surefoot/advisories/v2")),
    "with a member nobody knows": lambda: changed(lambda s: s.update(more=1)),
    "without parts": lambda: changed(lambda s: s.update(parts=[])),
    "with a part twice": lambda: changed(lambda s: s.update(parts=s["parts"] * 2)),
    "with a part without bytes": lambda: changed(lambda s: s["parts"][0].update(size_bytes=0)),
    "with a part too large": lambda: changed(lambda s: s["parts"][0].update(size_bytes=2**40)),
    "with a bad digest": lambda: changed(lambda s: s["parts"][0].update(digest="sha256:x")),
    "without an advisory": lambda: changed(lambda s: s["parts"][0].update(records=1)),
    "cut short": lambda: made().sealed[:-10],
    "of nothing": lambda: b"",
}


@pytest.mark.parametrize("name", BAD)
def test_a_statement_is_refused(name: str) -> None:
    with pytest.raises(BadSnapshot):
        advisories.open_statement(BAD[name](), [KEY.public])


def test_an_empty_snapshot_is_not_even_made() -> None:
    with pytest.raises(BadSnapshot):
        opened(snapshot(lines([]), KEY, MADE))
    with pytest.raises(BadSnapshot, match="no advisory"):
        opened(snapshot(lines([], [("CVE-2026-1", 1)]), KEY, MADE))


def entry(content: bytes, **more: Any) -> PartEntry:
    return msgspec.structs.replace(
        opened(made()).parts[0],
        digest=digest_of(content),
        size_bytes=len(content),
        **more,
    )


def packed(text: bytes) -> bytes:
    return zlib.compress(text)


BOMB = packed(b"0" * (advisories.PART_UNPACKED_MAX + 1000))
LINE = b'{"exploited":["CVE-2026-1",1]}\n'
PARTS: dict[str, bytes] = {
    "not packed": LINE,
    "a bomb": BOMB,
    "cut short": packed(LINE * 100)[:-4],
    "with something after its end": packed(LINE) + b"x",
    "that ends in the middle of a line": packed(LINE[:-1]),
    "with a line that is no JSON": packed(b"{\n"),
    "with a line of nothing": packed(b"{}\n"),
    "with a line of two things": packed(LINE[:-2] + b',"likely":["CVE-2026-1",1]}\n'),
    "with an unknown member": packed(LINE[:-2] + b',"more":1}\n'),
    "with a record without a name": packed(b'{"osv":{}}\n'),
    "with a record without a time": packed(b'{"osv":{"id":"X","modified":"late"}}\n'),
    "of no line": packed(b""),
}


@pytest.mark.parametrize("name", PARTS)
def test_a_part_is_refused(name: str) -> None:
    with pytest.raises(BadSnapshot) as caught:
        advisories.check_part(entry(PARTS[name]), PARTS[name])
    assert "other" not in str(caught.value), "refused for what it is, not for its counts"


def test_a_part_is_the_one_that_was_named_with_what_was_said() -> None:
    content = made().parts[0]
    good = opened(made()).parts[0]
    advisories.check_part(good, content)
    for other in (entry(content, records=4), entry(content, newest_ms=1), entry(b"x")):
        with pytest.raises(BadSnapshot, match="other"):
            advisories.check_part(other, content)


def test_a_part_that_was_changed_later_is_corrupt_and_not_empty() -> None:
    found = advisories.Shelf("d", opened(made()), lambda digest: b"x")
    with pytest.raises(Corrupt):
        found.about(frozenset())


# --- sources


def archive(files: dict[str, bytes]) -> bytes:
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w", zipfile.ZIP_DEFLATED) as opened_archive:
        for name, content in files.items():
            opened_archive.writestr(name, content)
    return out.getvalue()


def test_sources_of_every_form_give_the_same_lines(tmp_path: Path) -> None:
    files = {f"{r['id']}.json": json.dumps(r).encode() for r in RECORDS}
    (tmp_path / "folder").mkdir()
    for name, content in files.items():
        (tmp_path / "folder" / name).write_bytes(content)
    (tmp_path / "all.zip").write_bytes(archive(files | {"readme.txt": b"x"}))
    (tmp_path / "all.jsonl").write_bytes(b"\n".join(files.values()) + b"\n")
    given = [
        list(osv.lines([tmp_path / n], None, None)) for n in ("folder", "all.zip", "all.jsonl")
    ]
    assert given[0] == given[1] == given[2]
    assert [line.osv.id for line in given[0] if line.osv] == sorted(r["id"] for r in RECORDS)


def test_the_record_that_was_changed_later_counts(tmp_path: Path) -> None:
    late = record("GHSA-1", "PyPI/demo", "2.0", modified="2026-06-01T00:00:00Z")
    for name, each in (("a.json", late), ("b.json", RECORDS[0])):
        (tmp_path / name).write_text(json.dumps(each))
    found = [line.osv for line in osv.lines([tmp_path], None, None)]
    assert [(a.id, a.modified) for a in found if a] == [("GHSA-1", "2026-06-01T00:00:00Z")]


@pytest.mark.parametrize(
    ("name", "content"),
    [
        ("a.json", b"{"),
        ("a.json", b"[]"),
        ("a.json", b'{"id":"X"}'),
        ("a.json", b'{"id":"X","modified":"2026-01-01T00:00:00Z","affected":[{"ranges":1}]}'),
        ("a.zip", b"PK"),
        ("a.zip", archive({"x.json": b"{}"})[:-30]),
        ("a.zip", archive({"x.json": b" " * (osv.RECORD_BYTES_MAX + 1)})),
        ("a.jsonl", b'{"id":"X"\n'),
        ("a.txt", b""),
    ],
)
def test_a_source_that_cannot_be_read_ends_the_work(
    tmp_path: Path, name: str, content: bytes
) -> None:
    (tmp_path / name).write_bytes(content)
    with pytest.raises(BadSnapshot):
        list(osv.lines([tmp_path / name], None, None))


def test_known_exploited_and_likelihoods() -> None:
    catalogue = {"vulnerabilities": [{"cveID": "cve-2026-1", "dateAdded": "1970-01-02"}]}
    assert list(osv.exploited(json.dumps(catalogue).encode())) == [("CVE-2026-1", 86_400_000)]
    table = b"#model:v2026\ncve,epss,percentile\nCVE-2026-1,0.00043,0.1\nCVE-2026-2,1,1\n"
    wanted = [("CVE-2026-1", 430), ("CVE-2026-2", 1_000_000)]
    assert list(osv.likely(table)) == list(osv.likely(gzip.compress(table))) == wanted


@pytest.mark.parametrize("content", [b"", b"{}", b'{"vulnerabilities":[]}', b"<html>"])
def test_a_catalogue_that_says_nothing_is_refused(content: bytes) -> None:
    with pytest.raises(BadSnapshot):
        list(osv.exploited(content))


@pytest.mark.parametrize(
    "content",
    [b"", b"<html>", b"cve,epss\nCVE-2026-1,2\n", b"cve,epss\nCVE-2026-1\n", b"\x1f\x8bxx"],
)
def test_a_table_that_cannot_be_read_is_refused(content: bytes) -> None:
    with pytest.raises(BadSnapshot):
        list(osv.likely(content))


def test_records_keep_what_is_used_and_no_more() -> None:
    full = RECORDS[0] | {
        "details": "long " * 1000,
        "database_specific": {"severity": "HIGH", "more": ["x"]},
        "credits": [{"name": "n"}],
    }
    found = osv.record("x", json.dumps(full).encode())
    assert found.details == "" and found.summary == "It leaks."
    assert found.database_specific == {"severity": "HIGH"}
