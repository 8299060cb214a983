"""The example's packages before the gate: clean as it is, stopped with an old dependency."""

from __future__ import annotations

import shutil
from pathlib import Path

import thermostat_product as product

from surefoot.core.advisory import Snapshot
from surefoot.core.advisory_policy import AdvisoryPolicy
from surefoot.core.gate import Judgement, judge
from surefoot.core.vex import Statements
from surefoot.gates.vulnerabilities import VulnerabilitiesGate
from surefoot.insight import advisories
from surefoot.product import FILE_NAME, Migrations, parse_definition
from surefoot.store.blobs import FileBlobs
from surefoot.supply import locks
from surefoot.supply.sbom import sbom_of
from surefoot.testing.advisory_snapshot import lines, record, snapshot
from surefoot.trust.digest import digest_of
from surefoot.trust.keys import PrivateKey

SUBJECT = digest_of(b"a release of the thermostat")
KEY = PrivateKey(b"k" * 32)
NOW = advisories.time_of("2026-01-02T00:00:00Z")
KNOWN = record("PYSEC-2018-28", "PyPI/requests", "2.20.0", aliases=["CVE-2018-18074"])


class Ground:
    """A snapshot of one advisory; the service and the firmware use the standard library alone."""

    def policy(self) -> AdvisoryPolicy:
        return AdvisoryPolicy(without_packages=("api", "firmware"))

    def snapshot(self) -> Snapshot:
        made = snapshot(lines([KNOWN]), KEY, NOW)
        parts = {digest_of(each): each for each in made.parts}
        statement, _ = advisories.open_statement(made.sealed, [KEY.public])
        return advisories.Shelf(digest_of(made.sealed), statement, parts.__getitem__)

    def statements(self, component: str) -> Statements:
        return Statements()

    def accepted(self, component: str, seen: object) -> frozenset[str]:
        return frozenset()


def judged(checkout: Path, blobs: FileBlobs) -> Judgement:
    """The gate over bills made from the checkout's own lock files, as a build makes them."""
    rows = []
    for name, part in parse_definition((checkout / FILE_NAME).read_bytes()).components.items():
        if isinstance(part, Migrations):
            continue
        packages = [
            package
            for lock in part.build.locks
            for package in locks.parse(lock, (checkout / part.path / lock).read_bytes())
        ]
        content = sbom_of(name, part.kind, "c" * 40, digest_of(name.encode()), 0, packages)
        rows.append({"name": name, "sbom": blobs.put(content)})
    gate = VulnerabilitiesGate(blobs, Ground(), lambda: NOW)
    return judge(gate.run(SUBJECT, {"components": [*rows]}), SUBJECT)


def test_an_old_dependency_is_stopped_and_the_clean_product_is_not(
    tmp_path: Path, checkouts: dict[str, Path]
) -> None:
    blobs = FileBlobs(tmp_path / "blobs")
    checkout = tmp_path / "thermostat"
    shutil.copytree(checkouts["1.0.0"], checkout)
    assert judged(checkout, blobs).verdict == "pass"
    product.apply("old-dependency", checkout)
    found = judged(checkout, blobs)
    assert found.verdict == "fail"
    assert found.reason.startswith("api: requests 2.19.0: CVE-2018-18074")
