"""Go's own code for signed notes and transparency logs, over a log of 10,000 entries."""

from __future__ import annotations

import json
import os
import random
import subprocess
from collections.abc import Callable, Iterable, Iterator
from itertools import pairwise
from pathlib import Path

import pytest

from surefoot.journal.source import DatabaseSource
from surefoot.journal.tiles import export
from surefoot.store.sqlite import SqliteDatabase
from surefoot.testing.journal import ANN, KEY, TallyWorld, draft, open_log
from surefoot.trust import merkle
from surefoot.trust.entry import Draft
from surefoot.trust.note import open_checkpoint

PROGRAM = Path(__file__).parent / "go"
# Debian's package of the same module: a machine without the module proxy builds from it.
DEBIAN_SOURCES = Path("/usr/share/gocode")
VKEY = KEY.verifier.text()
LEAVES = 10_000
PAIRS = 400


@pytest.fixture(scope="module")
def verifier(
    require_tool: Callable[[str], str], tmp_path_factory: pytest.TempPathFactory
) -> list[str]:
    """The Go program, built from its source, with the module at the hash that go.sum pins."""
    go = require_tool("go")
    program = tmp_path_factory.mktemp("go") / "verifier"
    command = [go, "build", "-o", str(program)]
    clean = {k: v for k, v in os.environ.items() if not k.startswith("GO")}
    kept = {k: v for k, v in os.environ.items() if k in ("GOPROXY", "GOSUMDB", "GONOSUMDB")}
    # A home of its own: nothing that an earlier build left behind is believed.
    home = {"GOFLAGS": "-mod=readonly -modcacherw", "CGO_ENABLED": "0", **kept}
    home |= {"GOPATH": str(program.parent / "path"), "GOTOOLCHAIN": "local"}
    faults = []
    for ways in (home, {"CGO_ENABLED": "0", "GO111MODULE": "off", "GOPATH": str(DEBIAN_SOURCES)}):
        built = subprocess.run(
            command, cwd=PROGRAM, env=clean | ways, capture_output=True, text=True, check=False
        )
        if built.returncode == 0:
            return [str(program)]
        faults.append(built.stderr)
    if os.environ.get("CI") == "true":
        pytest.fail("\n".join(faults))
    pytest.skip(f"the Go program does not build here: {faults[0][-300:]}")


@pytest.fixture(scope="module")
def journal(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """A log of 10,000 leaves in batches of many sizes, exported, with proofs of all of them."""
    place = tmp_path_factory.mktemp("journal")
    database = SqliteDatabase(place / "store")
    log = open_log(database, place / "last")
    choose = random.Random(7)
    while (size := log.size()) < LEAVES:
        count = min(choose.choice((1, 2, 3, 50, 90, 200)), LEAVES - size - 1)
        log.transact(lambda world, c=count: _drafts(world, c), ANN, f"r{size}")
        if LEAVES - log.size() == 1:
            log.heartbeat()
    export(database, VKEY, place / "export")
    (place / "vkey").write_text(VKEY + "\n")
    _proofs(database, place, choose)
    yield place
    database.close()


def _drafts(world: TallyWorld, count: int) -> list[Draft]:
    first = len(world.requests)
    return [draft(f"env/e{(first + i) % 37}", number=first + i) for i in range(count)]


def _proofs(database: SqliteDatabase, place: Path, choose: random.Random) -> None:
    source = DatabaseSource(database)
    tree = merkle.Tree(merkle.leaf_hash(row.raw) for row in source.rows())
    notes = list(source.checkpoints())
    sizes = [open_checkpoint(note, KEY.verifier).size for note in notes]
    pairs = list(pairwise(sizes))
    for _ in range(PAIRS):
        small, large = sorted(choose.sample(sizes, 2))
        pairs.append((small, large))
    (place / "checkpoints").write_text("".join(json.dumps(note) + "\n" for note in notes))
    (place / "inclusion").write_text(
        "".join(_line((index,), tree.inclusion(index)) for index in range(tree.size))
    )
    (place / "consistency").write_text(
        "".join(_line(pair, tree.consistency(*pair)) for pair in pairs)
    )


def _line(numbers: Iterable[int], proof: list[bytes]) -> str:
    return " ".join([*map(str, numbers), *(node.hex() for node in proof)]) + "\n"


def run(verifier: list[str], place: Path) -> subprocess.CompletedProcess[str]:
    """The program's answer."""
    return subprocess.run(
        [*verifier, str(place)], capture_output=True, text=True, check=False, timeout=300
    )


def test_go_verifies_every_checkpoint_proof_and_tile(verifier: list[str], journal: Path) -> None:
    done = run(verifier, journal)
    assert (done.returncode, done.stderr) == (0, "")
    notes = len((journal / "checkpoints").read_text().splitlines())
    assert json.loads(done.stdout) == {
        "checkpoints": notes,
        "entries": LEAVES,
        "inclusion": LEAVES,
        "consistency": notes - 1 + PAIRS,
    }
    assert notes > 100


CHANGED = {
    "vkey": "vkey",
    "checkpoint of the export": "export/checkpoint",
    "an earlier checkpoint": "checkpoints",
    "inclusion proof": "inclusion",
    "consistency proof": "consistency",
    "entry": "export/tile/entries/007",
    "entry in the last bundle": "export/tile/entries/039.p/16",
    "tile of leaves": "export/tile/0/007",
    "last tile of leaves": "export/tile/0/039.p/16",
    "tile of the next level": "export/tile/1/000.p/39",
}


@pytest.mark.parametrize("what", CHANGED)
def test_go_finds_one_changed_byte(verifier: list[str], journal: Path, what: str) -> None:
    path = journal / CHANGED[what]
    good = path.read_bytes()
    place = len(good) * 2 // 3
    changed = ord("1") if good[place] == ord("0") else ord("0")
    try:
        path.write_bytes(good[:place] + bytes([changed]) + good[place + 1 :])
        done = run(verifier, journal)
    finally:
        path.write_bytes(good)
    assert done.returncode == 1, what
    assert done.stderr
    assert done.stdout == ""


def test_go_misses_no_dropped_entry(verifier: list[str], journal: Path) -> None:
    path = journal / "inclusion"
    good = path.read_text()
    try:
        path.write_text(good.partition("\n")[2])
        done = run(verifier, journal)
    finally:
        path.write_text(good)
    assert (done.returncode, done.stdout) == (1, "")
    assert "9999 entries have an inclusion proof, of 10000" in done.stderr
