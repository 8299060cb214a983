"""The blast radius through the operations, which record nothing; and rollouts as they stand."""

from __future__ import annotations

import hashlib
from collections.abc import Callable

import pytest
from house import MOODY, AppHouse

from surefoot.core.errors import Refused

House = Callable[[str], AppHouse]
AIMED = MOODY.replace("      waves: [100]\n", "      waves: [50, 100]\n      query: 'name==l*'\n")


def enrol(home: AppHouse, *names: str, hardware: str = "lamp-v1") -> None:
    digest = hashlib.sha256(b"t").hexdigest()
    devices = [{"id": name, "hardware": hardware, "token_hash": digest} for name in names]
    home.call("device enrol", "ann", name="dev", devices=devices)


def code_of(ask: Callable[[], object]) -> str:
    with pytest.raises(Refused) as caught:
        ask()
    return caught.value.code


def test_a_plan_of_a_rollout_says_who_and_records_nothing(house: House) -> None:
    home = house(AIMED)
    home.set_up()
    enrol(home, *(f"l{n}" for n in range(6)), "x1")
    enrol(home, "l-old", hardware="lamp-v0")
    home.release("1.0.0")
    size = home.installation.log.size()
    asked = {"environment": "dev", "release": "1.0.0"}
    found = home.call("rollout plan", "ann", **asked, bandwidth="1M", limit=2)
    assert found["target"] == {"query": "name==l*"}
    assert (found["registered"], found["matching"], found["moves"]) == (8, 7, 6)
    assert found["names"] == ["l0", "l1"]
    assert found["unfit"][0]["reason"] == "hardware" and found["unfit"][0]["names"] == ["l-old"]
    assert [wave["devices"] for wave in found["waves"]] == [3, 3]
    assert found["heard"]["never"] == 6 and found["hours"] == ""
    later = home.call("rollout plan", "ann", **asked, after="l3")
    assert later["names"] == ["l4", "l5"]
    other = home.call("rollout plan", "ann", **asked, query="name==x1")
    assert other["names"] == ["x1"] and other["moves"] == 1
    assert home.installation.log.size() == size
    for change, code in (
        ({"query": "name=="}, "device.query.input"),
        ({"bandwidth": "fast"}, "rollout.bandwidth.input"),
        ({"release": "9.9.9"}, "release.unknown"),
    ):
        assert code_of(lambda c=change: home.call("rollout plan", "ann", **{**asked, **c})) == code  # type: ignore[misc]


def test_a_rollout_is_listed_and_shown(house: House) -> None:
    home = house(AIMED)
    home.set_up()
    enrol(home, *(f"l{n}" for n in range(6)), "x1")
    home.release("1.0.0")
    assert home.call("rollout list", "ann", name="dev") == {"rollouts": []}
    number = home.request("dev", release="1.0.0")
    home.carry(number)
    (row,) = home.call("rollout list", "ann", name="dev")["rollouts"]
    assert row == {
        "deployment": number,
        "release_version": "1.0.0",
        "firmware": "1.0.0",
        "status": "running",
    }
    shown = home.call("rollout show", "ann", name="dev", number=number)
    assert shown["waves"] == [{"wave": "0", "states": {"assigned": 3}}]
    gone = code_of(lambda: home.call("rollout show", "ann", name="dev", number=99))
    assert gone == "rollout.number.unknown"
