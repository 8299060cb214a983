"""Devices of a rollout that stopped go back to the release that the definition names."""

from __future__ import annotations

from collections.abc import Callable

import pytest
from download_only_test import INSTALLED, tell
from house import BUILD, MOODY, AppHouse
from rollouts_test import code_of, enrol

from surefoot.core.device import Feedback
from surefoot.store.device import AttributesPut

House = Callable[[str], AppHouse]
NAMED = MOODY.replace("      waves: [100]\n", "      waves: [100]\n      return_to: 1.0.0\n")


def build(home: AppHouse, version: str, definition: str, hardware: str = "lamp-v1") -> None:
    """A release with an image of that version."""
    text = BUILD.replace('"1.0.0"', f'"{version}"').replace('"lamp-v1"', f'"{hardware}"')
    (home.product / "bulb" / "build.py").write_text(text)
    home.commit(definition.replace("[lamp-v1]", f"[{hardware}]"))
    home.call("definition accept", "bob", commit="HEAD")
    home.release(version)


def shown(version: str) -> AttributesPut:
    return AttributesPut(mode="merge", values={"version": version})


def test_devices_go_back_to_the_release_that_is_named(house: House) -> None:
    home = house(MOODY)
    home.set_up()
    enrol(home, "l1", "l2")
    for version in ("1.0.0", "1.1.0"):
        build(home, version, MOODY)
        number = home.request("dev", release=version)
        home.carry(number)
        tell(home, INSTALLED, shown(version))
        assert home.carry(number) == "succeeded"
    build(home, "1.2.0", NAMED)
    number = home.request("dev", release="1.2.0")
    plan = home.call("deployment show", "ann", number=number)
    assert "a return goes to release 1.0.0" in str(plan)
    home.carry(number)
    tell(home, Feedback("closed", "failure"))
    home.carry(number)
    for row in home.installation.registry.page("dev"):
        assert (row.wave, row.version, row.state) == ("return", "1.0.0", "assigned")
    tell(home, INSTALLED, shown("1.0.0"))
    assert home.carry(number) == "stopped"
    assert home.call("fleet show", "ann", name="dev")["versions"] == {"1.0.0": 2}


def test_a_release_that_devices_could_not_return_to_is_refused_beforehand(house: House) -> None:
    home = house(MOODY)
    home.set_up()
    enrol(home, "l1")
    build(home, "1.0.0", MOODY, hardware="lamp-v0")
    build(home, "1.1.0", NAMED)
    ask = {"environment": "dev", "release": "1.1.0"}
    assert code_of(lambda: home.request(**ask)) == "plan.return-to"
    assert code_of(lambda: home.call("rollout plan", "ann", **ask)) == "plan.return-to"


@pytest.mark.parametrize("spoilt", ["unknown", "gone"])
def test_its_image_must_be_known_and_there(house: House, spoilt: str) -> None:
    home = house(MOODY)
    home.set_up()
    build(home, "1.0.0", MOODY)
    changed = NAMED.replace("1.0.0", "0.0.9") if spoilt == "unknown" else NAMED
    build(home, "1.1.0", changed)
    if spoilt == "gone":
        known = home.installation.log.read(lambda w: w.releases["1.0.0"].components["bulb"])
        path = home.installation.blobs.path(known.artifact)
        path.chmod(0o600)  # type: ignore[attr-defined]
        path.unlink()  # type: ignore[attr-defined]
    assert code_of(lambda: home.request("dev", release="1.1.0")) == "plan.return-to"
