"""The fleet target passes the targets' suite; and what is special to it."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import msgspec
import pytest

from surefoot.core.errors import Refused
from surefoot.core.target import Plain, Step
from surefoot.store.database import statement
from surefoot.store.sqlite import SqliteDatabase
from surefoot.targets.fleet import FleetTarget
from surefoot.testing.claims import Claims
from surefoot.testing.device_door import DeviceHouse
from surefoot.testing.target_conformance import TargetConformance

ENV = "production"
RELEASE = "sha256:" + "1" * 64


class FleetCase:
    """Twenty devices on a database of their own."""

    def __init__(self, folder: Path) -> None:
        self.house = DeviceHouse(folder)
        self.claims = Claims(ENV)
        self.house.enrol(ENV, *(f"d{n}" for n in range(20)))
        self.desired = self._desired(1, "1.0.0")
        self.other = self._desired(2, "1.1.0")

    def _desired(self, deployment: int, version: str) -> Plain:
        firmware = self.house.firmware(version.encode(), version)
        plain: Plain = msgspec.to_builtins(firmware)
        return {
            "deployment": deployment,
            "release": RELEASE,
            "component": "firmware",
            "firmware": plain,
            "waves": [10, 100],
            "policy": {"waves": [10, 100], "error_percent": 20},
        }

    def open(self) -> FleetTarget:
        return self.house.fleet(ENV)

    def bad_steps(self) -> Sequence[Step]:
        good = self.open().plan(self.desired, self.open().observe().__class__(target="fleet"))[0]
        broken = [{}, {"wave": "one"}, {"firmware": 1}, {"policy": []}, {"percent": "all"}]
        return [
            msgspec.structs.replace(good, arguments={**good.arguments, **change} if change else {})
            for change in broken
        ]

    def forget(self, operation: str) -> None:
        database = self.house.database
        assert isinstance(database, SqliteDatabase)
        assert statement("device.receipt", "sqlite")
        database._writer.execute("DELETE FROM device_receipts WHERE operation = ?", (operation,))

    def effects(self) -> int:
        waves = [self.house.registry.states(ENV, n) for n in (1, 2)]
        return sum(sum(count.values()) for wave in waves for count in wave.values())


@pytest.fixture
def case(tmp_path: Path) -> Any:
    found = FleetCase(tmp_path)
    yield found
    found.house.database.close()


class TestFleet(TargetConformance):
    """See the suite."""


def test_a_step_a_wave_and_why_it_cannot_be_undone(case: FleetCase) -> None:
    target = case.open()
    first, last = target.plan(case.desired, target.observe())
    assert (first.arguments["wave"], first.arguments["percent"]) == (0, 10)
    assert (last.arguments["wave"], last.arguments["percent"]) == (1, 100)
    assert not first.reversible and first.why_irreversible
    previous: Plain = {"release": RELEASE, "firmware": case.other["firmware"]}
    assert target.plan({**case.desired, "previous": previous}, target.observe())[0].reversible


def test_a_rollout_that_ended_half_way_is_planned_again(case: FleetCase) -> None:
    target = case.open()
    steps = target.plan(case.desired, target.observe())
    target.apply(steps[0], case.claims.token(steps[0], "1/one", 1))
    assert len(target.plan(case.desired, target.observe())) == 2
    target.apply(steps[1], case.claims.token(steps[1], "1/two", 2))
    assert target.plan(case.desired, target.observe()) == ()


def test_what_devices_do_is_volatile(case: FleetCase) -> None:
    target = case.open()
    steps = target.plan(case.desired, target.observe())
    target.apply(steps[0], case.claims.token(steps[0], "1/one", 1))
    look = target.observe()
    assert look.volatile["states"] == {"0": {"assigned": 2}}
    assert look.stable["assignments/version"] == "1.0.0"


def test_without_an_earlier_firmware_a_return_withdraws_only(case: FleetCase) -> None:
    target = case.open()
    step = target.plan(case.desired, target.observe())[0]
    target.apply(step, case.claims.token(step, "1/one", 1))
    undo = msgspec.structs.replace(step, action="return_devices")
    outcome = target.apply(undo, case.claims.token(undo, "1/undo", 2))
    assert outcome.figures == {"withdrawn": 2, "cancelling": 0}


@pytest.mark.parametrize(
    "change", [{"waves": [50]}, {"waves": []}, {"policy": {"success_percent": 0}}, {"release": 1}]
)
def test_desires_that_make_no_sense_are_refused(case: FleetCase, change: Plain) -> None:
    target = case.open()
    with pytest.raises(Refused):
        target.plan({**case.desired, **change}, target.observe())


def test_one_device_is_found_by_name(case: FleetCase) -> None:
    found = case.house.registry.find(ENV, "d7")
    assert found is not None and found.device == "d7"
    assert case.house.registry.find(ENV, "nobody") is None


def test_what_is_only_downloaded_is_assigned_again_to_be_installed(tmp_path: Path) -> None:
    case = FleetCase(tmp_path)
    held: Plain = {"waves": [100], "policy": {"urgency": "download-only"}}
    desired = {**case.desired, **held}
    target = case.open()
    (step,) = target.plan(desired, target.observe())
    assert step.reversible and "download 1.0.0" in step.summary
    assert target.apply(step, case.claims.token(step, "1/w", 1)).status == "done"
    (first,) = case.house.registry.page(ENV, limit=1)
    assert first.state == "assigned"
    assert target.observe().stable["assignments/status"] == "downloaded"
    again = {**case.desired, "waves": [100], "deployment": 2, "policy": {}}
    (install,) = target.plan(again, target.observe())
    assert "to 1.0.0" in install.summary
    assert target.apply(install, case.claims.token(install, "2/w", 2)).status == "done"
    # Nothing it was to hold is brought back.
    undo = msgspec.structs.replace(step, action="stop_rollout")
    assert target.apply(undo, case.claims.token(undo, "1/w-undo", 3)).status == "done"
