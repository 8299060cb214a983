"""Migrations as data: read from an artifact, checked, and compared with what was applied.

Rules: file names are `NNNN_{expand,backfill,contract}_words.sql`, numbered from 0001 without gaps;
an artifact is a plain tar, read in memory and bounded, never unpacked to disk; the checksum is
SHA-256 over the file's exact bytes; an applied migration never changes. Everything here is pure.
Does not: run anything. Format: docs/formats/migrations.md.
"""

from __future__ import annotations

import io
import re
import tarfile
from collections.abc import Iterable, Mapping
from typing import Literal, cast, get_args

import msgspec

from surefoot.core.errors import Refused
from surefoot.core.target import Plain
from surefoot.targets.database.sql import Engine, Statement, refuse_unsafe, split, takes_away
from surefoot.trust.digest import Digest, digest_of

MigrationClass = Literal["expand", "backfill", "contract"]
CLASSES: tuple[MigrationClass, ...] = get_args(MigrationClass)

ARCHIVE_BYTES_MAX = 32 * 1024 * 1024
FILE_BYTES_MAX = 1024 * 1024
FILES_MAX = 2_000
BATCHES_MAX = 1_000_000

_NAME = re.compile(r"(\d{4})_(expand|backfill|contract)_([a-z0-9]+(?:_[a-z0-9]+)*)\.sql")
_DIRECTIVE = re.compile(r"^--\s*surefoot:\s*(.*?)\s*$", re.MULTILINE)
_BATCHES = re.compile(r"batches at most ([1-9]\d{0,6})")


class Migration(msgspec.Struct, frozen=True, kw_only=True):
    """One migration file. `batches_max` 0: one transaction; else that many at most."""

    number: int
    kind: MigrationClass
    words: str
    sha256: Digest
    sql: str
    batches_max: int = 0

    @property
    def label(self) -> str:
        """Like "contract 0003"."""
        return f"{self.kind} {self.number:04d}"


class Applied(msgspec.Struct, frozen=True, kw_only=True):
    """One row of the ledger table `surefoot_migration`."""

    number: int
    kind: str
    words: str
    sha256: str
    applied_at: str
    operation: str


class Brief(msgspec.Struct, frozen=True, kw_only=True):
    """What a plan knows of a migration: no SQL, but what it takes away."""

    number: int
    kind: MigrationClass = msgspec.field(name="class")
    sha256: str
    words: str = ""
    takes_away: tuple[str, ...] = ()


def read(archive: bytes) -> tuple[Migration, ...]:
    """The migrations of an artifact, in order.

    Raises `Refused("migration.archive.input")` for another kind of archive or one out of bounds,
    `Refused("migration.name.input")` and `Refused("migration.number.input")` for bad names.
    """
    files = _files(archive)
    found = [_migration(name, content) for name, content in sorted(files.items())]
    for expected, migration in enumerate(found, 1):
        if migration.number != expected:
            raise Refused(
                "migration.number.input",
                f"migration {migration.number:04d}",
                expected=f"{expected:04d}",
                found=f"{migration.number:04d}",
                remedy="number the files from 0001 without gaps, each number once",
            )
    return tuple(found)


def pack(files: Mapping[str, bytes]) -> bytes:
    """The deterministic tar of migration files by name: sorted, no times, no owners."""
    stream = io.BytesIO()
    with tarfile.open(fileobj=stream, mode="w", format=tarfile.USTAR_FORMAT) as tar:
        for name, content in sorted(files.items()):
            entry = tarfile.TarInfo(name)
            entry.size = len(content)
            entry.mode = 0o644
            tar.addfile(entry, io.BytesIO(content))
    return stream.getvalue()


def _files(archive: bytes) -> dict[str, bytes]:
    if len(archive) > ARCHIVE_BYTES_MAX:
        raise _archive(f"at most {ARCHIVE_BYTES_MAX} bytes", f"{len(archive)} bytes")
    files: dict[str, bytes] = {}
    try:
        with tarfile.open(fileobj=io.BytesIO(archive), mode="r:") as tar:
            for count, entry in enumerate(tar):
                if count >= FILES_MAX:
                    raise _archive(f"at most {FILES_MAX} entries", "more")
                if entry.isdir():
                    continue
                name = _file_name(entry)
                if name.upper().startswith("README"):
                    continue
                if name in files:
                    raise _archive("each name once", f"{name!r} twice")
                stream = tar.extractfile(entry)
                files[name] = stream.read(FILE_BYTES_MAX) if stream else b""
    except (tarfile.TarError, EOFError) as error:
        raise _archive("an uncompressed tar", str(error)) from None
    return files


def _file_name(entry: tarfile.TarInfo) -> str:
    """The entry's last name. Folders above it do not matter: nothing is written anywhere."""
    if not entry.isreg():
        raise _archive("regular files", f"{entry.name[:80]!r} of another type")
    if entry.size > FILE_BYTES_MAX:
        raise _archive(f"files of at most {FILE_BYTES_MAX} bytes", f"{entry.name[:80]!r}")
    return entry.name.rsplit("/", 1)[-1]


def _archive(expected: str, found: str) -> Refused:
    return Refused(
        "migration.archive.input",
        "migrations",
        expected=expected,
        found=found,
        remedy="build the artifact from a folder of migration files",
    )


def _migration(name: str, content: bytes) -> Migration:
    form = _NAME.fullmatch(name)
    if not form or int(form[1]) == 0:
        raise Refused(
            "migration.name.input",
            f"migration {name[:80]!r}",
            expected="NNNN_expand_words.sql, NNNN_backfill_words.sql or NNNN_contract_words.sql",
            found=name[:80],
            remedy="rename the file, or take it out of the folder",
        )
    try:
        sql = content.decode()
    except UnicodeDecodeError:
        raise _input(name, "UTF-8 text", "other bytes", "save the file as UTF-8") from None
    kind = cast(MigrationClass, form[2])
    return Migration(
        number=int(form[1]),
        kind=kind,
        words=form[3],
        sha256=digest_of(content),
        sql=sql,
        batches_max=_batches(name, kind, sql),
    )


def _input(subject: str, expected: str, found: str, remedy: str) -> Refused:
    return Refused(
        "migration.file.input", subject, expected=expected, found=found[:80], remedy=remedy
    )


def _batches(name: str, kind: MigrationClass, sql: str) -> int:
    directives = _DIRECTIVE.findall(sql)
    if not directives:
        return 0
    form = _BATCHES.fullmatch(directives[0])
    if form is None or len(directives) > 1 or kind != "backfill":
        raise _input(
            name,
            'at most one "-- surefoot: batches at most N", in a backfill',
            "; ".join(directives),
            "correct the comment",
        )
    return min(int(form[1]), BATCHES_MAX)


def statements(migration: Migration, engine: Engine) -> tuple[Statement, ...]:
    """The migration's statements, checked for one engine.

    Raises `Refused("database.sql.refused")` for a statement that must not run, and
    `Refused("migration.class.input")` where an expand or backfill takes something away.
    """
    found = split(migration.sql, engine)
    for statement in found:
        refuse_unsafe(statement, engine, migration.label)
    if not found or (migration.batches_max and len(found) != 1):
        raise _input(
            migration.label,
            "one statement" if migration.batches_max else "at least one statement",
            str(len(found)),
            "correct the file",
        )
    lost = takes_away(found)
    if lost and migration.kind != "contract":
        raise Refused(
            "migration.class.input",
            migration.label,
            expected="a change that the running release does not notice",
            found="; ".join(lost)[:300],
            remedy="move it into a contract migration of a later release",
        )
    return found


def describe(archive: bytes, engine: Engine) -> list[Plain]:
    """What a plan needs of an artifact: number, class, words, sha256 and what is taken away.

    Raises `Refused` for everything that could be known to be wrong before running it.
    """
    return [
        {
            "number": migration.number,
            "class": migration.kind,
            "words": migration.words,
            "sha256": str(migration.sha256),
            "takes_away": list(takes_away(statements(migration, engine))),
        }
        for migration in read(archive)
    ]


def pending(applied: Mapping[int, str], wanted: Iterable[Brief]) -> tuple[Brief, ...]:
    """The wanted migrations that are not applied; `applied` maps number to checksum.

    Applied ones beyond the wanted are left alone: an older release on a newer schema. Raises
    `Refused("migration.applied.changed")` when content, order or a gap differs.
    """
    found = []
    for brief in wanted:
        checksum = applied.get(brief.number)
        if checksum is None:
            if any(number > brief.number for number in applied):
                raise _changed(brief, f"it before {max(applied):04d}", "not in the ledger")
            found.append(brief)
        elif checksum != brief.sha256:
            raise _changed(brief, f"{checksum} as applied", brief.sha256)
    return tuple(found)


def _changed(brief: Brief, expected: str, found: str) -> Refused:
    return Refused(
        "migration.applied.changed",
        f"migration {brief.number:04d}",
        expected=expected,
        found=found,
        remedy="put the applied file back and make the change in a new migration",
    )


def brief_of(migration: Migration) -> Brief:
    """The plan's view of a migration, without what it takes away."""
    return Brief(
        number=migration.number,
        kind=migration.kind,
        sha256=str(migration.sha256),
        words=migration.words,
    )
