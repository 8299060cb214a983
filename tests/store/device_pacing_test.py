"""Actions that wait for their turn, on SQLite and PostgreSQL: one suite."""

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from surefoot.core.device import Feedback, Opened
from surefoot.core.governance import Growth, Pace, Retry, Window
from surefoot.core.target import Token
from surefoot.store.device import AttributesPut, Incoming
from surefoot.store.device_rollouts import DeviceRollouts, Return, Wave
from surefoot.store.postgres import PostgresDatabase
from surefoot.testing.device_door import DeviceHouse

ENV = "production"
DEVICES = tuple(f"dev{n}" for n in range(8))
NOW_MS = 1_790_000_000_000


class Now:
    """A clock that tests set."""

    def __init__(self) -> None:
        self.ms = NOW_MS

    def __call__(self) -> int:
        return self.ms

    def later(self, seconds: int) -> None:
        self.ms += seconds * 1000


@pytest.fixture
def now() -> Now:
    return Now()


@pytest.fixture(params=["sqlite", "postgres"])
def house(
    request: pytest.FixtureRequest, tmp_path: Path, now: Callable[[], int]
) -> Iterator[DeviceHouse]:
    database = None
    if request.param == "postgres":
        database = PostgresDatabase(request.getfixturevalue("postgres_dsn"))
    house = DeviceHouse(tmp_path, database, now)
    house.enrol(ENV, *DEVICES)
    yield house
    house.database.close()


def assign(house: DeviceHouse, pace: Pace, **changes: Any) -> None:
    base: dict[str, Any] = {
        "deployment": 7,
        "wave": 0,
        "percent": 100,
        "release": "sha256:" + "1" * 64,
        "firmware": house.firmware(b"new", "1.1.0"),
        "deadline_seconds": 600,
        "pace": pace,
    }
    house.assign(ENV, Wave(**{**base, **changes}))


def shown(house: DeviceHouse) -> set[str]:
    """Devices that have an action and are not held."""
    rows = house.registry.changed(0)
    return {r.device for r in rows if r.state == "assigned" and not r.held}


def tell(house: DeviceHouse, device: str, *told: object) -> list[str]:
    incoming = [Incoming(environment=ENV, device=device, told=each) for each in told]  # type: ignore[arg-type]
    return list(house.registry.record(incoming))


def succeed(house: DeviceHouse, device: str) -> None:
    tell(house, device, Opened(), Feedback("closed", "success"))
    tell(house, device, AttributesPut(mode="merge", values={"version": "1.1.0"}))


def total(house: DeviceHouse) -> dict[str, int]:
    return house.seal(ENV).get("0", {})


def test_a_wave_without_bounds_is_not_held(house: DeviceHouse) -> None:
    assign(house, Pace())
    assert shown(house) == set(DEVICES)
    assert house.pace(ENV, 7) == 0


def test_a_rate_lets_so_many_begin_each_minute(house: DeviceHouse, now: Now) -> None:
    assign(house, Pace(rate_per_minute=3))
    assert shown(house) == set()
    assert house.pace(ENV, 7) == 3 and len(shown(house)) == 3
    now.later(59)
    assert house.pace(ENV, 7) == 0
    now.later(2)
    assert house.pace(ENV, 7) == 3 and len(shown(house)) == 6


def test_what_is_held_takes_no_report_and_has_no_deadline(house: DeviceHouse, now: Now) -> None:
    assign(house, Pace(rate_per_minute=1))
    house.pace(ENV, 7)
    (first,) = shown(house)
    other = next(device for device in DEVICES if device != first)
    assert tell(house, other, Opened(), Feedback("closed", "success")) == ["waiting", "waiting"]
    tell(house, other, AttributesPut(mode="merge", values={"version": "1.1.0"}))
    assert total(house) == {"assigned": 8}
    now.later(601)
    assert house.registry.expire() == 1
    assert total(house) == {"assigned": 7, "silent": 1}


def test_concurrency_counts_until_the_end_is_known(house: DeviceHouse) -> None:
    assign(house, Pace(concurrency=2))
    assert house.pace(ENV, 7) == 2
    first, second = sorted(shown(house))
    tell(house, first, Opened(), Feedback("closed", "success"))
    assert house.pace(ENV, 7) == 0, "reported is not the end"
    tell(house, first, AttributesPut(mode="merge", values={"version": "1.1.0"}))
    assert house.pace(ENV, 7) == 1
    tell(house, second, Opened(), Feedback("closed", "failure"))
    assert house.pace(ENV, 7) == 1


def test_growth_follows_the_sealed_successes(house: DeviceHouse) -> None:
    assign(house, Pace(exponential=Growth(start=1, factor=3)))
    assert house.pace(ENV, 7) == 1
    (first,) = shown(house)
    tell(house, first, Opened(), Feedback("closed", "success"))
    assert house.pace(ENV, 7) == 0
    tell(house, first, AttributesPut(mode="merge", values={"version": "1.1.0"}))
    assert house.pace(ENV, 7) == 2
    for device in shown(house):
        succeed(house, device)
    assert house.pace(ENV, 7) == 5


def test_counts_make_waves_of_so_many(house: DeviceHouse) -> None:
    for number, (count, percent) in enumerate(((1, 0), (5, 0), (0, 100))):
        assign(house, Pace(), wave=number, count=count, percent=percent, deployment=8)
    found = house.seal(ENV)
    assert [sum(found[w].values()) for w in ("0", "1", "2")] == [1, 4, 3]


def test_a_window_opens_and_closes_in_the_devices_zone(house: DeviceHouse, now: Now) -> None:
    # 2026-09-21 14:13:20 UTC is 16:13 in Zurich and 23:13 in Tokyo.
    tell(house, "dev0", AttributesPut(mode="merge", values={"timezone": "Asia/Tokyo"}))
    tell(house, "dev1", AttributesPut(mode="merge", values={"tz": "No/Where"}))
    window = Window(from_minute=23 * 60, minutes=60)
    assign(house, Pace(windows=(window,), timezone="Europe/Zurich"), deadline_seconds=86_400)
    assert house.pace(ENV, 7) == 1 and shown(house) == {"dev0"}
    now.later(3600)
    assert house.pace(ENV, 7) == 1 and shown(house) == set()
    now.later(6 * 3600)
    assert house.pace(ENV, 7) == 7 and shown(house) == set(DEVICES[1:])
    tell(house, "dev1", Opened())
    now.later(3600)
    house.pace(ENV, 7)
    assert shown(house) == set()
    assert total(house) == {"assigned": 7, "offered": 1}, "what has begun is not held"


def test_the_end_withdraws_what_is_not_begun(house: DeviceHouse, now: Now) -> None:
    assign(house, Pace(rate_per_minute=2, end_ms=NOW_MS + 60_000))
    house.pace(ENV, 7)
    begun = min(shown(house))
    tell(house, begun, Opened())
    now.later(61)
    assert house.pace(ENV, 7) == 7
    assert total(house) == {"offered": 1, "returned": 7}
    assert house.pace(ENV, 7) == 0


def test_a_pause_reaches_devices_and_a_resume_lets_them_go_on(house: DeviceHouse) -> None:
    assign(house, Pace())
    tell(house, "dev3", Opened())
    assert house.pace(ENV, 7, paused=True) == 7
    assert shown(house) == set()
    assert house.pace(ENV, 7, paused=True) == 0
    assert tell(house, "dev3", Feedback("proceeding", "none")) == ["taken"]
    assert house.pace(ENV, 7) == 7
    assert shown(house) == set(DEVICES) - {"dev3"}


def test_a_failed_device_gets_another_attempt_and_counts_once(house: DeviceHouse, now: Now) -> None:
    assign(house, Pace(retry=Retry(times=2, backoff_seconds=60, factor=2)))
    for wait in (60, 120):
        tell(house, "dev0", Opened(), Feedback("closed", "failure"))
        assert total(house) == {"assigned": 8}
        assert "dev0" not in shown(house)
        now.later(wait - 1)
        assert house.pace(ENV, 7) == 0
        now.later(1)
        assert house.pace(ENV, 7) == 1 and "dev0" in shown(house)
    tell(house, "dev0", Opened(), Feedback("closed", "failure"))
    assert total(house) == {"assigned": 7, "failed": 1}
    assert house.pace(ENV, 7) == 0


def test_a_retried_device_is_brought_back_since_it_may_have_changed(house: DeviceHouse) -> None:
    assign(house, Pace(retry=Retry(times=2, backoff_seconds=60, factor=2)))
    tell(house, "dev0", Opened(), Feedback("closed", "failure"))
    back = Return(
        deployment=7,
        release="sha256:" + "2" * 64,
        firmware=house.firmware(b"old", "1.0.0"),
        deadline_seconds=600,
    )
    rollouts = DeviceRollouts(house.database, ENV, house.now_ms)
    figures = rollouts.return_devices(back, Token(operation="7/back", fence=2)).figures
    assert figures == {"withdrawn": 7, "already_back": 0, "assigned": 1}
    tell(house, "dev0", Opened(), Feedback("closed", "failure"))
    assert house.seal(ENV)["return"] == {"failed": 1}, "a return is not tried again"


EVENTS = st.tuples(
    st.sampled_from(("open", "fail", "success", "show", "old", "late", "pace", "pause", "seal")),
    st.integers(0, 3),
)


@settings(max_examples=40, deadline=None)
@given(st.lists(EVENTS, max_size=40), st.integers(1, 2), st.integers(0, 2))
def test_in_any_order_the_books_balance_and_only_proof_counts(
    tmp_path_factory: pytest.TempPathFactory,
    events: list[tuple[str, int]],
    cap: int,
    times: int,
) -> None:
    now = Now()
    house = DeviceHouse(tmp_path_factory.mktemp("order"), now_ms=now)
    names = DEVICES[:4]
    house.enrol(ENV, *names)
    retry = Retry(times=times, backoff_seconds=30, factor=1) if times else None
    assign(house, Pace(concurrency=cap, retry=retry))
    told = {
        "open": Opened(),
        "fail": Feedback("closed", "failure"),
        "success": Feedback("closed", "success"),
        "show": AttributesPut(mode="merge", values={"version": "1.1.0"}),
        "old": AttributesPut(mode="merge", values={"version": "1.0.0"}),
    }
    for what, device in events:
        if what in told:
            tell(house, names[device], told[what])
        elif what == "late":
            now.later(200)
            house.registry.expire()
        elif what in ("pace", "pause"):
            house.pace(ENV, 7, paused=what == "pause")
        count = total(house)
        assert sum(count.values()) == len(names), count
        running = {row.device: row for row in house.registry.changed(0)}
        open_now = [
            r
            for r in running.values()
            if r.state in ("offered", "downloading", "installing", "reported")
            or (r.state == "assigned" and not r.held)
        ]
        assert len(open_now) <= cap
        for row in house.registry.page(ENV):
            if row.state == "verified":
                assert row.strength in ("attributes", "digest")
        assert count.get("verified", 0) == sum(r.state == "verified" for r in running.values())
    house.database.close()
