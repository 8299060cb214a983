"""The map of the code names every room, and nothing that is not there."""

from __future__ import annotations

import re
import tomllib
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
PAGE = (ROOT / "ARCHITECTURE.md").read_text()
PACKAGE = ROOT / "src" / "surefoot"


def test_every_room_is_named() -> None:
    rooms = sorted(path.parent.relative_to(ROOT) for path in PACKAGE.rglob("__init__.py"))
    inside = [room for room in rooms if room != Path("src/surefoot")]
    assert [str(room) for room in inside if f"| `{room}` |" not in PAGE] == []


def test_every_named_path_exists() -> None:
    named = re.findall(r"`((?:src|tests|docs|examples|benchmarks|scripts)/[\w./-]+)`", PAGE)
    assert named
    assert [path for path in named if not (ROOT / path).exists()] == []


def test_the_layers_are_those_that_are_checked() -> None:
    config = tomllib.loads((ROOT / "pyproject.toml").read_text())
    layers = config["tool"]["importlinter"]["contracts"][0]["layers"]
    drawn = PAGE.partition("## Who may import whom")[2].partition("- `core`")[0]
    lines = [line.split("(")[0].strip() for line in drawn.splitlines() if line.startswith("    ")]
    assert lines == [layer.replace("surefoot.", "") for layer in layers]


def test_every_invariant_names_a_test() -> None:
    table = PAGE.partition("## Invariants")[2].partition("## Where")[0]
    rows = [row for row in table.splitlines() if row.startswith("| ")][1:]
    assert rows
    assert [row for row in rows if "`tests/" not in row] == []


def test_every_room_of_tests_exists_for_a_room_of_the_package() -> None:
    beside = {
        "crash",
        "crash_real",
        "docs",
        "examples",
        "field",
        "field_real",
        "journeys",
        "properties",
        "race",
        "tidy",
        "vectors",
    }
    rooms = {path.name for path in (ROOT / "tests").iterdir() if path.is_dir()} - {"__pycache__"}
    package = {path.name for path in PACKAGE.iterdir() if path.is_dir()}
    assert sorted(rooms - beside - package) == []
