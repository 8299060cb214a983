"""Gates that look again and again at a real installation: results, alarms, a look out of turn."""

from __future__ import annotations

import sqlite3
from collections.abc import Callable, Iterator
from typing import Any

import msgspec
import pytest
from house import LAMP, AppHouse

from surefoot.core.errors import Refused
from surefoot.core.gate import Evidence

House = Callable[[str], AppHouse]
WATCHED = LAMP.replace(
    "  dev:\n    targets:", "  dev:\n    watch: {drift: 15}\n    targets:"
).replace("  approver: [approve]", "  approver: [approve]\n  operator: [environment.manage]")


@pytest.fixture
def home(house: House) -> Iterator[AppHouse]:
    """The product runs in dev, which is watched for drift."""
    made = house(WATCHED)
    made.set_up()
    made.call("person grant", "ann", person="bob", role="operator")
    made.installation.watcher._clock = made.clock
    made.release("1.0.0")
    assert made.carry(made.request("dev", release="1.0.0")) == "succeeded"
    yield made


def looked(home: AppHouse) -> dict[str, Any]:
    """Let the watcher make what is due, and wait for it."""
    watcher = home.installation.watcher
    watcher.run()
    thread = watcher._thread
    if thread is not None:
        thread.join(60)
    return rows(home)[0]


def rows(home: AppHouse, **arguments: Any) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = home.call("watch list", "ann", **arguments)["watches"]
    return found


def spoil(home: AppHouse) -> None:
    target = home.installation.targets("dev")["database:main"]
    with sqlite3.connect(target.address().removeprefix("sqlite:///")) as connection:  # type: ignore[attr-defined]
        connection.execute("ALTER TABLE lamp ADD COLUMN sneaked TEXT")


def test_what_is_due_is_looked_at_once_and_written_down(home: AppHouse) -> None:
    assert (rows(home)[0]["verdict"], rows(home)[0]["alarm"]) == ("", False)
    first = looked(home)
    assert (first["verdict"], first["runs"], first["alarm"]) == ("pass", 1, False), first
    assert first["release_version"] == "1.0.0"
    assert looked(home)["runs"] == 1, "not due again yet"
    home.clock.ahead_ms += 15 * 60_000
    assert looked(home)["runs"] == 2
    kept = home.installation.blobs.get(first["evidence"])
    assert msgspec.json.decode(kept, type=Evidence).gate == "drift"


def test_a_change_by_hand_is_an_alarm_until_it_is_gone(home: AppHouse) -> None:
    before = looked(home)
    spoil(home)
    home.clock.ahead_ms += 15 * 60_000
    found = looked(home)
    assert found["verdict"] == "fail" and found["alarm"]
    assert "database:main/schema" in found["reason"]
    alarms = home.facts("AlarmRaised")
    assert alarms == [{"code": "watch.fail", "subject": "drift in dev"}]
    then = rows(home, at=before["checked_at"], environment="dev")
    assert then[0]["verdict"] == "pass", "as it was known then"
    home.clock.ahead_ms += 31 * 60_000
    assert rows(home)[0]["overdue"]


def test_a_look_that_cannot_be_made_is_an_error_and_no_pass(
    home: AppHouse, monkeypatch: pytest.MonkeyPatch
) -> None:
    def broken(environment: str, release: str) -> Evidence:
        raise Refused("x.y", "the look", expected="an answer", found="none", remedy="none")

    monkeypatch.setitem(home.installation.watcher._looks, "drift", broken)  # type: ignore[arg-type]
    found = looked(home)
    assert found["verdict"] == "error" and found["alarm"]


def test_a_look_out_of_turn_needs_the_right_and_a_gate_that_watches(home: AppHouse) -> None:
    assert home.call("watch run", "bob", name="dev", gate="drift")["watches"][0]["runs"] == 1
    with pytest.raises(Refused, match=r"watch\.unknown"):
        home.call("watch run", "bob", name="dev", gate="smoke")
    home.enrol("carl")
    with pytest.raises(Refused, match=r"policy\."):
        home.call("watch run", "carl", name="dev", gate="drift")
