"""A full deployment that dies at every point: nothing lost, nothing twice, nothing unclaimed."""

from __future__ import annotations

import random
import sqlite3
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from surefoot.core.fold import new_world
from surefoot.journal.verify import verify_live
from surefoot.store.sqlite import SqliteDatabase
from surefoot.testing.journal import KEY
from surefoot.testing.outside import problems_of, read_entries
from surefoot.testing.simulator import SCENARIOS, Faults, run_to_the_end, seeded

ENDS = {
    "good": "succeeded",
    "unhealthy": "returned",
    "smoke": "returned",
    "devices": "stopped",
    "contract": "stopped",
    "empty": "succeeded",
}
PLACES = 5 + 2 + 2 + 2  # appends; claim; act; record: each before and after

RECORDED = ("append:committed", "append:signed", "append:stored", "record:after")

Fresh = Callable[[str], Path]


def check(folder: Path) -> None:
    assert problems_of(folder) == []


def check_whole(folder: Path) -> None:
    """The outside look, and a full replay of the journal."""
    check(folder)
    database = SqliteDatabase(folder / "store")
    path = folder / "outside" / "last-checkpoint"
    report = verify_live(database, KEY.verifier.text(), path, make_world=new_world)
    database.close()
    assert report.ok, report.problems


def everywhere_once(mode: str, folder: Path) -> Faults:
    """Strike at each fault point the first time it is come to.

    A point is: how many results are in the journal, claiming or acting and recording, and where.
    After a strike the step is claimed again; that claim's points are known already and pass. A
    result that is in the journal is never recorded again, so only one of the last four points can
    be struck for each step: they take turns.
    """
    seen: set[tuple[int, bool, str]] = set()
    acting = False

    def choose(_count: int, place: str) -> str:
        nonlocal acting
        count = results(folder)
        point = (count, acting, place)
        new = point not in seen and not (
            acting and place in RECORDED and RECORDED[count % 4] != place
        )
        seen.add(point)
        if new and not (mode == "fail" and place.startswith("act:")):
            acting = False
        elif place in ("claim:after", "record:after"):
            acting = place == "claim:after"
        return mode if new else ""

    return Faults(choose)


def results(folder: Path) -> int:
    connection = sqlite3.connect(folder / "store" / "surefoot.db")
    count = connection.execute("SELECT count(*) FROM entries WHERE kind = 'StepFinished'")
    found: int = count.fetchone()[0]
    connection.close()
    return found


@pytest.mark.parametrize(
    ("mode", "scenario"),
    [*(("crash", s) for s in SCENARIOS), *(("fail", s) for s in ("good", "devices"))],
)
def test_struck_at_every_point_of_every_step(fresh: Fresh, scenario: str, mode: str) -> None:
    folder = fresh(scenario)
    faults = everywhere_once(mode, folder)
    assert run_to_the_end(folder, scenario, faults, lambda: check(folder)) == ENDS[scenario]
    check_whole(folder)
    places = {line.split(" at ")[1] for line in faults.struck}
    assert len(places) == PLACES
    assert len(faults.struck) >= (170 if scenario == "good" else 70)


@pytest.mark.parametrize("seed", range(6))
def test_struck_at_random(fresh: Fresh, seed: int) -> None:
    scenario = SCENARIOS[seed % len(SCENARIOS)]
    folder = fresh(f"seed-{seed}")
    faults = seeded(seed)
    assert run_to_the_end(folder, scenario, faults, lambda: check(folder)) == ENDS[scenario]
    check_whole(folder)
    assert len(faults.struck) >= 5, "this seed strikes too rarely to show anything"


def test_a_run_without_faults_is_the_same_each_time(fresh: Fresh) -> None:
    kinds = []
    for name in ("one", "two"):
        folder = fresh(name)
        run_to_the_end(folder, "good", Faults(lambda count, place: ""))
        kinds.append([(e["kind"], e["body"]) for e in read_entries(folder / "store/surefoot.db")])
    assert kinds[0] == kinds[1]


@pytest.mark.parametrize(("scenario", "seed"), [("good", 1), ("devices", 2), ("smoke", 3)])
def test_killed_for_real(fresh: Fresh, scenario: str, seed: int) -> None:
    """SIGKILL at a random, repeatable point, again and again, until a process gets to the end."""
    folder, rng = fresh(scenario), random.Random(seed)
    kills = 0
    for number in range(60):
        at = rng.randrange(8, 34) if kills < 8 else 0
        command = [sys.executable, "-m", "surefoot.testing.simulator", str(folder)]
        ended = subprocess.run(
            [*command, "", f"w{number}", scenario, str(at)],
            capture_output=True,
            text=True,
            timeout=300,
            check=False,
        )
        check(folder)
        if ended.returncode != -9:
            break
        kills += 1
    assert ended.returncode == 0, ended.stderr
    assert ended.stdout.strip() == ENDS[scenario]
    assert kills == 8, f"seed {seed} ended after {kills} kills"
    check_whole(folder)
