"""A release that devices first only download, and install when it is deployed again."""

from __future__ import annotations

from collections.abc import Callable

import pytest
from house import MOODY, AppHouse
from rollouts_test import enrol

from surefoot.core.device import Feedback
from surefoot.core.errors import Refused
from surefoot.store.device import AttributesPut, Incoming

House = Callable[[str], AppHouse]
HELD = MOODY.replace("      waves: [100]\n", "      waves: [100]\n      type: download-only\n")
DOWNLOADED = Feedback("downloaded", "success")
INSTALLED = Feedback("closed", "success")


def tell(home: AppHouse, *told: object) -> None:
    """Each device says all of it, and it enters the journal."""
    devices = [row.device for row in home.installation.registry.page("dev")]
    home.installation.registry.record(
        [Incoming(environment="dev", device=d, told=each) for d in devices for each in told]  # type: ignore[arg-type]
    )
    home.installation.seal_devices()


def firmware_on_record(home: AppHouse) -> str:
    state = home.installation.log.read(lambda w: w.environments["dev"].components.get("bulb"))
    return state.version if state else ""


def test_devices_download_and_a_later_deployment_installs(house: House) -> None:
    home = house(HELD)
    home.set_up()
    enrol(home, "l1", "l2")
    home.release("1.0.0")
    number = home.request("dev", release="1.0.0")
    plan = home.call("deployment show", "ann", number=number)
    assert "download 1.0.0" in str(plan)
    assert home.carry(number) == "running"
    tell(home, DOWNLOADED)
    assert home.carry(number) == "succeeded"
    (row,) = home.call("rollout list", "ann", name="dev")["rollouts"]
    assert row["status"] == "downloaded"
    # Nothing counts as installed: neither the record, nor the books of the versions.
    assert firmware_on_record(home) == ""
    fleet = home.call("fleet show", "ann", name="dev")
    assert fleet["versions"] == {}
    assert fleet["rollouts"][0]["states"] == {"downloaded": 2}

    home.commit(MOODY)
    home.call("definition accept", "bob", commit="HEAD")
    number = home.request("dev", release="1.0.0")
    assert home.carry(number) == "running"
    tell(home, INSTALLED, AttributesPut(mode="merge", values={"version": "1.0.0"}))
    assert home.carry(number) == "succeeded"
    assert firmware_on_record(home) == "1.0.0"
    assert home.call("fleet show", "ann", name="dev")["versions"] == {"1.0.0": 2}


def test_one_that_says_more_than_it_was_asked_for_stops_it(house: House) -> None:
    home = house(HELD)
    home.set_up()
    enrol(home, "l1")
    home.release("1.0.0")
    number = home.request("dev", release="1.0.0")
    home.carry(number)
    tell(home, INSTALLED)
    assert home.carry(number) == "stopped"
    assert firmware_on_record(home) == ""


def test_nothing_is_removed_while_devices_only_download(house: House) -> None:
    home = house(HELD)
    home.set_up()
    enrol(home, "l1")
    home.release("1.0.0")
    number = home.request("dev", release="1.0.0")
    home.carry(number)
    tell(home, DOWNLOADED)
    assert home.carry(number) == "succeeded"
    (home.product / "migrations" / "0002_contract_lamp.sql").write_text("DROP TABLE lamp;\n")
    home.commit(HELD)
    home.release("1.1.0")
    with pytest.raises(Refused) as caught:
        home.request("dev", release="1.1.0")
    assert caught.value.code == "plan.download-only"
