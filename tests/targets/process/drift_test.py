"""What is changed by hand shows, key by key, and a plan brings it back."""

import json
import os
import signal
import subprocess
from pathlib import Path

from surefoot.targets.keeper.proc import identity_of, listener_pid
from surefoot.targets.process_words import configuration_of, expected_observation
from surefoot.testing.waiting import until


def live(world) -> Path:
    return (world.folder / "api/live").resolve()


def differences(world) -> dict[str, tuple[object, object]]:
    expected = expected_observation({"api": world.service()})
    found = world.open().observe().stable
    names = (set(expected) | set(found)) - {"api/listener/address"}
    return {
        name: (expected.get(name), found.get(name))
        for name in names
        if expected.get(name) != found.get(name)
    }


def repaired(world) -> bool:
    world.deploy()
    return differences(world) == {} and world.get()[0] == 200


def test_nothing_differs_after_a_deployment(world) -> None:
    world.deploy()
    assert differences(world) == {}


def test_a_changed_value_shows(world) -> None:
    world.deploy()
    path = live(world) / "configuration.json"
    path.write_text(json.dumps({"greeting": "by hand", "ratio": 1.5}))
    found = differences(world)
    assert found.pop("api/configuration")[0] != None  # noqa: E711
    assert found == {
        "api/configuration/greeting": ("one", "by hand"),
        "api/configuration/ratio": (None, "1.5"),
    }
    assert repaired(world)
    assert world.get()[1] == b"one"


def test_a_file_changed_to_what_is_wanted_next_does_not_pass_for_a_restart(world) -> None:
    """The process read the old values at its start, whatever its file says now."""
    world.deploy(values={"greeting": "one"})
    path = live(world) / "configuration.json"
    path.write_bytes(configuration_of({"greeting": "two"}))
    assert world.get()[1] == b"one"
    assert world.deploy(values={"greeting": "two"})
    assert world.get()[1] == b"two"
    assert world.deploy(values={"greeting": "two"}) == []


def test_a_broken_or_missing_configuration_shows(world) -> None:
    world.deploy()
    path = live(world) / "configuration.json"
    path.write_text("{")
    assert set(differences(world)) == {"api/configuration", "api/configuration/greeting"}
    path.unlink()
    assert set(differences(world)) == {"api/configuration", "api/configuration/greeting"}
    assert repaired(world)


def test_changed_added_and_removed_files_show(world) -> None:
    world.deploy()
    artifact = live(world) / "artifact"
    with open(artifact / "service.py", "a") as file:
        file.write("# by hand\n")
    (artifact / "extra").write_text("")
    os.chmod(artifact / "extra", 0o755)
    (_, found) = differences(world)["api/artifact"]
    assert found == f"{world.artifact}, changed by hand: extra, service.py"
    (artifact / "extra").unlink()
    (artifact / "service.py").unlink()
    assert str(differences(world)["api/artifact"][1]).endswith("changed by hand: service.py")
    assert repaired(world)


def test_a_changed_mode_shows(world) -> None:
    world.deploy()
    os.chmod(live(world) / "artifact/service.py", 0o777)
    assert set(differences(world)) == {"api/artifact"}


def start_by_hand(world, greeting: str) -> "subprocess.Popen[bytes]":
    """Somebody stops keeper and service and starts the program with other arguments."""
    folder, pid = live(world), world.pid()
    world.kill_keeper()
    os.kill(pid, signal.SIGKILL)
    (folder / "service.sock").unlink()
    config, secrets = folder.parent / "mine.json", folder.parent / "none.json"
    config.write_text(json.dumps({"greeting": greeting}))
    secrets.write_text("{}")
    command = ["python3", "service.py", "unix:../service.sock", config, secrets]
    hand = subprocess.Popen(command, cwd=folder / "artifact", start_new_session=True)
    until(lambda: listener_pid(folder, "service.sock") != 0)
    return hand


def test_a_process_started_by_hand_shows_and_is_replaced(world, request) -> None:
    world.deploy()
    hand = start_by_hand(world, "by hand")
    request.addfinalizer(lambda: (hand.kill(), hand.wait()))
    found = differences(world)
    expected, seen = found["api/process/command"]
    assert expected == ["python3", "service.py", "{listen}", "{config}", "{secrets}"]
    assert "mine.json" in str(seen)
    assert found["api/keeper/version"] == ("1", "absent")
    config = live(world).parent / "mine.json"
    config.unlink()
    (live(world).parent / "none.json").unlink()
    assert repaired(world)
    assert world.get()[1] == b"one"
    assert hand.poll() == -signal.SIGTERM, "it was ended"


def test_a_missing_process_shows(world) -> None:
    world.deploy()
    pid = world.pid()
    world.kill_keeper()
    os.kill(pid, signal.SIGKILL)
    until(lambda: identity_of(pid) is None)
    found = differences(world)
    assert found["api/process/state"] == ("running", "missing")
    assert repaired(world)


def test_a_changed_limit_shows(world) -> None:
    world.deploy()
    subprocess.run(["prlimit", f"--pid={world.pid()}", "--nofile=128:256"], check=True)
    assert differences(world) == {"api/limits/open_files": (256, 128)}
    assert repaired(world)


def test_a_stopped_listener_shows(world) -> None:
    world.deploy()
    (live(world) / "service.sock").unlink()
    assert differences(world)["api/process/state"] == ("running", "not listening")
    assert repaired(world)
