"""The fold is a function of the facts: any machine, any process, any way there, the same world."""

from __future__ import annotations

import shutil
import subprocess
import sys
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from surefoot.core.fold import new_world
from surefoot.core.world import World
from surefoot.core.world_form import world_bytes, world_of
from surefoot.testing.simulator import SCENARIOS, Faults, Node, run_to_the_end
from surefoot.trust import canonical
from surefoot.trust.digest import digest_of
from surefoot.trust.entry import Entry

SETTINGS = settings(
    max_examples=40,
    deadline=None,
    derandomize=True,
    database=None,
    suppress_health_check=[HealthCheck.function_scoped_fixture],
)

Runs = dict[str, list[Entry]]


@pytest.fixture(scope="module")
def runs(prepared: Path, tmp_path_factory: pytest.TempPathFactory) -> Runs:
    """The entries of one whole deployment of each scenario."""
    found = {}
    for scenario in SCENARIOS:
        folder = shutil.copytree(prepared, tmp_path_factory.mktemp("fold") / scenario)
        run_to_the_end(folder, scenario, Faults(lambda count, place: ""))
        node = Node(folder, "reader")
        found[scenario] = node.log.entries(0, 10_000)
        node.close()
    return found


def folded(entries: list[Entry]) -> World:
    world = new_world()
    for entry in entries:
        world.apply(entry)
    return world


def states(world: World) -> dict[str, bytes]:
    return {stream: canonical.encode(world.state(stream)) for stream in world.heads}


@given(scenario=st.sampled_from(SCENARIOS), data=st.data())
@SETTINGS
def test_any_stop_on_the_way_gives_the_same_world(
    runs: Runs, scenario: str, data: st.DataObject
) -> None:
    entries = runs[scenario]
    at = data.draw(st.integers(0, len(entries)))
    interrupted = folded(entries[:at])
    for stream in interrupted.heads:
        interrupted.state(stream)  # looking changes nothing
    for entry in entries[at:]:
        interrupted.apply(entry)
    assert states(interrupted) == states(folded(entries))


@given(scenario=st.sampled_from(SCENARIOS), data=st.data())
@SETTINGS
def test_going_on_from_the_kept_form_gives_the_same_world(
    runs: Runs, scenario: str, data: st.DataObject
) -> None:
    """What a start from a snapshot does, at any cut."""
    entries = runs[scenario]
    at = data.draw(st.integers(0, len(entries)))
    taken_up = world_of(world_bytes(folded(entries[:at])))
    assert vars(taken_up) == vars(folded(entries[:at]))
    for entry in entries[at:]:
        taken_up.apply(entry)
    assert vars(taken_up) == vars(folded(entries))
    assert states(taken_up) == states(folded(entries))


@pytest.mark.parametrize("scenario", SCENARIOS)
def test_every_entry_carries_the_state_it_made(runs: Runs, scenario: str) -> None:
    world = new_world()
    for entry in runs[scenario]:
        world.apply(entry)
        assert digest_of(canonical.encode(world.state(entry.stream))) == entry.state


@given(scenario=st.sampled_from(SCENARIOS), data=st.data())
@SETTINGS
def test_a_fact_changes_its_own_stream_alone(
    runs: Runs, scenario: str, data: st.DataObject
) -> None:
    entries = runs[scenario]
    at = data.draw(st.integers(0, len(entries) - 1))
    world = folded(entries[:at])
    before = states(world)
    world.apply(entries[at])
    after = states(world)
    changed = {stream for stream in after if after[stream] != before.get(stream)}
    assert changed <= {entries[at].stream}


def test_another_process_with_another_hash_seed_folds_the_same(
    prepared: Path, tmp_path: Path
) -> None:
    folder = shutil.copytree(prepared, tmp_path / "run")
    script = (
        "import sys\n"
        "from pathlib import Path\n"
        "from surefoot.testing.simulator import Node\n"
        "from surefoot.trust import canonical\n"
        "from surefoot.trust.digest import digest_of\n"
        "node = Node(Path(sys.argv[1]), 'x')\n"
        "world = node.log.read(lambda w: {s: w.state(s) for s in sorted(w.heads)})\n"
        "print(digest_of(canonical.encode(world)))\n"
    )
    said = {
        subprocess.run(
            [sys.executable, "-c", script, str(folder)],
            env={"PYTHONHASHSEED": seed},
            capture_output=True,
            text=True,
            check=True,
            timeout=300,
        ).stdout
        for seed in ("0", "1", "2")
    }
    assert len(said) == 1
