"""Exports: the published paths and layout, growing exports, wrong directories."""

from __future__ import annotations

from pathlib import Path

import pytest

from surefoot.core.errors import Refused
from surefoot.journal.tiles import export
from surefoot.journal.verify import verify_export
from surefoot.store.database import Database
from surefoot.testing.journal import ANN, KEY, TallyWorld, draft, open_log
from surefoot.trust import merkle, tiles
from surefoot.trust.note import SignerKey, open_checkpoint

VKEY = KEY.verifier.text()


@pytest.mark.parametrize(
    ("number", "path"),
    [(0, "000"), (7, "007"), (255, "255"), (1000, "x001/000"), (1234067, "x001/x234/067")],
)
def test_paths_are_the_published_ones(number: int, path: str) -> None:
    assert tiles.number_path(number) == path
    assert tiles.tile_path(2, number, 256) == f"tile/2/{path}"
    assert tiles.bundle_path(number, 3) == f"tile/entries/{path}.p/3"


@pytest.mark.parametrize("size", [0, 1, 255, 256, 257, 512, 70_000])
def test_a_tile_of_a_level_holds_the_roots_below_it(size: int) -> None:
    tree = merkle.Tree(i.to_bytes(32, "big") for i in range(size))
    spans = list(tiles.spans(size))
    assert sum(width for level, _, width in spans if level == 0) == size
    for level, number, width in spans:
        tile = tiles.tile_of(tree, level, number, width)
        assert len(tile) == width * 32
        if level:
            first = tiles.tile_of(tree, level - 1, number * 256, 256)
            below = [first[i : i + 32] for i in range(0, len(first), 32)]
            assert tile[:32] == merkle.root_of(below)


def test_a_bundle_comes_back() -> None:
    leaves = [b"", b"a", b"b" * 16_384]
    assert tiles.leaves_of(tiles.bundle_of(leaves)) == leaves
    for cut in (1, 3, 100):
        with pytest.raises(ValueError, match="middle of an entry"):
            tiles.leaves_of(tiles.bundle_of(leaves)[:-cut])


def test_an_export_grows(database: Database, checkpoint: Path, tmp_path: Path) -> None:
    log = open_log(database, checkpoint)
    with pytest.raises(Refused, match=r"journal\.export\.input"):
        export(database, VKEY, tmp_path / "export")
    seen: list[tuple[int, int]] = []
    for count in (300, 5):
        log.transact(lambda world, c=count: [draft(x=i) for i in range(c)], ANN, "r")
        done = export(
            database, VKEY, tmp_path / "export", progress=lambda n, of: seen.append((n, of))
        )
        report = verify_export(tmp_path / "export", VKEY, make_world=TallyWorld)
        assert report.ok, report.problems
        assert (report.size, report.root) == (done.size, done.root)
    assert seen == [(256, 301), (301, 301), (256, 307), (307, 307)]
    assert (tmp_path / "export" / "tile" / "1" / "000.p" / "1").stat().st_size == 32
    assert (tmp_path / "export" / "tile" / "entries" / "001.p" / "51").is_file()
    note = (tmp_path / "export" / "checkpoint").read_text()
    assert open_checkpoint(note, KEY.verifier).size == 307
    other = SignerKey("other.example/log", b"o" * 32).verifier.text()
    with pytest.raises(Exception, match=r"journal\.checkpoint\.signature"):
        export(database, other, tmp_path / "elsewhere")
    (tmp_path / "export" / "vkey").write_text(other)
    with pytest.raises(Refused, match=r"journal\.export\.input"):
        export(database, VKEY, tmp_path / "export")
