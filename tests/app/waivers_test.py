"""An inconclusive gate stops a deployment until somebody else takes it upon themselves."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from hardening_test import GOOD, hardened
from house import AppHouse

from surefoot.core.errors import Refused


@pytest.fixture
def root(tmp_path: Path) -> Path:
    """A root file system in which nothing can be seen of the kernel's values."""
    made = tmp_path / "host"
    (made / "etc" / "sysctl.d").mkdir(parents=True)
    (made / "etc" / "passwd").write_text("root:x:0:0::/:/bin/sh\n")
    (made / "etc" / "sysctl.d" / "99-site.conf").write_text(GOOD)
    (made / "etc" / "sysctl.conf").write_text("what is this\n")
    return made


@pytest.fixture
def home(tmp_path: Path, root: Path) -> Iterator[AppHouse]:
    """Bob may waive, and did not write the product."""
    text = hardened(root).replace("roles:\n", "roles:\n  waiver: [gate.waive]\n")
    made = AppHouse(tmp_path, text)
    made.set_up()
    made.call("person grant", "ann", person="bob", role="waiver")
    made.call("person grant", "bob", person="ann", role="waiver")
    made.release("1.0.0")
    yield made
    made.close()


def step(home: AppHouse, number: int) -> str:
    shown = home.call("deployment show", "ann", number=number)
    return str(next(s for s in shown["steps"] if "hardening" in s["id"])["cause"])


def test_inconclusive_stops_like_a_failure_until_another_person_waives_it(home: AppHouse) -> None:
    number = home.request("dev", release="1.0.0")
    assert home.carry(number) == "returned"
    assert "inconclusive" in step(home, number)
    grant = {"place": "dev", "gate": "hardening", "days": 2, "reason": "a host is being rebuilt"}
    home.call("waiver grant", "ann", **grant)
    assert home.carry(home.request("dev", release="1.0.0")) == "returned", "her own request"
    home.call("waiver grant", "bob", **grant)
    number = home.request("dev", release="1.0.0")
    assert home.carry(number) == "succeeded"
    assert "waived by bob until " in step(home, number)
    rows = home.call("waiver list", "ann")["waivers"]
    assert [(r["place"], r["gate"], r["person"], r["in_force"]) for r in rows] == [
        ("dev", "hardening", "bob", True)
    ]
    assert home.call("environment list", "ann")["environments"][0]["name"] == "dev"


def test_a_waiver_voids_the_plan_that_did_not_know_it(home: AppHouse) -> None:
    assert home.carry(home.request("dev", release="1.0.0")) == "returned"
    plan = home.call("deployment plan", "ann", environment="dev", release="1.0.0")
    home.call("waiver grant", "bob", place="dev", gate="hardening", days=1, reason="why")
    with pytest.raises(Refused, match=r"plan\.parent\.moved|plan\."):
        home.call(
            "deployment request", "ann", environment="dev", release="1.0.0", digest=plan["digest"]
        )


def test_what_fails_is_not_waived(home: AppHouse, root: Path) -> None:
    (root / "etc" / "sysctl.conf").unlink()
    (root / "etc" / "sysctl.d" / "99-site.conf").write_text("kernel.kptr_restrict = 0\n")
    home.call("waiver grant", "bob", place="dev", gate="hardening", days=1, reason="why")
    number = home.request("dev", release="1.0.0")
    assert home.carry(number) == "returned"
    assert "hardening: fail" in step(home, number)


def test_an_ended_waiver_and_one_without_the_right(home: AppHouse) -> None:
    home.call("waiver grant", "bob", place="@releases", gate="tests", days=1, reason="why")
    assert home.call("waiver list", "ann")["waivers"][0]["place"] == "@releases"
    home.call("waiver end", "bob", place="@releases", gate="tests")
    assert home.call("waiver list", "ann")["waivers"] == []
    home.enrol("carl")
    with pytest.raises(Refused, match=r"policy\."):
        home.call("waiver grant", "carl", place="dev", gate="hardening", days=1, reason="why")
