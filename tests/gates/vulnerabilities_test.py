"""The gate on packages, over real bills of materials; every way to pass without having looked."""

from __future__ import annotations

import json
from collections.abc import Sequence
from typing import Any

import msgspec
import pytest

from surefoot.core.advisory import Snapshot
from surefoot.core.advisory_policy import AdvisoryPolicy
from surefoot.core.advisory_report import HOUR_MS
from surefoot.core.finding import Seen
from surefoot.core.gate import Evidence, judge
from surefoot.core.vex import Statements
from surefoot.gates.vulnerabilities import VulnerabilitiesGate
from surefoot.insight import advisories
from surefoot.store.blobs import FileBlobs
from surefoot.supply.locks import parse
from surefoot.supply.sbom import sbom_of
from surefoot.testing.advisory_snapshot import lines, record, snapshot
from surefoot.testing.gate_conformance import GateConformance
from surefoot.trust.digest import digest_of
from surefoot.trust.keys import PrivateKey

SUBJECT = digest_of(b"a release")
NOW = advisories.time_of("2026-01-03T00:00:00Z")
KEY = PrivateKey(b"k" * 32)
RECORDS = [record("PYSEC-1", "PyPI/demo", "1.1", aliases=["CVE-2026-1"], summary="It leaks.")]


def bill(blobs: FileBlobs, content: str, name: str = "requirements.lock", **more: Any) -> str:
    kind = more.get("kind", "service")
    packages = parse(name, content.encode())
    return blobs.put(sbom_of("api", kind, "c" * 40, digest_of(b"artifact"), 0, packages))


class House:
    """What is in force, set by each test."""

    def __init__(self, blobs: FileBlobs) -> None:
        self.blobs = blobs
        self.now = NOW
        self.limits = AdvisoryPolicy(signers=("x",))
        self.records = RECORDS
        self.exploited: list[tuple[str, int]] = []
        self.made_at = NOW - HOUR_MS
        self.there = True
        self.living_with: set[str] = set()

    def policy(self) -> AdvisoryPolicy:
        return self.limits

    def snapshot(self) -> Snapshot | None:
        if not self.there:
            return None
        made = snapshot(lines(self.records, self.exploited), KEY, self.made_at)
        parts = {digest_of(each): each for each in made.parts}
        statement, _ = advisories.open_statement(made.sealed, [KEY.public])
        return advisories.Shelf(digest_of(made.sealed), statement, parts.__getitem__)

    def statements(self, component: str) -> Statements:
        return Statements()

    def accepted(self, component: str, seen: Sequence[Seen]) -> frozenset[str]:
        return frozenset(s.fingerprint() for s in seen if s.rule in self.living_with)

    def gate(self) -> VulnerabilitiesGate:
        return VulnerabilitiesGate(self.blobs, self, lambda: self.now)

    def run(self, *bills: str, **more: Any) -> Evidence:
        rows = [{"name": f"api{n or ''}", "sbom": b, **more} for n, b in enumerate(bills)]
        return self.gate().run(SUBJECT, {"components": [*rows]})

    def verdict(self, *bills: str, **more: Any) -> tuple[str, str]:
        found = judge(self.run(*bills, **more), SUBJECT)
        return found.verdict, found.reason


@pytest.fixture
def house(blobs: FileBlobs) -> House:
    return House(blobs)


@pytest.fixture
def old(blobs: FileBlobs) -> str:
    return bill(blobs, "Demo==1.0\nother==3\n")


@pytest.fixture
def new(blobs: FileBlobs) -> str:
    return bill(blobs, "demo==1.1\n")


class TestVulnerabilities(GateConformance):
    @pytest.fixture
    def case(self, house: House, old: str, new: str) -> Any:
        class Case:
            subject = SUBJECT
            good = {"components": [{"name": "api", "sbom": new}]}
            bad = {"components": [{"name": "api", "sbom": old}]}
            malformed = {"components": []}

            def open_good(self) -> VulnerabilitiesGate:
                return house.gate()

            open_bad = open_good

        return Case()


def test_an_old_dependency_fails_in_plain_words(house: House, old: str) -> None:
    verdict, reason = house.verdict(old)
    assert verdict == "fail"
    assert reason == "api: demo 1.0: CVE-2026-1 It leaks. at pkg:pypi/demo"
    evidence = house.run(old)
    assert evidence.findings[0].remedy == "update pkg:pypi/demo to 1.1"
    assert evidence.coverage["judged"] == evidence.coverage["packages"] == 2
    assert evidence.raw is not None and b"CVE-2026-1" in house.blobs.get(evidence.raw)


def test_the_evidence_names_the_snapshot_that_judged(house: House, new: str) -> None:
    evidence = house.run(new)
    assert evidence.inputs[0] == evidence.figures["snapshot"]
    assert evidence.figures["age_hours"] == 1
    house.records = [*RECORDS, record("PYSEC-2", "PyPI/more")]
    assert house.run(new).inputs[0] != evidence.inputs[0]


def test_no_snapshot_is_no_verdict(house: House, new: str) -> None:
    house.there = False
    verdict, reason = house.verdict(new)
    assert (verdict, "import" in reason) == ("inconclusive", True)


def test_an_old_snapshot_is_no_verdict(house: House, new: str) -> None:
    assert house.verdict(new)[0] == "pass"
    house.made_at = NOW - 169 * HOUR_MS
    assert house.verdict(new)[0] == "inconclusive"
    house.limits = AdvisoryPolicy(age_hours_max=170)
    assert house.verdict(new)[0] == "pass"


def test_a_new_snapshot_of_old_records_is_no_verdict(house: House, new: str) -> None:
    """Somebody signs today what was fetched long ago."""
    house.now = NOW + 400 * HOUR_MS
    house.made_at = house.now
    verdict, reason = house.verdict(new)
    assert (verdict, "newest advisory" in reason) == ("inconclusive", True)


def test_an_old_snapshot_still_finds(house: House, old: str) -> None:
    house.made_at = NOW - 1000 * HOUR_MS
    assert house.verdict(old)[0] == "fail"


def test_a_bill_without_packages_is_no_verdict(house: House, blobs: FileBlobs) -> None:
    empty = bill(blobs, "# nothing\n")
    verdict, reason = house.verdict(empty)
    assert (verdict, "names no packages" in reason) == ("inconclusive", True)
    house.limits = AdvisoryPolicy(without_packages=("api",))
    assert house.verdict(empty)[0] == "pass"
    house.limits = AdvisoryPolicy()
    assert house.verdict(bill(blobs, "# nothing\n", kind="migrations"))[0] == "pass"


def test_a_package_that_nobody_can_judge_is_no_verdict(house: House, blobs: FileBlobs) -> None:
    mixed = bill(blobs, '{"components":[{"name":"boot","version":"1"}]}', "parts.json")
    verdict, reason = house.verdict(mixed)
    assert (verdict, "pkg:generic/boot" in reason) == ("inconclusive", True)
    house.limits = AdvisoryPolicy(not_judged=("pkg:generic/boot",))
    assert house.verdict(mixed)[0] == "pass"
    house.records = [*RECORDS, record("OWN-1", "Generic/boot", "2", kind="SEMVER")]
    house.limits = AdvisoryPolicy()
    assert house.verdict(mixed)[0] == "fail"


STATUS = """\
Package: libssl3
Status: install ok installed
Source: openssl (3.0.11-1)
Version: 3.0.11-1+b1
"""
EVERY_FORM = (
    ("package-lock.json", "npm/@a/b", "SEMVER", "1.2.0", "1.1.0"),
    ("go.sum", "Go/example.org/M", "SEMVER", "1.2.0", "v1.2.0-0.20240101000000-abcdefabcdef"),
    ("image.debian-12", "Debian:12/openssl", "ECOSYSTEM", "3.0.12-1", ""),
    ("parts.json", "Debian:12/zlib", "ECOSYSTEM", "1:1.3-1", "1:1.2.13.dfsg-1"),
    ("parts.json", "Generic/boot", "SEMVER", "2", "1.9.1"),
)


def lock_of(form: str, version: str, package: str) -> str:
    """A lock file of each form, of one package."""
    if form == "package-lock.json":
        entry = {"version": version, "integrity": ""}
        packages = {"": {}, "node_modules/@a/b": entry}
        return json.dumps({"lockfileVersion": 3, "packages": packages})
    if form == "go.sum":
        return f"example.org/M {version} h1:abc=\nexample.org/M {version}/go.mod h1:abc=\n"
    if form == "image.debian-12":
        return STATUS
    row = {"name": package, "version": version}
    if package != "boot":
        quoted = version.replace(":", "%3A")
        row["purl"] = f"pkg:deb/debian/{package}@{quoted}?distro=debian-12"
    return json.dumps({"components": [row]})


@pytest.mark.parametrize(("form", "package", "kind", "fixed", "version"), EVERY_FORM)
def test_from_lock_file_to_verdict(
    house: House, blobs: FileBlobs, form: str, package: str, kind: str, fixed: str, version: str
) -> None:
    """Every form of lock file through the bill of materials: found, and not found when fixed."""
    name = package.rpartition("/")[2]
    made = bill(blobs, lock_of(form, version, name), form)
    house.records = [record("OWN-1", package, fixed, kind=kind)]
    assert house.verdict(made)[0] == "fail"
    assert (
        house.run(made).findings[0].remedy
        == f"update {house.run(made).findings[0].place} to {fixed}"
    )
    house.records = [record("OWN-1", package, "0.0.1", kind=kind)]
    assert house.verdict(made)[0] == "pass"


def test_a_bill_that_is_damaged_is_an_error(house: House, blobs: FileBlobs, new: str) -> None:
    for content in (b"", b"{}", b'{"bomFormat":"CycloneDX","components":['):
        assert house.verdict(new, blobs.put(content))[0] == "error"
    assert house.verdict(new, digest_of(b"nowhere"))[0] == "error"
    assert house.verdict(new, "sha256:x")[0] == "error"


def test_a_snapshot_whose_parts_are_gone_is_an_error(house: House, new: str) -> None:
    found = house.snapshot()
    assert isinstance(found, advisories.Shelf)
    found._part = lambda digest: b""
    house.snapshot = lambda: found  # type: ignore[method-assign]
    assert house.verdict(new)[0] == "error"


def test_what_does_not_block_is_listed(house: House, old: str) -> None:
    house.living_with = {"CVE-2026-1"}
    assert house.verdict(old)[0] == "pass"
    assert [f.severity for f in house.run(old).findings] == ["info"]
    house.living_with = set()
    house.limits = AdvisoryPolicy(severity_min="high")
    assert house.verdict(old)[0] == "pass"
    house.exploited = [("CVE-2026-1", 1)]
    assert house.verdict(old)[0] == "fail", "what attackers use blocks, whatever the limit is"


def test_one_component_does_not_hide_another(house: House, old: str, new: str) -> None:
    assert house.verdict(new, old)[0] == "fail"
    assert house.verdict(old, new)[0] == "fail"


@pytest.mark.parametrize("arguments", [{}, {"components": []}, {"components": [{"name": "a"}]}])
def test_nothing_to_look_at_is_an_error(house: House, arguments: Any) -> None:
    assert judge(house.gate().run(SUBJECT, arguments), SUBJECT).verdict == "error"


def test_evidence_with_a_gap_never_passes() -> None:
    whole = Evidence(gate="g", subject=SUBJECT, tool="t", tool_version="1", complete=True)
    assert judge(whole, SUBJECT).verdict == "pass"
    gap = msgspec.structs.replace(whole, gap="something")
    assert judge(gap, SUBJECT).verdict == "inconclusive"
