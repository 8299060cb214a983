"""Devices that go to their firmware by way of others, on SQLite and PostgreSQL."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from surefoot.core.device import Feedback
from surefoot.core.governance import WavePolicy
from surefoot.core.rollout import judge_return, judge_share, judge_wave
from surefoot.core.target import Token
from surefoot.store.device import AttributesPut, DeviceSummary, Incoming
from surefoot.store.device_rollouts import DeviceRollouts, Return, Wave
from surefoot.store.postgres import PostgresDatabase
from surefoot.testing.device_door import DeviceHouse

ENV = "production"
DONE = Feedback("closed", "success")


@pytest.fixture(params=["sqlite", "postgres"])
def house(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[DeviceHouse]:
    database = None
    if request.param == "postgres":
        database = PostgresDatabase(request.getfixturevalue("postgres_dsn"))
    house = DeviceHouse(tmp_path, database)
    yield house
    house.database.close()


def tell(house: DeviceHouse, device: str, *told: Feedback | AttributesPut) -> None:
    house.registry.record([Incoming(environment=ENV, device=device, told=each) for each in told])


def says(**versions: str) -> AttributesPut:
    return AttributesPut(mode="merge", values={f"{n}_version": v for n, v in versions.items()})


def look(house: DeviceHouse, device: str) -> DeviceSummary:
    found = house.registry.find(ENV, device)
    assert found is not None
    return found


def wave(house: DeviceHouse, **changes: object) -> Wave:
    base = {
        "deployment": 7,
        "wave": 0,
        "percent": 100,
        "release": "sha256:" + "1" * 64,
        "firmware": house.firmware(b"two", "2.0"),
        "deadline_seconds": 60,
    }
    return Wave(**{**base, **changes})  # type: ignore[arg-type]


def rollouts(house: DeviceHouse) -> DeviceRollouts:
    return DeviceRollouts(house.database, ENV, house.now_ms)


def through(house: DeviceHouse) -> Wave:
    stone = house.firmware(b"stone", "1.5", through=True)
    return wave(house, stones=(stone,))


def test_a_release_that_must_be_passed_through_comes_first(house: DeviceHouse) -> None:
    house.enrol(ENV, "old", "new")
    tell(house, "old", says(firmware="1.0"))
    tell(house, "new", says(firmware="1.6"))
    done = rollouts(house).assign(through(house), Token(operation="7/wave-0", fence=1))
    assert done.figures == {"assigned": 2, "unfit": 0}
    assert (look(house, "old").version, look(house, "new").version) == ("1.5", "2.0")
    policy = WavePolicy()
    tell(house, "new", DONE, says(firmware="2.0"))
    counters = house.seal(ENV)
    assert counters == {"0": {"verified": 1}, "0/via": {"assigned": 1}}
    # The device on its way belongs to the wave, which waits for it.
    assert judge_wave(counters, 0, policy).verdict == "running"
    tell(house, "old", DONE)
    assert look(house, "old").version == "1.5"
    tell(house, "old", says(firmware="1.5"))
    assert (look(house, "old").version, look(house, "old").state) == ("2.0", "assigned")
    counters = house.seal(ENV)
    assert judge_wave(counters, 0, policy).reason == "wave 1: 1 of 2 verified, 2 needed"
    assert judge_share(counters, 100).verdict == "running"
    tell(house, "old", DONE, says(firmware="2.0"))
    counters = house.seal(ENV)
    assert judge_wave(counters, 0, policy).verdict == "passed"
    assert judge_share(counters, 100).reason == "2 of 2 devices verified, 2 needed"


def test_no_beginning_of_the_reports_counts_too_few_devices(house: DeviceHouse) -> None:
    house.enrol(ENV, "old")
    tell(house, "old", says(firmware="1.0"))
    rollouts(house).assign(through(house), Token(operation="7/wave-0", fence=1))
    tell(house, "old", DONE, says(firmware="1.5"))
    waves: dict[str, dict[str, int]] = {}
    for report in house.batches.unsealed(ENV, 0, 1_000):
        if report.deployment and report.from_state != report.to_state:
            count = waves.setdefault(report.wave, {})
            if report.from_state:
                count[report.from_state] -= 1
            count[report.to_state] = count.get(report.to_state, 0) + 1
            assert judge_wave(waves, 0, WavePolicy()).verdict == "running", waves


def test_what_fails_on_its_way_fails_in_the_wave(house: DeviceHouse) -> None:
    house.enrol(ENV, "old")
    tell(house, "old", says(firmware="1.0"))
    rollouts(house).assign(through(house), Token(operation="7/wave-0", fence=1))
    tell(house, "old", Feedback("closed", "failure"))
    assert judge_wave(house.seal(ENV), 0, WavePolicy()).verdict == "stopped"


def test_a_stopped_rollout_goes_no_further_and_returns_those_on_their_way(
    house: DeviceHouse,
) -> None:
    house.enrol(ENV, "half", "mid", "still")
    for name in ("half", "mid", "still"):
        tell(house, name, says(firmware="1.0"))
    rollouts(house).assign(through(house), Token(operation="7/wave-0", fence=1))
    tell(house, "half", DONE, says(firmware="1.5"))
    tell(house, "mid", DONE)
    back = Return(
        deployment=7,
        release="sha256:" + "0" * 64,
        firmware=house.firmware(b"one", "1.0"),
        deadline_seconds=60,
    )
    done = rollouts(house).return_devices(back, Token(operation="7/undo", fence=2))
    assert done.figures == {"withdrawn": 1, "already_back": 0, "assigned": 2}
    # Shown too late: the rollout is over, and nothing of it is given any more.
    tell(house, "mid", says(firmware="1.5"))
    assert {look(house, name).version for name in ("half", "mid")} == {"1.0"}
    for name in ("half", "mid"):
        tell(house, name, DONE, says(firmware="1.0"))
    assert judge_return(house.seal(ENV)).verdict == "passed"


def modem(house: DeviceHouse, version: str) -> Wave:
    part = house.firmware(b"modem" + version.encode(), version, attribute="modem_version")
    return wave(house, parts=(part,))


def test_parts_are_moved_in_order_and_each_shows_itself(house: DeviceHouse) -> None:
    house.enrol(ENV, "d", "there")
    tell(house, "d", says(firmware="1.0", modem="6.0"))
    tell(house, "there", says(firmware="2.0", modem="7.0"))
    done = rollouts(house).assign(modem(house, "7.0"), Token(operation="7/wave-0", fence=1))
    assert done.figures == {"assigned": 1, "unfit": 0, "already_there": 1}
    assert look(house, "d").version == "7.0"
    # The main version moves nothing while the modem's is awaited, and is noted all the same.
    tell(house, "d", DONE, says(firmware="1.1"))
    assert (look(house, "d").state, look(house, "d").runs) == ("reported", "1.1")
    tell(house, "d", says(modem="7.0"))
    assert (look(house, "d").version, look(house, "d").state) == ("2.0", "assigned")
    tell(house, "d", DONE, says(firmware="2.0"))
    counters = house.seal(ENV)
    assert counters == {"0": {"verified": 1}, "0/via": {"verified": 1}}
    assert judge_wave(counters, 0, WavePolicy()).verdict == "passed"


def test_parts_return_in_the_reverse_order(house: DeviceHouse) -> None:
    house.enrol(ENV, "d")
    tell(house, "d", says(firmware="1.0", modem="6.0"))
    rollouts(house).assign(modem(house, "7.0"), Token(operation="7/wave-0", fence=1))
    tell(house, "d", DONE, says(modem="7.0"), DONE, says(firmware="2.0"))
    back = Return(
        deployment=7,
        release="sha256:" + "0" * 64,
        firmware=house.firmware(b"one", "1.0"),
        deadline_seconds=60,
        parts=(house.firmware(b"six", "6.0", attribute="modem_version"),),
    )
    rollouts(house).return_devices(back, Token(operation="7/undo", fence=2))
    assert look(house, "d").version == "1.0"
    tell(house, "d", DONE, says(firmware="1.0"))
    assert look(house, "d").version == "6.0"
    assert judge_return(house.seal(ENV)).verdict == "running"
    tell(house, "d", DONE, says(modem="6.0"))
    counters = house.seal(ENV)
    assert judge_return(counters).verdict == "passed" and counters["return"] == {"returned": 1}


def test_no_wave_moves_a_device_down_in_silence(house: DeviceHouse) -> None:
    house.enrol(ENV, "high", "doubt", "low", "none")
    tell(house, "high", says(firmware="2.1"))
    tell(house, "low", says(firmware="1.0"))
    rollouts(house).assign(
        wave(house, deployment=6, firmware=house.firmware(b"3", "3.0"), percent=100),
        Token(operation="6/wave-0", fence=1),
    )
    tell(house, "doubt", Feedback("proceeding", "none"))  # it may have installed 3.0
    done = rollouts(house).assign(wave(house), Token(operation="7/wave-0", fence=2))
    assert done.figures == {"assigned": 2, "unfit": 2, "unfit_downgrade": 2}
    allowed = wave(house, deployment=8, allow_downgrade=True)
    done = rollouts(house).assign(allowed, Token(operation="8/wave-0", fence=3))
    assert done.figures == {"assigned": 4, "unfit": 0}
