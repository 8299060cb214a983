"""One-time codes on both databases: who has one is in, once, also when many come at once."""

import hashlib
import json
import subprocess
import sys
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest

from surefoot.core.enrolment import TRIES_MAX, Code, Knock, code_hash, code_name, code_text
from surefoot.core.errors import Refused
from surefoot.store import enrolment_codes
from surefoot.store.enrolment_codes import EnrolmentCodes
from surefoot.store.postgres import PostgresDatabase
from surefoot.testing.device_door import DeviceHouse

ENV = "production"
HOUR = 3_600_000
NOW = 1_800_000_000_000


class Clock:
    now = NOW

    def __call__(self) -> int:
        return self.now


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture(params=["sqlite", "postgres"])
def house(request: pytest.FixtureRequest, tmp_path: Path, clock: Clock) -> Iterator[DeviceHouse]:
    database = None
    if request.param == "postgres":
        database = PostgresDatabase(request.getfixturevalue("postgres_dsn"))
    house = DeviceHouse(tmp_path, database, clock)
    yield house
    house.database.close()


def kept_of(number: int) -> bytes:
    kept = code_hash(code_text(number.to_bytes(13, "big")))
    assert kept is not None
    return kept


def put(house: DeviceHouse, *numbers: int, hardware: str = "", device: str = "") -> EnrolmentCodes:
    codes = EnrolmentCodes(house.database, house.now_ms)
    code = Code(environment=ENV, hardware=hardware, device=device, expires_ms=NOW + HOUR)
    codes.put([kept_of(number) for number in numbers], code)
    return codes


def knock(device: str, token: str = "t", hardware: str = "", *, repeat: bool = False) -> Knock:
    hashed = hashlib.sha256(token.encode()).digest()
    return Knock(device=device, hardware=hardware, token_hash=hashed, repeatable=repeat)


def test_a_code_makes_a_device_with_its_token_once(house: DeviceHouse) -> None:
    codes = put(house, 1, hardware="lamp")
    assert codes.redeem(kept_of(1), knock("d1")) == "first"
    (row,) = house.registry.changed(0)
    assert (row.device, row.standing) == ("d1", "")
    assert row.token_hash == hashlib.sha256(b"t").digest()
    found = house.registry.find(ENV, "d1")
    assert found is not None and found.hardware == "lamp"
    told = json.loads(house.registry.timeline(ENV, "d1")[0])["told"]
    assert told == {
        "type": "standing",
        "standing": "accepted",
        "via": f"code {code_name(kept_of(1))}",
        "hardware": "lamp",
    }
    for device in ("d1", "d2"):
        assert codes.redeem(kept_of(1), knock(device)) == "void"
    assert codes.redeem(kept_of(2), knock("d2")) == "void"
    assert [d.device for d in house.registry.page(ENV)] == ["d1"]
    assert codes.open_names(ENV) == []


def test_a_sealed_batch_counts_who_came_by_a_code(house: DeviceHouse) -> None:
    codes = put(house, 1, 2)
    house.identities.knock(ENV, "waits")
    for number in (1, 2):
        codes.redeem(kept_of(number), knock(f"d{number}"))
    house.identities.set_standing(ENV, "waits", "", '"via":"code ')
    house.seal(ENV)
    assert sum(batch.admitted for batch in house.sealed) == 2


def test_a_repeat_is_the_same_use_until_the_token_moves(house: DeviceHouse, clock: Clock) -> None:
    codes = put(house, 1)
    again = knock("d1", repeat=True)
    assert codes.redeem(kept_of(1), again) == "first"
    before = house.registry.newest_change()
    assert codes.redeem(kept_of(1), again) == "again"
    assert codes.redeem(kept_of(1), knock("d1", "u", repeat=True)) == "void"
    assert house.registry.newest_change() == before
    house.registry.set_token(ENV, "d1", bytes(range(32)))
    assert codes.redeem(kept_of(1), again) == "void"


def test_a_revoked_device_has_no_use_of_a_code(house: DeviceHouse) -> None:
    codes = put(house, 1)
    codes.redeem(kept_of(1), knock("d1", repeat=True))
    house.identities.set_standing(ENV, "d1", "revoked", "ann")
    assert codes.redeem(kept_of(1), knock("d1", repeat=True)) == "void"
    put(house, 2, device="d1")
    assert codes.redeem(kept_of(2), knock("d1")) == "other"
    found = house.registry.find(ENV, "d1")
    assert found is not None and found.standing == "revoked"


def test_a_code_for_a_device_gives_it_another_token(house: DeviceHouse) -> None:
    house.enrol(ENV, "d1")
    codes = put(house, 1, device="d1")
    assert codes.redeem(kept_of(1), knock("d2")) == "other"
    assert codes.redeem(kept_of(1), knock("d1", "fresh")) == "first"
    (row,) = house.registry.changed(0)
    assert row.token_hash == hashlib.sha256(b"fresh").digest()
    house.seal(ENV)
    assert sum(batch.admitted for batch in house.sealed) == 0


def test_five_uses_that_do_not_fit_make_a_code_void(house: DeviceHouse) -> None:
    house.enrol(ENV, "d1")
    codes = put(house, 1)
    found = [codes.redeem(kept_of(1), knock("d1")) for _ in range(TRIES_MAX + 1)]
    assert found == ["other"] * TRIES_MAX + ["void"]
    assert codes.redeem(kept_of(1), knock("d2")) == "void"


def test_a_code_ends_by_time_and_by_hand(house: DeviceHouse, clock: Clock) -> None:
    codes = put(house, 1, 2, 3)
    codes.withdraw(ENV, [code_name(kept_of(1))])
    assert codes.redeem(kept_of(1), knock("d1")) == "void"
    assert codes.redeem(kept_of(2), knock("d2")) == "first"
    codes.withdraw(ENV, [code_name(kept_of(2))])
    clock.now = NOW + HOUR
    assert codes.redeem(kept_of(3), knock("d3")) == "void"
    rows = {row.name: (row.withdrawn, row.used_by) for row in codes.page(ENV)}
    assert rows == {
        code_name(kept_of(1)): (True, ""),
        code_name(kept_of(2)): (False, "d2"),
        code_name(kept_of(3)): (False, ""),
    }
    clock.now = NOW + HOUR + 91 * 86_400_000
    put(house)
    assert codes.page(ENV) == []


def test_a_name_that_cannot_be_kept_uses_no_code(house: DeviceHouse) -> None:
    codes = put(house, 1)
    for name in ("a b", "..", "a/b", "\x00", "ü"):
        with pytest.raises(Refused):
            codes.redeem(kept_of(1), knock(name))
    assert codes.open_names(ENV) == [code_name(kept_of(1))]


def test_too_many_open_codes_are_refused(
    house: DeviceHouse, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(enrolment_codes, "OPEN_MAX", 2)
    codes = put(house, 1, 2)
    with pytest.raises(Refused):
        put(house, 3)
    codes.redeem(kept_of(1), knock("d1"))
    put(house, 3)


def test_of_many_threads_with_one_code_one_wins(house: DeviceHouse) -> None:
    codes = put(house, 1)
    found: list[str] = []
    threads = [
        threading.Thread(target=lambda n=n: found.append(codes.redeem(kept_of(1), knock(f"d{n}"))))
        for n in range(8)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(90)
    assert sorted(found) == ["first", *["void"] * 7]
    assert len(house.registry.page(ENV)) == 1


RACER = """
import hashlib, sys, time
from surefoot.core.enrolment import Knock, code_hash, code_text
from surefoot.store.enrolment_codes import EnrolmentCodes
from surefoot.store.postgres import PostgresDatabase
dsn, me = sys.argv[1:]
codes = EnrolmentCodes(PostgresDatabase(dsn), lambda: 1_800_000_000_000)
print("ready", flush=True)
sys.stdin.readline()
won = 0
for number in range(1, 41):
    kept = code_hash(code_text(number.to_bytes(13, "big")))
    hashed = hashlib.sha256(me.encode()).digest()
    found = codes.redeem(kept, Knock(device=f"{me}-{number}", token_hash=hashed))
    won += found == "first"
print(won, flush=True)
"""


def test_of_two_processes_with_the_same_codes_one_wins_each(
    postgres_dsn: str, tmp_path: Path, clock: Clock
) -> None:
    house = DeviceHouse(tmp_path, PostgresDatabase(postgres_dsn), clock)
    put(house, *range(1, 41))
    racers = [
        subprocess.Popen(
            [sys.executable, "-c", RACER, postgres_dsn, name],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )
        for name in ("a", "b")
    ]
    for racer in racers:
        assert racer.stdout is not None and racer.stdout.readline() == "ready\n"
    for racer in racers:
        assert racer.stdin is not None
        racer.stdin.write("go\n")
        racer.stdin.flush()
    won = [int(racer.communicate(timeout=300)[0]) for racer in racers]
    names = [d.device for d in house.registry.page(ENV)]
    assert sum(won) == 40 and len(names) == 40
    assert len({name.partition("-")[2] for name in names}) == 40
    house.database.close()
