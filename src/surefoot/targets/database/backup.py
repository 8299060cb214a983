"""A verified backup: copied, stored by digest, restored elsewhere from the store, and compared.

Rules: what counts is the copy that was read back from the store, not the one just written; a
backup whose restored content differs by one row is no backup. The manifest names the dump and
everything it was compared by; its digest is the backup's name.
Does not: keep or expire backups. Format: docs/formats/migrations.md, "Backup manifest".
"""

from __future__ import annotations

from pathlib import Path

import msgspec

from surefoot.core.errors import Corrupt, Refused
from surefoot.core.target import Blobs, Plain
from surefoot.targets.database.driver import (
    LEDGER,
    ORIGIN,
    Column,
    Content,
    Driver,
    Look,
    TableContent,
    ascii_name,
)
from surefoot.trust import canonical
from surefoot.trust.digest import Digest

FORMAT = "surefoot-backup/1"


class Table(msgspec.Struct, frozen=True, kw_only=True):
    """One table in a manifest."""

    name: str
    rows: int
    digest: Digest


class Manifest(msgspec.Struct, frozen=True, kw_only=True):
    """What a backup holds. `migrations` are the checksums of the ledger, in order."""

    format: str
    engine: str
    dump: Digest
    dump_bytes: int
    objects: dict[str, Digest]
    tables: list[Table]
    sequences: dict[str, int]
    migrations: list[str]

    def content(self) -> Content:
        """What a restored copy must hold."""
        return Content(
            objects=self.objects,
            tables={t.name: TableContent(rows=t.rows, digest=t.digest) for t in self.tables},
            sequences=self.sequences,
        )

    def encoded(self) -> bytes:
        """Canonical bytes."""
        return canonical.encode(msgspec.to_builtins(self))


class Differs(Exception):
    """A restored backup is not what was backed up; the text says where."""


def back_up(
    driver: Driver, blobs: Blobs, folder: Path, mark: str, bytes_max: int
) -> tuple[Digest, Manifest]:
    """Make and verify a backup; the manifest's digest and the manifest.

    `folder` holds the dump meanwhile. Raises `Differs` when the restored copy is not the same,
    `Refused("database.backup.size")` when it is larger than `bytes_max`.
    """
    folder.mkdir(parents=True, exist_ok=True, mode=0o700)
    dump = folder / f"{mark}.dump"
    look = driver.look()
    try:
        content = driver.dump(dump)
        size = dump.stat().st_size
        if size > bytes_max:
            raise Refused(
                "database.backup.size",
                f"backup of {driver.address()}",
                expected=f"at most {bytes_max} bytes",
                found=f"{size} bytes",
                remedy="raise backup_bytes_max, with memory for it",
            )
        digest = blobs.put(dump.read_bytes())
    finally:
        dump.unlink(missing_ok=True)
    with driver.restored(Path(blobs.path(digest)), mark) as scratch:
        require_same(content, scratch.content())
    manifest = _manifest(driver.engine, digest, size, content, look)
    return blobs.put(manifest.encoded()), manifest


def _manifest(engine: str, dump: Digest, size: int, content: Content, look: Look) -> Manifest:
    return Manifest(
        format=FORMAT,
        engine=engine,
        dump=dump,
        dump_bytes=size,
        objects=content.objects,
        tables=[
            Table(name=name, rows=table.rows, digest=table.digest)
            for name, table in sorted(content.tables.items())
        ],
        sequences=content.sequences,
        migrations=[entry.sha256 for entry in look.applied],
    )


def load(blobs: Blobs, digest: Digest, engine: str) -> Manifest:
    """The manifest of a backup.

    Raises `Refused("database.backup.engine")` for one of the other engine, `Corrupt` for bytes
    that are no manifest, and what `Blobs` raises.
    """
    try:
        manifest = msgspec.json.decode(blobs.get(digest), type=Manifest)
    except msgspec.DecodeError as error:
        raise Corrupt(
            "database.backup.manifest",
            f"backup {digest}",
            expected="a backup's manifest",
            found=str(error),
            remedy="name the backup by the digest in the backup step's figures",
        ) from None
    if manifest.engine != engine or manifest.format != FORMAT:
        raise Refused(
            "database.backup.engine",
            f"backup {digest}",
            expected=f"{FORMAT} of {engine}",
            found=f"{manifest.format} of {manifest.engine}",
            remedy="take a backup of a database of the same engine",
        )
    return manifest


def require_same(expected: Content, found: Content) -> None:
    """Raise `Differs` with the first difference, in words."""
    for what in sorted(expected.objects.keys() | found.objects.keys()):
        if expected.objects.get(what) != found.objects.get(what):
            raise Differs(f"{what} differs in its definition or is on one side only")
    for name in sorted(expected.tables.keys() | found.tables.keys()):
        left, right = expected.tables.get(name), found.tables.get(name)
        if left is None or right is None:
            raise Differs(f"table {name} is on one side only")
        if left != right:
            raise Differs(
                f"table {name}: expected {left.rows} rows {left.digest},"
                f" found {right.rows} rows {right.digest}"
            )
    for name, value in sorted(expected.sequences.items()):
        if found.sequences.get(name, 0) < value:
            raise Differs(f"sequence {name}: expected {value}, found {found.sequences.get(name)}")


def clone_trouble(
    manifest: Manifest, found: Content, policy: str, columns: tuple[Column, ...]
) -> str:
    """What of a clone contradicts its policy; empty when nothing does.

    None: no rows but the ledger's. Masked: the same rows, other content in the masked tables only.
    """
    expected = manifest.content()
    masked = {ascii_name(column.table) for column in columns}
    if expected.objects != found.objects:
        return "the schema differs from the backup's"
    for name, table in expected.tables.items():
        copy = found.tables.get(name)
        if policy == "none" and name.rpartition(".")[2] != LEDGER:
            # What a virtual table made for itself is there before its first row.
            if not name.startswith("shadow ") and copy is not None and copy.rows:
                return f"table {name} has {copy.rows} rows"
        elif copy is None or copy.rows != table.rows:
            return f"table {name} has other rows than the backup"
        elif copy.digest != table.digest and name not in masked and name != ORIGIN:
            return f"table {name} differs from the backup, but no column of it is masked"
    return ""


def figures(backup: Digest, manifest: Manifest) -> Plain:
    """The backup in an outcome: totals and digests."""
    content = manifest.content()
    return {
        "backup": str(backup),
        "dump": str(manifest.dump),
        "tables": len(manifest.tables),
        "rows": content.rows(),
        "bytes": manifest.dump_bytes,
        "schema_digest": str(content.schema_digest()),
        "content_digest": str(content.digest()),
        "migrations": len(manifest.migrations),
    }
