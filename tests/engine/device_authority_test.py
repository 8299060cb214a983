"""The device door offers only what a proved claim assigned."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import msgspec
import pytest

from surefoot.core.interlock import decode_claimed
from surefoot.core.target import Plain, Step, Token
from surefoot.engine.device_authority import DeviceAuthority
from surefoot.store.device import DeskRow
from surefoot.store.device_rollouts import DeviceRollouts, Wave
from surefoot.testing.claims import Claims
from surefoot.testing.device_door import DeviceHouse
from surefoot.trust.note import SignerKey

ENV = "production"


@pytest.fixture
def house(tmp_path: Path) -> Iterator[DeviceHouse]:
    found = DeviceHouse(tmp_path)
    found.enrol(ENV, "one", "two")
    yield found
    found.database.close()


def wave(house: DeviceHouse, deployment: int = 1, content: bytes = b"new") -> Wave:
    return Wave(
        deployment=deployment,
        wave=0,
        percent=100,
        release="sha256:" + "1" * 64,
        firmware=house.firmware(content, "1.1.0"),
        deadline_seconds=60,
    )


def offered(house: DeviceHouse) -> bool:
    """What a desk that starts now would tell a device to do."""
    desk = house.desk()
    desk.refresh()
    return desk.poll(ENV, "one").action > 0


def row(house: DeviceHouse) -> DeskRow:
    return house.registry.changed(0)[0]


def test_a_wave_under_its_claim_is_offered(house: DeviceHouse) -> None:
    house.assign(ENV, wave(house))
    assert offered(house)
    held = decode_claimed(house.registry.claim(ENV, 1, "0"))
    assert held.intent.index == 1 and held.step.action == "wave"


def test_without_the_proof_nothing_is_offered(house: DeviceHouse) -> None:
    rollouts = DeviceRollouts(house.database, ENV, house.now_ms)
    rollouts.assign(wave(house), Token(operation="1/wave", fence=1))
    assert not offered(house)


def test_a_proof_under_another_key_offers_nothing(house: DeviceHouse) -> None:
    house.assign(ENV, wave(house))
    stranger = SignerKey(house.keys[0].name, b"\x09" * 32).verifier
    house.keys = (stranger,)
    assert not offered(house)
    house.keys = (stranger, Claims().signer.verifier)
    assert offered(house)


def test_rows_changed_by_hand_offer_nothing(house: DeviceHouse) -> None:
    """Another image, deployment or wave than the claim's: the door believes the claim."""
    house.assign(ENV, wave(house))
    good = row(house)
    authority = DeviceAuthority(house.registry, house.keys)
    assert authority.may_offer(good)
    for change in (
        {"firmware": "sha256:" + "2" * 64},
        {"deployment": 2},
        {"wave": "1"},
        {"kind": "download"},
    ):
        assert not authority.may_offer(msgspec.structs.replace(good, **change))


def test_a_claim_moved_to_another_wave_or_environment_offers_nothing(house: DeviceHouse) -> None:
    house.assign(ENV, wave(house))
    content = house.registry.claim(ENV, 1, "0")
    for environment, deployment, name in ((ENV, 1, "1"), (ENV, 2, "0"), ("staging", 1, "0")):
        with house.database.write() as session:
            session.run(
                "device.insert_claim",
                environment=environment,
                deployment=deployment,
                wave=name,
                record=content,
            )
        there = msgspec.structs.replace(
            row(house), environment=environment, deployment=deployment, wave=name
        )
        assert not DeviceAuthority(house.registry, house.keys).may_offer(there)


def test_a_return_is_offered_under_the_claim_of_the_return(house: DeviceHouse) -> None:
    new, old = wave(house), house.firmware(b"old", "1.0.0")
    arguments: Plain = {**msgspec.to_builtins(new), "policy": {"deadline_seconds": 60}}
    release = "sha256:" + "0" * 64
    arguments["previous"] = {"release": release, "firmware": msgspec.to_builtins(old)}
    claims, target = Claims(ENV), house.fleet(ENV)
    for fence, action in ((1, "wave"), (2, "return_devices")):
        step = Step(id=action, target="fleet", action=action, arguments=arguments)
        assert target.apply(step, claims.token(step, f"1/{action}", fence)).status == "done"
        assert row(house).wave == "0"
    # Nothing was offered yet, so the return withdrew it: the claim of the return is kept still.
    assert decode_claimed(house.registry.claim(ENV, 1, "return")).step.action == "return_devices"
    back = msgspec.structs.replace(row(house), wave="return", firmware=old.digest)
    authority = DeviceAuthority(house.registry, house.keys)
    assert authority.may_offer(back)
    assert not authority.may_offer(msgspec.structs.replace(back, firmware=new.firmware.digest))


@pytest.mark.parametrize("content", [b"", b"{}", b"\xff", b'{"step":{},"intent":{}}'])
def test_what_is_no_claim_offers_nothing(house: DeviceHouse, content: bytes) -> None:
    house.assign(ENV, wave(house))
    there = msgspec.structs.replace(row(house), wave="9")
    with house.database.write() as session:
        session.run("device.insert_claim", environment=ENV, deployment=1, wave="9", record=content)
    assert not DeviceAuthority(house.registry, house.keys).may_offer(there)
