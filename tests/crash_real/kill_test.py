"""SIGKILL of the control plane at many points of deployments on the real targets.

Each point starts a server that kills itself at a named place, asks for a deployment of the example
product, starts the server again, and lets it finish. Afterwards an outside look at the journal's
rows and at the service says that no step was done twice, none was lost, and nothing was changed
without its claim. Run with `make crash`; `CRASH_POINTS` sets how many points (default 30).
"""

from __future__ import annotations

import json
import os
import random
import signal
import sqlite3
import urllib.request
from collections import Counter
from collections.abc import Iterator
from contextlib import closing
from functools import partial
from pathlib import Path

import pytest

from surefoot.demo import acts
from surefoot.demo.stage import Stage
from surefoot.demo.voice import Voice

pytestmark = [pytest.mark.crash, pytest.mark.timeout(1800)]

ROOT = Path(__file__).resolve().parents[2]
PLACES = (
    "append:before",
    "append:written",
    "append:committed",
    "append:signed",
    "append:stored",
    "claim:before",
    "claim:after",
    "record:before",
    "record:after",
)
POINTS = int(os.environ.get("CRASH_POINTS", "30"))


@pytest.fixture(scope="module")
def stage(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Stage]:
    folder = tmp_path_factory.mktemp("crash")
    made = Stage(folder / "stage", ROOT / "examples" / "thermostat", Voice())
    try:
        acts.install(made)
        acts.cut(made, "1.0.0")
        plan = acts.request(made, "dev", "1.0.0")
        acts.finish(made, plan["deployment"])
        yield made
    finally:
        made.close()


def change(stage: Stage, number: int) -> str:
    """A release that makes every step of a service's deployment necessary."""
    definition = stage.repository / "surefoot.yaml"
    lines = definition.read_text().splitlines()
    at = next(i for i, line in enumerate(lines) if 'greeting: "dev' in line)
    lines[at] = f'    values: {{greeting: "dev {number}", sample_seconds: 60}}'
    definition.write_text("\n".join(lines) + "\n")
    stage.git("ann", "add", "--all")
    stage.git("ann", "commit", "--quiet", "--message", f"Greeting {number}")
    version = f"1.0.{number}"
    acts.cut(stage, version)
    return version


def over(stage: Stage, version: str) -> bool:
    if not stage.is_running("server"):
        return True
    listed = stage.start("olga", "deployment", "list", "--environment", "dev")
    if listed.returncode:
        return False
    rows = json.loads(listed.stdout)["deployments"]
    return any(d["release_version"] == version and d["ended_at"] for d in rows)


def rows(stage: Stage) -> list[dict]:
    file = next((stage.data / "store").glob("*.sqlite"), None) or next(
        (stage.data / "store").glob("*.db")
    )
    with closing(sqlite3.connect(file)) as database:
        found = database.execute("SELECT raw FROM entries WHERE stream IS NOT NULL ORDER BY idx")
        return [json.loads(raw) for (raw,) in found]


def test_no_step_is_lost_or_done_twice(stage: Stage) -> None:
    chosen = random.Random(7)
    killed = 0
    for number in range(1, POINTS + 1):
        version = change(stage, number)
        place, count = PLACES[number % len(PLACES)], chosen.randint(1, 8)
        stage.stop("server")
        stage.start_server(SUREFOOT_KILL_AT=f"{place}#{count}")
        stage.start("olga", "deployment", "request", "dev", version)
        # Where the deployment ends before the place was passed so often, it must be whole as well.
        stage.wait("the kill or the end", partial(over, stage, version), 60)
        status = stage.stop("server")
        killed += status == -signal.SIGKILL
        stage.start_server()
        listed = stage.run("olga", "deployment", "list", "--environment", "dev")["deployments"]
        known = next((d for d in listed if d["release_version"] == version), None)
        if known is None:
            known = {"number": acts.request(stage, "dev", version)["deployment"]}
        acts.finish(stage, int(known["number"]))
        check(stage, int(known["number"]), f"dev {number}")
    assert killed >= POINTS * 2 // 3, f"only {killed} of {POINTS} points killed the server"


def check(stage: Stage, number: int, greeting: str) -> None:
    entries = [e for e in rows(stage) if e["body"].get("deployment") == number]
    results = Counter(e["body"]["step"] for e in entries if e["kind"] == "StepFinished")
    fresh = Counter(
        e["body"]["step"]
        for e in entries
        if e["kind"] == "StepClaimed" and not e["body"].get("takeover", False)
    )
    assert set(results.values()) == {1}
    assert all(count == 1 for count in fresh.values())
    wanted = next(e["body"]["steps"] for e in entries if e["kind"] == "DeploymentRequested")
    assert sorted(results) == sorted(wanted)
    assert stage.run("olga", "drift", "check", "dev")["differences"] == []
    assert acts.service_url(stage, "dev")
    with urllib.request.urlopen(acts.service_url(stage, "dev") + "/health") as answer:
        assert answer.status == 200
    shown = stage.run("olga", "environment", "show", "dev")
    assert shown["values"]["greeting"] == greeting
    generations = stage.data / "targets" / "dev" / "process" / "api" / "generations"
    live = [
        json.loads(path.read_text())["greeting"]
        for path in generations.glob("*/configuration.json")
    ]
    assert greeting in live
    report = stage.run("olga", "journal", "verify")
    assert report.get("report", report)["ok"]
