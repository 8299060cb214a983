"""One stored example of each kind of fact; they are never changed and must fold for ever.

A new kind gets a new file at the end; a fact with a new form gets an upcaster, not a new example.
States may gain fields, so the stored ones must be contained in what the fold makes.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import msgspec
import pytest

from surefoot.core import facts as f
from surefoot.core import upcast
from surefoot.core.world import FOLDS
from surefoot.testing.history import Told, again
from surefoot.trust import canonical

FOLDER = Path(__file__).parents[1] / "vectors" / "facts"
FILES = sorted(p for p in FOLDER.glob("*.json") if p.name != "states.json")


def stored() -> list[Told]:
    found = []
    for index, path in enumerate(FILES):
        entry = json.loads(path.read_text())
        found.append(Told(index=index, time_ms=1_790_000_001_000, **entry))
    return found


def missing(expected: Any, found: Any, path: str = "") -> list[str]:
    if isinstance(expected, dict) and isinstance(found, dict):
        return [
            problem
            for name, value in expected.items()
            for problem in missing(value, found.get(name), f"{path}/{name}")
        ]
    return [] if expected == found else [f"{path}: expected {expected}, found {found}"]


def test_every_kind_has_an_example_and_a_fold() -> None:
    assert {entry.kind for entry in stored()} == {*f.KINDS, *upcast.SUCCESSORS}
    assert {kind.__name__ for kind in FOLDS} == set(f.KINDS)


@pytest.mark.parametrize("entry", stored(), ids=lambda entry: f"{entry.index}-{entry.kind}")
def test_an_example_is_read_and_written_the_same(entry: Told) -> None:
    fact = f.fact_of(entry.kind, entry.body)
    assert canonical.encode(f.body_of(fact)) == canonical.encode(
        upcast.present(entry.kind, entry.body)[1]
    )
    assert f.stream_of(fact) == entry.stream


def test_the_examples_fold_to_the_stored_states() -> None:
    states = json.loads((FOLDER / "states.json").read_text())
    found = json.loads(json.dumps(again(stored()).states()))
    assert missing(states, found) == []


def test_an_old_form_goes_up_one_form_at_a_time() -> None:
    successors = {
        "RoleGiven": upcast.Successor(
            kind="RoleGivenTo", body=lambda b: {"who": b["name"], "role": b["role"]}
        ),
        "RoleGivenTo": upcast.Successor(
            kind="RoleGranted", body=lambda b: {"person": b["who"], "role": b["role"]}
        ),
    }
    old = {"name": "ann", "role": "tester"}
    assert upcast.present("RoleGiven", old, successors) == (
        "RoleGranted",
        {"person": "ann", "role": "tester"},
    )
    assert old == {"name": "ann", "role": "tester"}


def test_an_entry_of_an_old_form_is_folded_as_its_successor(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    successor = upcast.Successor(
        kind="RoleGranted", body=lambda b: {"person": b["name"], "role": b["role"]}
    )
    with monkeypatch.context() as patched:
        patched.setitem(upcast.SUCCESSORS, "RoleGiven", successor)  # type: ignore[arg-type]
        found = f.fact_of("RoleGiven", {"name": "ann", "role": "tester"})
    assert found == f.RoleGranted(person="ann", role="tester")


def test_every_old_form_ends_at_a_present_one() -> None:
    assert set(upcast.SUCCESSORS) & set(f.KINDS) == set()
    for kind in upcast.SUCCESSORS:
        seen = [kind]
        while seen[-1] in upcast.SUCCESSORS:
            seen.append(upcast.SUCCESSORS[seen[-1]].kind)
            assert len(seen) == len(set(seen)), seen
        assert seen[-1] in f.KINDS


@pytest.mark.parametrize(
    ("kind", "body"),
    [
        ("NeverHeardOf", {}),
        ("RoleGranted", {"person": "ann"}),
        ("RoleGranted", {"person": "ann", "role": "x", "more": 1}),
        ("RoleGranted", {"person": 7, "role": "x"}),
    ],
)
def test_what_no_version_knew_is_an_error(kind: str, body: dict[str, Any]) -> None:
    with pytest.raises((ValueError, msgspec.ValidationError)):
        f.fact_of(kind, body)
