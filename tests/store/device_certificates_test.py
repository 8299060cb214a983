"""Issuers that are believed and certificates that are bound, on both databases."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from surefoot.core.enrolment import Code, code_hash, code_text
from surefoot.core.errors import Refused
from surefoot.store.device import NewDevice
from surefoot.store.device_certificates import DeviceCertificates
from surefoot.store.device_identity import CERTIFICATE_ONLY
from surefoot.store.enrolment_codes import EnrolmentCodes
from surefoot.store.postgres import PostgresDatabase
from surefoot.testing.device_door import DeviceHouse
from surefoot.trust.certificate import fingerprint_of

ENV = "production"


@pytest.fixture(params=["sqlite", "postgres"])
def house(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[DeviceHouse]:
    database = None
    if request.param == "postgres":
        database = PostgresDatabase(request.getfixturevalue("postgres_dsn"))
    house = DeviceHouse(tmp_path, database)
    yield house
    house.database.close()


def test_issuers_are_kept_whole_and_replaced(house: DeviceHouse) -> None:
    kept = DeviceCertificates(house.database)
    kept.put_authorities("production", [b"one", b"two"], required=True)
    kept.put_authorities("staging", [b"one"], required=False)
    found, issuers = kept.authorities()
    assert found["production"].trusted == {fingerprint_of(b"one"), fingerprint_of(b"two")}
    assert (found["production"].required, found["staging"].required) == (True, False)
    assert sorted(issuers) == [b"one", b"two"]
    kept.put_authorities("production", [], required=True)
    assert set(kept.authorities()[0]) == {"staging"}


def test_a_device_is_bound_and_loosed(house: DeviceHouse) -> None:
    kept = DeviceCertificates(house.database)
    house.enrol(ENV, "dev1")
    assert kept.credential(ENV, "dev1") == ("", "")
    assert kept.credential(ENV, "dev2") is None
    for fingerprint in ("a" * 64, "b" * 64, ""):
        kept.bind(ENV, "dev1", fingerprint)
        assert kept.credential(ENV, "dev1") == ("", fingerprint)
    with pytest.raises(Refused):
        kept.bind(ENV, "dev2", "a" * 64)


def test_a_listed_device_is_bound_and_one_that_is_there_stays(house: DeviceHouse) -> None:
    kept = DeviceCertificates(house.database)
    listed = [NewDevice(device="a", token_hash=CERTIFICATE_ONLY, certificate="c" * 64)]
    assert house.registry.enrol(ENV, listed) == 1
    assert kept.credential(ENV, "a") == ("", "c" * 64)
    other = [NewDevice(device="a", token_hash=CERTIFICATE_ONLY, certificate="d" * 64)]
    assert house.registry.enrol(ENV, other) == 0
    assert kept.credential(ENV, "a") == ("", "c" * 64)


def test_a_destroyed_environment_believes_nobody(house: DeviceHouse) -> None:
    kept = DeviceCertificates(house.database)
    kept.put_authorities(ENV, [b"one"], required=True)
    codes = EnrolmentCodes(house.database, house.now_ms)
    code = code_hash(code_text(bytes(13)))
    assert code is not None
    until = house.now_ms() + 60_000
    codes.put([code], Code(environment=ENV, hardware="", device="", expires_ms=until))
    house.enrol(ENV, "dev1")
    kept.bind(ENV, "dev1", "a" * 64)
    house.registry.remove_environment(ENV)
    assert kept.authorities() == ({}, [])
    assert codes.find(code) is None
    house.enrol(ENV, "dev1")
    assert kept.credential(ENV, "dev1") == ("", "")
