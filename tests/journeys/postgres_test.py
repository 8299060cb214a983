"""Two server processes on one PostgreSQL store and one data folder, on the example product.

The working one is killed by SIGKILL in the middle of a deployment, the other one finishes it when
the lease has ended; the connections of both are cut; both verify the journal in the end.
"""

from __future__ import annotations

import json
import signal
import urllib.request
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from surefoot.demo import acts

pytestmark = pytest.mark.timeout(600)

PRODUCT = Path(__file__).resolve().parents[2] / "examples" / "thermostat"
SERVERS = ("server", "second")
# In the middle of the first deployment: with the step claimed, and not acted on.
KILL_AT = "claim:after#4"


def poll(address: str, device: dict[str, str]) -> int:
    request = urllib.request.Request(
        f"{address}/dev/controller/v1/{device['id']}",
        headers={"Authorization": f"TargetToken {device['token']}"},
    )
    with urllib.request.urlopen(request, timeout=90) as answer:
        return int(answer.status)


def kinds(stage: Any) -> set[str]:
    return {entry["kind"] for entry in stage.entries()}


def check_steps(entries: list[dict[str, Any]], number: int) -> set[str]:
    """Every step once, no claim beside another without a takeover; returns the workers."""
    own = [e for e in entries if e["body"].get("deployment") == number]
    claims = [e["body"] for e in own if e["kind"] == "StepClaimed"]
    fresh = Counter(c["step"] for c in claims if not c.get("takeover", False))
    results = Counter(e["body"]["step"] for e in own if e["kind"] == "StepFinished")
    wanted = next(e["body"]["steps"] for e in own if e["kind"] == "DeploymentRequested")
    assert sorted(results) == sorted(wanted)
    assert set(results.values()) == {1}
    assert set(fresh.values()) == {1}
    return {c["worker"] for c in claims}


def verify_through(stage: Any, door: str) -> dict[str, Any]:
    with stage.through(door):
        answer = stage.run("olga", "journal", "verify")
    report: dict[str, Any] = answer.get("report", answer)
    assert report["ok"] and report["replayed"]
    return report


def test_two_servers_share_the_work_and_one_is_killed(
    shared: Callable[[Path], Any], tmp_path: Path
) -> None:
    stage = shared(PRODUCT)
    acts.install(stage)
    acts.enrol_devices(stage)
    devices = json.loads((stage.folder / "devices-dev.json").read_text())
    acts.cut(stage, "1.0.0")
    stage.stop("server")

    addresses = {"second": stage.join("second")}
    addresses["server"] = stage.join("server", SUREFOOT_KILL_AT=KILL_AT)
    third = stage.start(
        "", "server", "run", "--data", str(stage.data), "--listen", "127.0.0.1:0",
        "--devices", "127.0.0.1:0",
    )  # fmt: skip
    assert third.returncode != 0 and "server.listen.taken" in third.stderr + third.stdout
    for name in SERVERS:
        assert poll(addresses[name]["devices"], devices[0]) == 200
    with stage.frozen("second"):
        plan = acts.request(stage, "dev", "1.0.0")
        stage.wait("the first claim", lambda: "StepClaimed" in kinds(stage))
    stage.wait("the server to be killed", lambda: not stage.is_running("server"))
    assert stage.stop("server") == -signal.SIGKILL

    stage.door = "second"
    stage.devices_address = addresses["second"]["devices"]
    acts.start_fleet(stage, "dev", plan["deployment"])
    acts.finish(stage, plan["deployment"])
    assert len(check_steps(stage.entries(), plan["deployment"])) == 2

    stage.join("server")
    sizes = {name: verify_through(stage, name)["size"] for name in SERVERS}
    assert sizes[SERVERS[1]] >= sizes[SERVERS[0]] > 0

    assert stage.cut_connections() > 0
    secret_through(stage, "server")
    release_goes_on(stage, "server")
    from_the_folder(stage, tmp_path / "export")


def secret_through(stage: Any, door: str) -> None:
    """What one process sets, the other one's next deployment uses."""
    with stage.through(door):
        acts.give_secret(stage, "dev")


def release_goes_on(stage: Any, door: str) -> None:
    """After all connections were cut, both still work: a deployment runs to its end."""
    with stage.through(door):
        plan = acts.request(stage, "staging", "1.0.0")
    acts.start_fleet(stage, "staging", plan["deployment"])
    acts.finish(stage, plan["deployment"])
    check_steps(stage.entries(), plan["deployment"])
    for name in SERVERS:
        assert stage.is_running(name)
        with stage.through(name):
            shown = stage.run("olga", "environment", "show", "staging")
            assert shown["release_version"] == "1.0.0"
            assert stage.run("olga", "drift", "check", "staging")["differences"] == []
            verify_through(stage, name)


def from_the_folder(stage: Any, export: Path) -> None:
    """Without a server's help, beside the running ones: verify, export, verify the export."""
    assert stage.run("", "journal", "verify", "--data", str(stage.data))["ok"]
    made = stage.run("", "journal", "export", str(export), "--data", str(stage.data))
    report = stage.run(
        "", "journal", "verify", "--offline", str(export),
        "--log-key", str(stage.folder / "pinned.vkey"),
        "--checkpoint", str(stage.data / "checkpoint" / "last"),
    )  # fmt: skip
    assert report["ok"] and report["size"] == made["size"]
