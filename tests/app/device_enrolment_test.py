"""Codes through the operations: facts without codes, told once, and who may make them."""

from __future__ import annotations

import asyncio
import hashlib
import json
from collections.abc import Callable
from typing import Any

import pytest
from house import MOODY, AppHouse

from surefoot.compose.door import enrolment_of
from surefoot.core.enrolment import Admitted, Told, code_hash
from surefoot.core.errors import Refused
from surefoot.trust.entry import text_of_time


@pytest.fixture
def home(house: Callable[[str], AppHouse]) -> AppHouse:
    home = house(MOODY)
    home.set_up()
    return home


def code_of(ask: Callable[[], object]) -> str:
    with pytest.raises(Refused) as caught:
        ask()
    return caught.value.code


def made(home: AppHouse, **more: Any) -> list[dict[str, str]]:
    codes: list[dict[str, str]] = home.call("device code", "ann", name="dev", **more)["codes"]
    return codes


def enrol(home: AppHouse, device: str, code: str, **more: str) -> Admitted | str:
    told = Told(device=device, code=code, **more)
    place = home.installation
    desk = enrolment_of(place.folder, place.codes, place.desk)
    return asyncio.run(desk.enrol("dev", told))


def test_a_code_becomes_a_device_that_the_journal_counts(home: AppHouse) -> None:
    code = made(home, hardware="lamp")[0]
    found = enrol(home, "lamp-7", code["code"])
    assert isinstance(found, Admitted) and found.environment == "dev"
    (row,) = home.installation.registry.changed(0)
    assert row.token_hash == hashlib.sha256(found.token.encode()).digest()
    home.installation.seal_devices()
    assert home.installation.log.read(lambda w: w.environments["dev"].devices) == 1
    (fact,) = home.facts("EnrolmentCodesMade")
    assert (fact["codes"], fact["hardware"]) == ([code["name"]], "lamp")
    assert [f["admitted"] for f in home.facts("DeviceBatchSealed")] == [1]
    kept = code_hash(code["code"])
    assert kept is not None
    journal = json.dumps([*home.facts("EnrolmentCodesMade"), *home.facts("DeviceBatchSealed")])
    reports = b"".join(home.installation.registry.timeline("dev", "lamp-7")).decode()
    for text in (journal, reports):
        for secret in (code["code"], kept.hex(), found.token):
            assert secret not in text
    (listed,) = home.call("device codes", "ann", name="dev")["codes"]
    assert (listed["state"], listed["device"]) == ("used", "lamp-7")
    assert code["code"] not in json.dumps(listed)


def test_the_past_knows_a_device_that_came_by_a_code_or_by_a_gateway(home: AppHouse) -> None:
    enrol(home, "lamp-7", made(home)[0]["code"])
    home.installation.identities.knock("dev", "lamp-8")
    home.call("device accept", "ann", name="dev", id="lamp-8")
    home.installation.seal_devices()
    now = text_of_time(home.installation.clock.now_ms())
    listed = home.call("device list", "ann", name="dev", at=now)["devices"]
    assert [row["device"] for row in listed] == ["lamp-7", "lamp-8"]
    shown = home.call("device show", "ann", name="dev", id="lamp-7", at=now)
    assert shown["reports"][0]["told"]["type"] == "standing"


def test_codes_are_withdrawn_by_name_or_all(home: AppHouse) -> None:
    codes = made(home, count=3)
    one = {"name": "dev", "code": codes[0]["name"]}
    assert home.call("device withdraw-codes", "ann", **one)["withdrawn"] == 1
    assert enrol(home, "lamp-1", codes[0]["code"]) == "void"
    assert code_of(lambda: home.call("device withdraw-codes", "ann", **one)) == (
        "device.code.unknown"
    )
    assert home.call("device withdraw-codes", "ann", name="dev")["withdrawn"] == 2
    assert enrol(home, "lamp-1", codes[1]["code"]) == "void"
    facts = home.facts("EnrolmentCodesWithdrawn")
    assert [len(fact["codes"]) for fact in facts] == [1, 2]
    states = {c["state"] for c in home.call("device codes", "ann", name="dev")["codes"]}
    assert states == {"withdrawn"}


def test_who_may_not_manage_devices_makes_no_codes(home: AppHouse) -> None:
    home.enrol("eve")
    for name, more in (
        ("device code", {}),
        ("device codes", {}),
        ("device withdraw-codes", {}),
    ):
        code_of(lambda name=name, more=more: home.call(name, "eve", name="dev", **more))
    many = {"name": "dev", "count": 2, "device": "lamp-1"}
    assert code_of(lambda: home.call("device code", "ann", **many)) == "device.code.input"
    bad = {"name": "dev", "device": "a b"}
    assert code_of(lambda: home.call("device code", "ann", **bad)) == "device.name.input"
    assert not home.facts("EnrolmentCodesMade")
