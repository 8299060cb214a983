"""Registering a release: once, by digest, with gates that passed, by the one who cut it."""

from __future__ import annotations

import msgspec
import pytest

from surefoot.core import facts as f
from surefoot.core import release as releases
from surefoot.core.errors import Refused
from surefoot.testing import simulator_product as product
from surefoot.testing.history import History
from surefoot.testing.simulator_product import person
from surefoot.trust.digest import digest_of


def fact_of(history: History, **changes: object) -> f.ReleaseRegistered:
    manifest = msgspec.structs.replace(product.manifest_of("1.1.0"), version="2.0.0")
    fact = product.register(history.world, manifest)[0]
    assert isinstance(fact, f.ReleaseRegistered)
    return msgspec.structs.replace(fact, **changes)


def gate(verdict: str) -> tuple[f.GateResult, ...]:
    return (f.GateResult(gate="tests", verdict=verdict, reason="why", evidence=digest_of(b"e")),)


@pytest.mark.parametrize(
    ("who", "changes", "code"),
    [
        ("dora", {}, ""),
        ("olga", {}, "policy.permission.missing"),
        ("dora", {"cutter": "olga"}, "release.cutter.signature"),
        ("dora", {"version": "two"}, "release.version.input"),
        ("dora", {"version": "1.0"}, "release.version.input"),
        ("dora", {"version": "1.0.0"}, "release.version.taken"),
        ("dora", {"gates": gate("fail")}, "gate.tests.fail"),
        ("dora", {"gates": gate("inconclusive")}, "gate.tests.inconclusive"),
        ("dora", {"gates": gate("error")}, "gate.tests.error"),
        ("dora", {"gates": gate("pass")}, ""),
    ],
)
def test_registering(history: History, who: str, changes: dict[str, object], code: str) -> None:
    fact = fact_of(history, **changes)
    try:
        assert releases.register(history.world, person(who), fact, 0) == [fact]
    except Refused as refused:
        assert refused.code == code
        assert refused.remedy
    else:
        assert code == ""


def test_the_same_again_changes_nothing(history: History) -> None:
    manifest = product.manifest_of("1.0.0")
    assert product.register(history.world, manifest) == []


@pytest.mark.parametrize(
    ("version", "good"),
    [("1.0.0", True), ("10.20.30-rc.1", True), ("1.0.0-", False), ("v1.0.0", False), ("", False)],
)
def test_versions(version: str, good: bool) -> None:
    if good:
        assert releases.check_version(version) == version
        return
    with pytest.raises(Refused, match=r"release\.version\.input"):
        releases.check_version(version)


def test_finding_by_version_or_digest(history: History) -> None:
    found = releases.find(history.world, "1.0.0")
    assert releases.find(history.world, found.digest) is found
    with pytest.raises(Refused) as refused:
        releases.find(history.world, "9.9.9")
    assert (refused.value.code, refused.value.status()) == ("release.unknown", 404)
