"""The registry, rollouts and batches on SQLite and PostgreSQL: one suite."""

import hashlib
import sqlite3
from collections.abc import Callable, Iterator
from contextlib import closing
from pathlib import Path

import psycopg
import pytest

from surefoot.core.device import Feedback, Opened
from surefoot.core.errors import Refused
from surefoot.core.target import Token
from surefoot.engine import fleet_books
from surefoot.store.database import Database
from surefoot.store.device import AttributesPut, Incoming, NewDevice, ProfileLearned
from surefoot.store.device_rollouts import DeviceRollouts, Return, Wave
from surefoot.store.postgres import PostgresDatabase
from surefoot.store.sqlite import FILE_NAME, SqliteDatabase
from surefoot.testing.device_door import DeviceHouse
from surefoot.trust import merkle

ENV = "production"


class Now:
    """A clock that tests set."""

    def __init__(self) -> None:
        self.ms = 1_790_000_000_000

    def __call__(self) -> int:
        return self.ms


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
    yield house
    house.database.close()


def wave(house: DeviceHouse, number: int = 0, percent: int = 100, **changes: object) -> Wave:
    base = {
        "deployment": 7,
        "wave": number,
        "percent": percent,
        "release": "sha256:" + "1" * 64,
        "firmware": house.firmware(b"new", "1.1.0"),
        "deadline_seconds": 60,
    }
    return Wave(**{**base, **changes})  # type: ignore[arg-type]


def assign(house: DeviceHouse, wanted: Wave, fence: int = 1) -> dict[str, int]:
    rollouts = DeviceRollouts(house.database, ENV, house.now_ms)
    token = Token(operation=f"{wanted.deployment}/wave-{wanted.wave}", fence=fence)
    return rollouts.assign(wanted, token).figures  # type: ignore[return-value]


def tell(house: DeviceHouse, device: str, *told: object, action: int = 0) -> list[str]:
    incoming = [
        Incoming(environment=ENV, device=device, action=action, told=each)  # type: ignore[arg-type]
        for each in told
    ]
    return list(house.registry.record(incoming))


def says(version: str) -> AttributesPut:
    return AttributesPut(mode="merge", values={"firmware_version": version})


DONE = Feedback("closed", "success")


def test_enrolling_twice_changes_nothing(house: DeviceHouse) -> None:
    assert house.enrol(ENV, "a", "b") == 2
    assert house.enrol(ENV, "b", "c") == 1
    assert [d.device for d in house.registry.page(ENV)] == ["a", "b", "c"]
    assert house.enrol("staging", "a") == 1


@pytest.mark.parametrize("name", ["", "a/b", "a b", "ü", "x" * 257, "..", "a\n", "a?b", 'a"b'])
def test_a_name_that_cannot_be_in_a_path_is_refused(house: DeviceHouse, name: str) -> None:
    with pytest.raises(Refused, match=r"device\.name\.input"):
        house.registry.enrol(ENV, [NewDevice(device=name, token_hash=b"")])


def test_a_token_is_held_as_its_hash_and_can_be_replaced(house: DeviceHouse) -> None:
    house.enrol(ENV, "a")
    fresh = hashlib.sha256(b"other").digest()
    house.registry.set_token(ENV, "a", fresh)
    assert [row.token_hash for row in house.registry.changed(0)] == [fresh]
    with pytest.raises(Refused, match=r"device\.name\.unknown"):
        house.registry.set_token(ENV, "nobody", fresh)


def test_numbers_of_actions_are_above_the_floor_of_time_and_below_the_limit(
    house: DeviceHouse, now: Now
) -> None:
    house.enrol(ENV, "a")
    assign(house, wave(house))
    action = house.registry.page(ENV)[0].action
    assert (now.ms - 1_704_067_200_000) // 500 < action < 2**31
    # A database restored from before this action still does not hand its number out again.
    now.ms += 1_000_000
    again = DeviceHouse(Path(house.blobs.path(house.blobs.put(b"x")).parent), house.database, now)
    again.enrol(ENV, "b")
    assign(again, wave(again, deployment=8), fence=2)
    assert min(d.action for d in again.registry.page(ENV)) > action


def test_a_wave_is_assigned_once_whatever_is_repeated(house: DeviceHouse) -> None:
    house.enrol(ENV, *(f"d{n}" for n in range(20)))
    assert assign(house, wave(house, 0, 10)) == {"assigned": 2, "unfit": 0}
    assert assign(house, wave(house, 0, 10), fence=2) == {"assigned": 2, "unfit": 0}
    assert house.registry.states(ENV, 7) == {"0": {"assigned": 2}}
    assert assign(house, wave(house, 1, 50), fence=3)["assigned"] == 8
    house.enrol(ENV, "late")
    assert assign(house, wave(house, 2, 100), fence=4)["assigned"] == 11
    assert house.registry.states(ENV, 7)["2"] == {"assigned": 11}


def test_an_older_fence_changes_nothing(house: DeviceHouse) -> None:
    house.enrol(ENV, "a")
    assign(house, wave(house, 0, 100), fence=5)
    with pytest.raises(Refused, match=r"target\.fence\.moved"):
        assign(house, wave(house, 1, 100), fence=4)


def test_devices_of_other_hardware_are_left_out(house: DeviceHouse) -> None:
    house.enrol(ENV, "a", hardware="v1")
    house.enrol(ENV, "b", hardware="v2")
    assert assign(house, wave(house, hardware=("v2",))) == {
        "assigned": 1,
        "unfit": 1,
        "unfit_hardware": 1,
    }
    assert {d.device: d.state for d in house.registry.page(ENV)} == {"a": "", "b": "assigned"}


def test_a_device_is_verified_by_attributes_that_come_later(house: DeviceHouse) -> None:
    house.enrol(ENV, "a")
    assign(house, wave(house))
    assert tell(house, "a", says("1.1.0")) == ["taken"]
    assert house.registry.page(ENV)[0].state == "assigned"
    assert tell(house, "a", DONE, says("1.0.0"), says("1.1.0"), DONE) == [
        "taken",
        "taken",
        "taken",
        "gone",
    ]
    found = house.registry.page(ENV)[0]
    assert (found.state, found.runs) == ("verified", "1.1.0")
    assert house.seal(ENV) == {"0": {"verified": 1}}
    assert house.sealed[-1].firmware == {"1.1.0": 1}


def test_what_is_not_the_devices_is_not_found(house: DeviceHouse) -> None:
    house.enrol(ENV, "a", "b")
    assign(house, wave(house))
    actions = {d.device: d.action for d in house.registry.page(ENV)}
    assert tell(house, "a", DONE, action=actions["b"]) == ["not_found"]
    assert tell(house, "nobody", DONE) == ["not_found"]


def test_attributes_merge_replace_remove_and_have_a_quota(house: DeviceHouse) -> None:
    house.enrol(ENV, "a")
    many = {f"k{n}": "v" for n in range(99)}
    assert tell(house, "a", AttributesPut(mode="merge", values=many)) == ["taken"]
    two = AttributesPut(mode="merge", values={"x": "1", "y": "2"})
    assert tell(house, "a", two) == ["too_many"]
    assert tell(house, "a", AttributesPut(mode="replace", values={"x": "1"}), two) == ["taken"] * 2
    assert tell(house, "a", AttributesPut(mode="remove", values={"x": ""})) == ["taken"]
    assert house.registry.page(ENV)[0].attributes == '{"y":"2"}'


def test_the_same_attributes_again_write_nothing(house: DeviceHouse) -> None:
    house.enrol(ENV, "a")
    tell(house, "a", says("1.0.0"))
    before = house.registry.newest_change()
    tell(house, "a", says("1.0.0"))
    assert house.registry.newest_change() == before


def test_silence_times_out_and_shows_in_the_sealed_counters(house: DeviceHouse, now: Now) -> None:
    house.enrol(ENV, "a", "b")
    assign(house, wave(house))
    tell(house, "a", Opened())
    assert house.seal(ENV) == {"0": {"assigned": 1, "offered": 1}}
    now.ms += 61_000
    # The one that never asked is offline; the other began, and did not end.
    assert house.seal(ENV) == {"0": {"silent": 1, "timed_out": 1}}


def test_stopping_withdraws_what_was_not_begun_and_cancels_the_rest(house: DeviceHouse) -> None:
    house.enrol(ENV, "a", "b", "c")
    assign(house, wave(house))
    tell(house, "a", Opened(), action=house.registry.page(ENV)[0].action)
    tell(house, "b", DONE)
    rollouts = DeviceRollouts(house.database, ENV, house.now_ms)
    outcome = rollouts.stop(7, Token(operation="7/stop", fence=2))
    assert outcome.figures == {"withdrawn": 1, "cancelling": 1}
    assert house.seal(ENV) == {"0": {"offered": 1, "reported": 1, "returned": 1}}
    assert rollouts.newest()[0].status == "stopped"


def test_returning_brings_back_what_moved_or_failed(house: DeviceHouse) -> None:
    house.enrol(ENV, "moved", "failed", "fell-back", "busy", "waits")
    assign(house, wave(house))
    tell(house, "moved", DONE, says("1.1.0"))
    tell(house, "failed", Feedback("closed", "failure"))
    tell(house, "fell-back", Feedback("closed", "failure"), says("1.0.0"))
    tell(house, "busy", Feedback("proceeding", "none"))
    rollouts = DeviceRollouts(house.database, ENV, house.now_ms)
    back = Return(
        deployment=7,
        release="sha256:" + "0" * 64,
        firmware=house.firmware(b"old", "1.0.0"),
        deadline_seconds=60,
    )
    outcome = rollouts.return_devices(back, Token(operation="7/back", fence=2))
    assert outcome.figures == {"withdrawn": 1, "already_back": 1, "assigned": 3}
    again = rollouts.return_devices(back, Token(operation="7/back-2", fence=3))
    assert again.figures == {"withdrawn": 0, "already_back": 0, "assigned": 0}
    for device in ("moved", "failed", "busy"):
        tell(house, device, DONE, says("1.0.0"))
    assert house.seal(ENV) == {
        "0": {"verified": 1, "failed": 2, "unknown": 1, "returned": 1},
        "return": {"returned": 4},
    }
    assert house.sealed[-1].firmware == {"1.0.0": 4}


def test_a_new_rollout_supersedes_the_action_of_an_old_one(house: DeviceHouse) -> None:
    house.enrol(ENV, "a")
    assign(house, wave(house))
    old = house.registry.page(ENV)[0].action
    assign(house, wave(house, deployment=8), fence=2)
    assert tell(house, "a", DONE, action=old) == ["gone"]
    assert house.registry.page(ENV)[0].state == "assigned"
    assert house.seal(ENV) == {"0": {"assigned": 1}}
    assert {b.deployment for b in house.sealed} == {7, 8}


def test_a_wave_without_devices_is_counted_as_assigned(house: DeviceHouse) -> None:
    assign(house, wave(house))
    assert house.seal(ENV) == {"0": {}}


def test_an_unmarked_batch_is_the_same_batch_again(house: DeviceHouse) -> None:
    house.enrol(ENV, "a")
    assign(house, wave(house))
    first = house.books.collect(ENV)
    assert first is not None
    tell(house, "a", DONE)
    # A crash between the fact and the mark: the same batch comes again, with the same counters.
    again = fleet_books.FleetBooks(house.registry, house.batches, house.blobs).collect(ENV)
    assert again == first
    house.books.mark_sealed(first, 3)
    second = house.books.collect(ENV)
    assert second is not None
    assert second.first_report > first.last_report
    assert second.waves == {"0": {"reported": 1}}
    house.books.mark_sealed(second, 4)
    assert house.books.collect(ENV) is None


def test_every_report_is_provable_inside_its_batch(house: DeviceHouse) -> None:
    house.enrol(ENV, *(f"d{n}" for n in range(9)))
    assign(house, wave(house))
    batch = house.books.collect(ENV)
    assert batch is not None
    content = house.blobs.get(batch.digest)
    root = bytes.fromhex(batch.root.removeprefix("sha256:"))
    for report in range(batch.first_report, batch.last_report + 1):
        leaf, place, proof = fleet_books.prove(content, report)
        assert merkle.verify_inclusion(merkle.leaf_hash(leaf), place, batch.count, proof, root)
    with pytest.raises(KeyError):
        fleet_books.prove(content, 10**9)
    assert fleet_books.fact(batch).count == batch.count


def test_a_destroyed_environment_forgets_its_devices(house: DeviceHouse) -> None:
    house.enrol(ENV, "a", "b")
    tell(house, "a", says("1.0.0"))
    assign(house, wave(house))
    assert house.registry.remove_environment(ENV) == 2
    assert house.registry.page(ENV) == []
    assert tell(house, "a", DONE) == ["not_found"]
    house.seal(ENV)
    assert house.sealed[-1].firmware == {}
    assert house.enrol(ENV, "a") == 1
    assert [row.removed for row in house.registry.changed(0)].count(True) == 2


def test_last_seen_is_written_in_one_batch(house: DeviceHouse) -> None:
    house.enrol(ENV, "a", "b")
    numbers = [row.number for row in house.registry.changed(0)]
    house.registry.note_seen(dict.fromkeys(numbers, 5))
    house.registry.note_seen({numbers[0]: 9})
    assert sorted(d.seen_ms for d in house.registry.page(ENV)) == [5, 9]


def test_the_timeline_shows_what_happened_newest_first(house: DeviceHouse) -> None:
    house.enrol(ENV, "a")
    assign(house, wave(house))
    tell(house, "a", DONE)
    found = house.registry.timeline(ENV, "a")
    assert len(found) == 2 and b'"to":"reported"' in found[0]
    assert house.registry.runs(ENV) == {"": 1}


def opened_before_the_traits(database: Database, folder: Path, dsn: str) -> Database:
    """The same database as an older version left it: without the tables that came later."""
    tables = ("device_traits", "device_action_traits")
    database.close()
    if database.kind == "sqlite":
        with closing(sqlite3.connect(folder / FILE_NAME)) as connection:
            for table in tables:
                connection.execute(f"DROP TABLE {table}")
            connection.commit()
        return SqliteDatabase(folder)
    with psycopg.connect(dsn) as connection:
        for table in tables:
            connection.execute(f"DROP TABLE {table}".encode())
        connection.execute("COMMENT ON TABLE journal_head IS 'older'")
    return PostgresDatabase(dsn)


def test_an_installation_from_before_the_traits_opens(
    house: DeviceHouse, tmp_path: Path, request: pytest.FixtureRequest
) -> None:
    house.enrol(ENV, "a")
    assign(house, wave(house))
    before = house.registry.page(ENV)
    dsn = "" if house.database.kind == "sqlite" else request.getfixturevalue("postgres_dsn")
    database = opened_before_the_traits(house.database, tmp_path / "db", dsn)
    again = DeviceHouse(tmp_path / "again", database, house.now_ms)
    assert again.registry.page(ENV) == before
    assert tell(again, "a", DONE, says("1.1.0")) == ["taken", "taken"]
    assert again.registry.page(ENV)[0].strength == "attributes"
    database.close()


def test_strength_rises_from_a_report_to_attributes_to_the_digest(house: DeviceHouse) -> None:
    house.enrol(ENV, "a")
    wanted = wave(house)
    assign(house, wanted)
    seen = [house.registry.page(ENV)[0].strength]
    digest = {"firmware_version": "1.1.0", "firmware_digest": wanted.firmware.sha256}
    for told in (DONE, says("1.1.0"), AttributesPut(mode="merge", values=digest), says("1.0.0")):
        tell(house, "a", told)
        seen.append(house.registry.page(ENV)[0].strength)
    assert seen == ["", "reported", "attributes", "digest", "digest"]
    bodies = house.registry.timeline(ENV, "a")
    assert any(b'"strength":"digest"' in body for body in bodies)
    assert house.seal(ENV) == {"0": {"verified": 1}}


def test_what_a_client_cannot_take_is_shown(house: DeviceHouse) -> None:
    house.enrol(ENV, "a")
    assign(house, wave(house, firmware=house.firmware(b"x", "1.1.0", file="fw.bin")))
    assert tell(house, "a", ProfileLearned(profile="swupdate")) == ["taken"]
    assert tell(house, "a", ProfileLearned(profile="rauc")) == ["unchanged"]
    found = house.registry.find(ENV, "a")
    assert found is not None and (found.profile, found.profile_by) == ("swupdate", "learned")
    assert found.withheld == "swupdate takes only files that end in .swu or .zck"
