"""Processes and keepers that die, secrets that stay in memory, and ways back."""

import json
import os
import signal
import subprocess
import sys
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from surefoot.core.errors import Failed
from surefoot.targets.keeper import control
from surefoot.targets.keeper.proc import (
    Identity,
    boot_id,
    connect_unix,
    identity_of,
    is_alive,
)
from surefoot.testing.waiting import until


def listens(folder: Path) -> bool:
    """Whether a generation takes connections."""
    try:
        connect_unix(folder, "service.sock", 60).close()
    except OSError:
        return False
    return True


def events(world) -> list[str]:
    return [str(e["event"]) for e in world.open().observe().volatile["api/events"]]


def test_a_crashed_service_is_restarted_and_recorded(world) -> None:
    world.deploy()
    first, before = world.pid(), world.open().observe()
    os.kill(first, signal.SIGKILL)
    until(lambda: "restarted" in events(world))
    assert world.get()[0] == 200
    look = world.open().observe()
    assert look.volatile["api/process/pid"] != first
    assert look.volatile["api/process/restarts"] == 1
    assert look.digest() == before.digest(), "a restart under the claim is no drift"
    crashed = next(e for e in look.volatile["api/events"] if e["event"] == "crashed")
    assert (crashed["exit_status"], crashed["pid"]) == (-9, first)
    assert crashed["at_ms"] > 1_700_000_000_000


def test_requests_during_a_short_crash_wait_for_the_restart(world) -> None:
    world.deploy()
    pid = world.pid()
    os.kill(pid, signal.SIGKILL)
    until(lambda: identity_of(pid) is None)
    assert [world.get()[0] for _ in range(5)] == [200] * 5


def test_a_request_that_the_killed_service_never_read_waits_for_the_restart(world) -> None:
    """A stopped process reads nothing, but its socket still takes connections."""
    world.deploy()
    pid = world.pid()
    os.kill(pid, signal.SIGSTOP)
    with ThreadPoolExecutor() as threads:
        waiting = [threads.submit(world.get) for _ in range(5)]
        until(lambda: world.active() == 5)
        os.kill(pid, signal.SIGKILL)
        assert [each.result()[0] for each in waiting] == [200] * 5


def test_requests_wait_for_a_live_generation_that_is_started_again(world) -> None:
    """The control plane is the one that starts it: after a crash the keeper lacks its secrets."""
    world.deploy()
    service = world.service(generation=str(world.open().observe().volatile["api/generation"]))
    pid = world.pid()
    world.kill_keeper()
    os.kill(pid, signal.SIGKILL)
    until(lambda: identity_of(pid) is None)
    assert world.step("start", **service).status == "done"
    assert [world.get()[0] for _ in range(3)] == [200] * 3


def test_a_service_on_a_port_is_waited_for_too(world) -> None:
    """The new process listens on another port."""
    world.deploy(listen="tcp")
    pid = world.pid()
    os.kill(pid, signal.SIGKILL)
    until(lambda: identity_of(pid) is None)
    assert [world.get()[0] for _ in range(3)] == [200] * 3


def test_a_service_that_keeps_crashing_is_slowed_down(world) -> None:
    world.deploy()
    for _ in range(3):
        pid = world.pid()
        os.kill(pid, signal.SIGKILL)
        until(lambda pid=pid: world.open().observe().volatile.get("api/process/pid", pid) != pid)
    pauses = [
        e["pause_ms"]
        for e in world.open().observe().volatile["api/events"]
        if e["event"] == "crashed"
    ]
    assert pauses == [100, 200, 400]


def test_a_killed_keeper_is_seen_and_brought_back_on_its_port(world) -> None:
    world.deploy()
    port, pid = world.port, world.pid()
    world.kill_keeper()
    look = world.open().observe()
    assert look.stable["api/keeper/version"] == "absent"
    assert look.stable["api/process/state"] == "running"
    assert look.volatile["api/process/pid"] == pid
    steps = world.deploy()
    assert [s.action for s in steps] == ["start", "check", "switch", "drain"]
    assert world.port == port
    assert world.get() == (200, b"one")
    assert "adopted" in events(world)
    assert identity_of(pid) is None
    assert world.open().plan({"api": world.service()}, world.open().observe()) == ()


def test_an_adopted_process_is_restarted_with_its_secrets(world) -> None:
    world.deploy()
    world.kill_keeper()
    generation = str(world.open().observe().volatile["api/generation"])
    assert world.step("switch", generation=generation).status == "done"
    pid = world.pid()
    os.kill(pid, signal.SIGKILL)
    until(lambda: "restarted" in events(world))
    told = json.loads(world.get("/who")[1])
    assert told["keys"] == {"session_key": "test-secret-1"}
    assert told["pid"] != pid


def test_keeper_and_service_killed_together_come_back(world) -> None:
    world.deploy()
    pid = world.pid()
    world.kill_keeper()
    os.kill(pid, signal.SIGKILL)
    until(lambda: world.open().observe().stable["api/process/state"] == "missing")
    world.deploy()
    assert world.get() == (200, b"one")


def test_the_keeper_outlives_the_control_plane(world) -> None:
    world.deploy()
    sid = Path(f"/proc/{world.keeper_pid()}/stat").read_text().rpartition(")")[2].split()[3]
    assert int(sid) != os.getsid(0)
    script = "import os, signal; os.kill(os.getpid(), signal.SIGKILL)"
    subprocess.run([sys.executable, "-c", script], check=False)
    parent = Path(f"/proc/{world.keeper_pid()}/stat").read_text().rpartition(")")[2].split()[1]
    assert int(parent) != os.getpid(), "nobody of ours is its parent"


@pytest.mark.parametrize("moment", ["start", "check", "switch", "drain"])
def test_a_control_plane_killed_at_a_step_is_resumed(world, moment: str, tmp_path: Path) -> None:
    """The step runs in a process of its own that is killed under way; the next one finishes it."""
    world.deploy()
    target = world.open()
    steps = target.plan({"api": world.service(values={"greeting": "two"})}, target.observe())
    for step in steps:
        if step.action == moment:
            child = os.fork()
            if not child:
                world.apply(step)
                os._exit(0)
            time.sleep(0.03)
            os.kill(child, signal.SIGKILL)
            os.waitpid(child, 0)
            world.fence += 1
        assert world.apply(step).status == "done"
    assert world.get() == (200, b"two")
    target = world.open()
    assert target.plan({"api": world.service(values={"greeting": "two"})}, target.observe()) == ()
    assert processes_of(world) == 1


def processes_of(world) -> int:
    found = 0
    for entry in Path("/proc").iterdir():
        if entry.name.isdigit():
            try:
                found += str(world.folder).encode() in (entry / "environ").read_bytes()
            except OSError:
                continue
    return found


def test_secrets_reach_the_service_and_no_file(world) -> None:
    world.deploy()
    told = json.loads(world.get("/who")[1])
    assert told["keys"] == {"session_key": "test-secret-1"}
    assert not any("secret-1" in value for value in told["environ"].values())
    assert b"test-secret-1" not in Path(f"/proc/{told['pid']}/cmdline").read_bytes()
    for path in world.folder.rglob("*"):
        if path.is_file():
            assert b"test-secret-1" not in path.read_bytes(), path
    steps = world.deploy(secrets={"session_key": 2})
    assert len(steps) == 4
    assert json.loads(world.get("/who")[1])["keys"] == {"session_key": "test-secret-2"}


def test_the_environment_of_a_service_is_minimal(world, monkeypatch) -> None:
    monkeypatch.setenv("PRIVATE", "of the control plane")
    world.deploy()
    told = json.loads(world.get("/who")[1])
    names = {"PATH", "LANG", "STATE_DIRECTORY", "PYTHONDONTWRITEBYTECODE", "SUREFOOT_GENERATION"}
    assert set(told["environ"]) - {"LC_CTYPE"} == names
    limits = Path(f"/proc/{told['pid']}/limits").read_text()
    assert "Max open files            256                  256" in limits
    assert "Max core file size        0                    0" in limits
    assert os.getsid(told["pid"]) == told["pid"]
    config = next(world.folder.glob("api/generations/*/configuration.json"))
    assert config.stat().st_mode & 0o777 == 0o640
    assert (world.folder / "api/control.sock").stat().st_mode & 0o777 == 0o600


def test_a_service_that_takes_too_much_memory_is_ended(world) -> None:
    world.deploy(memory_mib=16)
    until(lambda: "memory-exceeded" in events(world))


def test_an_unhealthy_generation_fails_its_check_and_the_old_goes_on(world) -> None:
    world.deploy()
    target = world.open()
    health = {"path": "/health", "timeout_seconds": 3}
    bad = {"api": world.service(values={"broken": True}, health=health)}
    start, check, _, _ = target.plan(bad, target.observe())
    assert world.apply(start).status == "done"
    until(lambda: listens(world.folder / "api/generations" / start.arguments["generation"]))
    outcome = world.apply(check)
    assert outcome.status == "failed" and "status 500" in outcome.reason
    assert world.get() == (200, b"one")
    stop = type(start)(
        **{**{f: getattr(start, f) for f in start.__struct_fields__}, "action": "stop"}
    )
    assert world.apply(stop).status == "done"
    assert processes_of(world) == 1
    assert world.get() == (200, b"one")


def test_a_service_that_dies_at_once_fails_its_check_at_once(world) -> None:
    target = world.open()
    start, check, _ = target.plan({"api": world.service(values={"dies": True})}, target.observe())
    assert world.apply(start).status == "done"
    began = time.monotonic()
    outcome = world.apply(check)
    assert outcome.status == "failed" and "exit status 7" in outcome.reason
    assert time.monotonic() - began < 60, "not after the check's 90 s"


def test_a_program_that_is_not_there_is_a_failed_start(world) -> None:
    outcome = world.step("start", **world.service(generation="g1", command=["no-such-program"]))
    assert outcome.status == "failed" and "target.command.failed" in outcome.reason


def test_a_switch_is_reverted_also_after_the_drain(world) -> None:
    world.deploy()
    steps = world.deploy(values={"greeting": "two"})
    switch = next(s for s in steps if s.action == "switch")
    assert world.get()[1] == b"two"
    assert world.step("revert", **switch.arguments).status == "done"
    assert world.get()[1] == b"one"
    assert processes_of(world) == 1
    assert world.open().plan({"api": world.service()}, world.open().observe()) == ()


def test_reverting_the_first_switch_leaves_nothing_live(world) -> None:
    steps = world.deploy()
    switch = next(s for s in steps if s.action == "switch")
    assert world.step("revert", **switch.arguments).status == "done"
    assert world.get()[0] == 503
    assert processes_of(world) == 0


def test_restart_brings_the_declared_state_back_in_one_step(world) -> None:
    world.deploy()
    outcome = world.step("restart", **world.service(generation="fresh"))
    assert outcome.status == "done"
    assert world.open().observe().volatile["api/generation"] == "fresh"
    assert processes_of(world) == 1


def test_another_listener_is_taken_and_the_old_one_left(world) -> None:
    world.deploy()
    old = world.port
    world.deploy(listener="127.0.0.2:0")
    assert world.open().address("api").startswith("127.0.0.2:")
    look = world.open().observe()
    assert look.stable["api/listener/declared"] == "127.0.0.2:0"
    world.deploy(listener=f"127.0.0.1:{old}")
    assert world.get()[0] == 200


def test_a_port_in_use_is_an_error_that_changes_nothing(world, tmp_path) -> None:
    world.deploy()
    taken = f"127.0.0.1:{world.port}"
    other = type(world)(tmp_path / "other")
    with pytest.raises(Failed) as raised:
        other.step("start", **other.service(generation="g1", listener=taken))
    assert raised.value.code == "target.listener.busy"
    assert raised.value.expected and raised.value.remedy
    assert world.get()[0] == 200
    other.remove()


def test_removing_leaves_nothing(world) -> None:
    world.deploy()
    keeper, pid = world.keeper_pid(), world.pid()
    target = world.open()
    (step,) = target.plan({}, target.observe())
    assert (step.action, step.reversible) == ("remove", False)
    assert world.apply(step).status == "done"
    assert not (world.folder / "api").exists()
    until(lambda: identity_of(keeper) is None and identity_of(pid) is None)
    assert world.open().observe().stable == {}
    assert world.step("remove").status == "done"


def test_removing_after_the_keeper_was_killed_leaves_nothing(world) -> None:
    world.deploy()
    pid = world.pid()
    world.kill_keeper()
    assert world.step("remove").status == "done"
    until(lambda: identity_of(pid) is None)


def test_old_generations_are_kept_in_number(world) -> None:
    for number in range(5):
        world.deploy(values={"greeting": str(number)})
    assert len(list((world.folder / "api/generations").iterdir())) == 3


def test_a_keeper_is_not_started_twice(world) -> None:
    world.deploy()
    pid = world.keeper_pid()
    command = [sys.executable, "-m", "surefoot.targets.keeper", world.folder / "api", "127.0.0.1:0"]
    ended = subprocess.run(command, capture_output=True, check=False)
    assert ended.stdout == b"ready already\n"
    assert world.keeper_pid() == pid


def test_a_reused_pid_is_another_process() -> None:
    mine = identity_of(os.getpid())
    assert mine is not None and is_alive(mine)
    assert not is_alive(Identity(pid=mine.pid, started=mine.started - 1, boot=mine.boot))
    assert not is_alive(Identity(pid=mine.pid, started=mine.started, boot="another"))
    assert mine.boot == boot_id()


def test_the_control_socket_answers_nonsense_with_an_error(world) -> None:
    world.deploy()
    for request in (
        {"do": "nothing"},
        {"do": "switch"},
        {"do": "start", "spec": {}, "secrets": ""},
    ):
        with pytest.raises(Exception) as raised:
            control.ask(world.folder / "api", request)
        assert raised.value.code.startswith("target.")
    assert world.get()[0] == 200
