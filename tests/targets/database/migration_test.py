"""Migration artifacts: names, numbers, bounds, checksums, order."""

from __future__ import annotations

import io
import tarfile

import pytest

from surefoot.core.errors import Refused
from surefoot.targets.database.migration import (
    Brief,
    describe,
    pack,
    pending,
    read,
    statements,
)
from surefoot.trust.digest import digest_of

SQL = b"CREATE TABLE a (b TEXT);"


def refusal(archive: bytes) -> str:
    with pytest.raises(Refused) as refused:
        for migration in read(archive):
            statements(migration, "sqlite")
    return refused.value.code


def test_pack_and_read_are_inverse_and_deterministic() -> None:
    files = {"0002_expand_more.sql": SQL, "0001_expand_first.sql": SQL}
    assert pack(files) == pack(dict(reversed(files.items())))
    first, second = read(pack(files))
    assert (first.number, first.kind, first.words) == (1, "expand", "first")
    assert second.sha256 == digest_of(SQL)


def test_folders_above_and_a_readme_do_not_matter() -> None:
    (found,) = read(pack({"./migrations/0001_expand_a.sql": SQL, "migrations/README.md": b"x"}))
    assert found.number == 1


@pytest.mark.parametrize(
    ("files", "code"),
    [
        ({"0001_expand_a.sql": SQL, "0003_expand_b.sql": SQL}, "migration.number.input"),
        ({"0001_expand_a.sql": SQL, "0001_expand_b.sql": SQL}, "migration.number.input"),
        ({"0002_expand_a.sql": SQL}, "migration.number.input"),
        ({"0001_destroy_a.sql": SQL}, "migration.name.input"),
        ({"1_expand_a.sql": SQL}, "migration.name.input"),
        ({"0001_expand_A.sql": SQL}, "migration.name.input"),
        ({"0001_expand_a.sql.txt": SQL}, "migration.name.input"),
        ({"0001_expand_a.sql": b"\xff;"}, "migration.file.input"),
        ({"0001_expand_a.sql": b"-- nothing"}, "migration.file.input"),
        ({"0001_expand_a.sql": b"-- surefoot: hurry\nSELECT 1;"}, "migration.file.input"),
        (
            {"0001_expand_a.sql": b"-- surefoot: batches at most 5\nDELETE FROM a;"},
            "migration.file.input",
        ),
        (
            {"0001_backfill_a.sql": b"-- surefoot: batches at most 5\nDELETE FROM a; SELECT 1;"},
            "migration.file.input",
        ),
        ({"0001_expand_a.sql": b"DROP TABLE a;"}, "migration.class.input"),
        ({"0001_backfill_a.sql": b"ALTER TABLE a DROP COLUMN b;"}, "migration.class.input"),
        ({"0001_expand_a.sql": b"x" * (1024 * 1024 + 1)}, "migration.archive.input"),
        ({"a/0001_expand_a.sql": SQL, "b/0001_expand_a.sql": SQL}, "migration.archive.input"),
    ],
)
def test_bad_artifacts_are_refused(files: dict[str, bytes], code: str) -> None:
    assert refusal(pack(files)) == code


def test_links_and_other_archives_are_refused() -> None:
    stream = io.BytesIO()
    with tarfile.open(fileobj=stream, mode="w") as tar:
        link = tarfile.TarInfo("0001_expand_a.sql")
        link.type, link.linkname = tarfile.SYMTYPE, "/etc/passwd"
        tar.addfile(link)
    assert refusal(stream.getvalue()) == "migration.archive.input"
    assert refusal(b"no tar at all") == "migration.archive.input"


def test_describe_names_what_is_taken_away() -> None:
    archive = pack({"0001_expand_a.sql": SQL, "0002_contract_b.sql": b"DROP TABLE a;"})
    first, second = describe(archive, "sqlite")
    assert first["takes_away"] == []
    assert second["takes_away"] == ["drops table a"]
    assert second["class"] == "contract"


WANTED = tuple(Brief(number=n, kind="expand", sha256=f"sum {n}") for n in (1, 2, 3))


def test_pending_is_what_comes_after_the_applied() -> None:
    assert [brief.number for brief in pending({1: "sum 1"}, WANTED)] == [2, 3]
    assert pending({1: "sum 1", 2: "sum 2", 3: "sum 3", 4: "newer"}, WANTED) == ()


@pytest.mark.parametrize("applied", [{1: "other"}, {2: "sum 2"}, {1: "sum 1", 3: "sum 3"}])
def test_changed_content_and_gaps_are_refused(applied: dict[int, str]) -> None:
    with pytest.raises(Refused) as refused:
        pending(applied, WANTED)
    assert refused.value.code == "migration.applied.changed"
    assert refused.value.expected and refused.value.found
