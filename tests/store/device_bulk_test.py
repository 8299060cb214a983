"""A wave assigned at once leaves the rows that the ledger writes one by one, byte for byte."""

from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import msgspec
import pytest

from surefoot.core.device import Feedback
from surefoot.core.offer import AutoConfirm
from surefoot.core.rollout import members
from surefoot.core.target import Token
from surefoot.store import device_choice, device_rollouts
from surefoot.store.database import Database, Session, Value
from surefoot.store.device import AttributesPut, AutoConfirmPut, Incoming
from surefoot.store.device_choice import Assignee
from surefoot.store.device_ledger import DeviceLedger
from surefoot.store.device_rollouts import DeviceRollouts, Wave
from surefoot.store.device_rows import Task
from surefoot.store.postgres import PostgresDatabase
from surefoot.store.sqlite import SqliteDatabase
from surefoot.testing.device_door import DeviceHouse

ENV = 'pro"duct%ion ü'  # what a form could get wrong
_TABLES = {
    "reports": "body, environment, number, action, deployment, wave, from_state, to_state, ran, "
    "runs, reason, time_ms, report FROM device_reports ORDER BY report",
    "actions": "* FROM device_actions ORDER BY action",
    "traits": "* FROM device_action_traits ORDER BY action",
    "devices": "number, device, h.action, runs FROM devices JOIN device_heads h USING (number) "
    "ORDER BY number",
    "tallies": "* FROM device_tallies WHERE count <> 0 ORDER BY wave, state",
}


class OneByOne:
    """Stands where the bulk is: gives each device its action through the ledger."""

    def __init__(self, session: Session, environment: str, task: Task, now_ms: int) -> None:
        self._ledger = DeviceLedger(session, now_ms)
        self._environment, self._task = environment, task

    def assign(self, devices: Sequence[Assignee]) -> None:
        for each in devices:
            device = self._ledger.device(self._environment, each.device)
            assert device is not None
            self._ledger.assign(device, self._task)
        self._ledger.finish()


@pytest.fixture(params=["sqlite", "postgres"])
def databases(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[list[Database]]:
    if request.param == "sqlite":
        made: list[Database] = [SqliteDatabase(tmp_path / name) for name in ("one", "two")]
    else:
        dsn = request.getfixturevalue("postgres_dsn")
        made = [PostgresDatabase(dsn)]
    yield made
    for database in made:
        database.close()


def prepared(folder: Path, database: Database) -> DeviceHouse:
    house = DeviceHouse(folder, database, lambda: 1_800_000_000_000)
    house.enrol(ENV, *(f"d-{n}" for n in range(40)))
    runs = AttributesPut(mode="merge", values={"firmware_version": '1.0 "beta" ü%d'})
    sure = AutoConfirmPut(wanted=AutoConfirm(initiator="ann"))
    house.registry.record(
        [Incoming(environment=ENV, device=f"d-{n}", told=runs) for n in range(0, 40, 3)]
        + [Incoming(environment=ENV, device=f"d-{n}", told=sure) for n in range(0, 40, 4)]
    )
    return house


def wave(house: DeviceHouse, number: int = 0, percent: int = 50, **changes: Any) -> Wave:
    base: Mapping[str, Any] = {
        "deployment": 7,
        "wave": number,
        "percent": percent,
        "release": "r%s",
        "firmware": house.firmware(b"new", "1.1%b"),
        "deadline_seconds": 60,
        "confirmation": True,
        "allow_downgrade": True,  # versions with such signs have no order
    }
    return Wave(**{**base, **changes})


def assign(house: DeviceHouse, wanted: Wave) -> Any:
    rollouts = DeviceRollouts(house.database, ENV, house.now_ms)
    token = Token(operation=f"{wanted.deployment}/wave-{wanted.wave}", fence=1)
    return rollouts.assign(wanted, token).figures


def rows(database: Database) -> dict[str, list[tuple[Value, ...]]]:
    with database.read() as session:
        held: Any = session
        connection = held._connection
        found = {
            name: connection.execute(f"SELECT {what}").fetchall() for name, what in _TABLES.items()
        }
    return {
        name: [tuple(bytes(v) if isinstance(v, memoryview) else v for v in row) for row in table]
        for name, table in found.items()
    }


def test_the_rows_are_those_of_the_ledger(
    databases: list[Database], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    # PostgreSQL is compared with the ledger on SQLite.
    bulk = prepared(tmp_path / "bulk", databases[0])
    other = databases[1] if len(databases) == 2 else SqliteDatabase(tmp_path / "plain")
    plain = prepared(tmp_path / "plain", other)
    assert assign(bulk, wave(bulk)) == {"assigned": 20, "unfit": 0}
    monkeypatch.setattr(device_rollouts, "Bulk", OneByOne)
    assert assign(plain, wave(plain)) == {"assigned": 20, "unfit": 0}
    ours, theirs = numbered(rows(databases[0])), numbered(rows(other))
    assert len(ours["reports"]) > 20 and len(ours["traits"]) > 5
    for name in _TABLES:
        assert ours[name] == theirs[name], name
    other.close()


def numbered(found: dict[str, list[tuple[Value, ...]]]) -> dict[str, list[tuple[Value, ...]]]:
    """Actions counted from the first: the ledger takes their numbers in larger portions."""
    first = min(int(row[0] or 0) for row in found["actions"])
    places = {int(row[0] or 0): place for place, row in enumerate(found["actions"])}

    def plain(value: Value) -> Value:
        if isinstance(value, bytes):
            body = msgspec.json.decode(value)
            body["action"] = places.get(body["action"], 0)
            return msgspec.json.encode(body, order="sorted")
        return places.get(value, value) if isinstance(value, int) and value >= first else value

    return {name: [tuple(map(plain, row)) for row in table] for name, table in found.items()}


def test_the_choice_is_that_of_the_rule_also_beyond_the_first_look(
    databases: list[Database], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    demand = wave(prepared(tmp_path, databases[0])).demand
    names = [f"d-{n}" for n in range(40)]
    for margin, deployment in ((3, 1), (-5, 2)):  # too small a part of the ordering is read
        monkeypatch.setattr(device_choice, "_MARGIN_PERCENT", margin)
        with databases[0].read() as session:
            found = device_choice.choose(
                session, ENV, device_choice.Share(deployment=deployment, percent=10), demand
            )
        chosen = [each.device for each in found.devices]
        assert chosen == list(members(str(deployment), names, 10)) and len(chosen) == 4


def test_what_is_under_way_ends_before_the_new_action(
    databases: list[Database], tmp_path: Path
) -> None:
    house = prepared(tmp_path, databases[0])
    assign(house, wave(house, 0, 50, confirmation=False))
    told = Feedback("proceeding", "none", ("half",))
    busy = {d.device for d in house.registry.page(ENV) if d.action}
    house.registry.record([Incoming(environment=ENV, device=d, told=told) for d in busy])
    assert assign(house, wave(house, 0, 100, deployment=8))["assigned"] == 40
    assert house.registry.states(ENV, 7) == {"0": {"unknown": 20}}
    assert house.registry.states(ENV, 8) == {"0": {"assigned": 40}}
    house.seal(ENV)
    sealed = [b for b in house.sealed if b.deployment == 8][-1]
    assert sealed.waves == {"0": {"assigned": 40}}
