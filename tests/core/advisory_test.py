"""What advisories say of versions: every kind of range, names, releases, and what is not known."""

from __future__ import annotations

from typing import Any

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from packaging.version import Version

from surefoot.core import bom
from surefoot.core.advisory import Advisory, Known, match
from surefoot.core.advisory_policy import AdvisoryPolicy
from surefoot.core.advisory_report import HOUR_MS, Inventory, Outcome, outcome_of, staleness
from surefoot.core.cvss import base_score
from surefoot.core.ecosystem import Part
from surefoot.core.vex import Statement, Statements

POLICY = AdvisoryPolicy(signers=("ssh-ed25519 x",))
ALL = {"PyPI": 9, "npm": 9, "Go": 9, "Debian:12": 9, "Generic": 9}


def advisory(
    events: list[dict[str, str]] | None = None,
    *,
    kind: str = "ECOSYSTEM",
    package: str = "PyPI/demo",
    versions: tuple[str, ...] = (),
    **more: Any,
) -> Advisory:
    ecosystem, _, name = package.partition("/")
    affected = {
        "package": {"ecosystem": ecosystem, "name": name},
        "versions": list(versions),
        "ranges": [{"type": kind, "events": events}] if events is not None else [],
    }
    record = {"id": "GHSA-1", "modified": "2026-01-01T00:00:00Z", "affected": [affected], **more}
    return msgspec.convert(record, Advisory)


def part(text: str) -> Part:
    return bom.part_of(text)


def said(text: str, found: Advisory) -> str:
    answer = match(part(text), found)
    return answer.answer if answer else "another"


RANGES: tuple[tuple[list[dict[str, str]], str, str], ...] = (
    ([{"introduced": "0"}], "0.0.1", "affected"),
    ([{"introduced": "0"}], "0.dev0", "affected"),
    ([{"introduced": "0"}, {"fixed": "1.2"}], "1.1.9", "affected"),
    ([{"introduced": "0"}, {"fixed": "1.2"}], "1.2", "safe"),
    ([{"introduced": "0"}, {"fixed": "1.2"}], "1.2rc1", "affected"),
    ([{"introduced": "0"}, {"fixed": "1.2"}], "1.2.post1", "safe"),
    ([{"introduced": "1.0"}, {"fixed": "1.2"}], "0.9", "safe"),
    ([{"introduced": "1.0"}, {"last_affected": "1.2"}], "1.2", "affected"),
    ([{"introduced": "1.0"}, {"last_affected": "1.2"}], "1.2.0.1", "safe"),
    ([{"introduced": "1.2"}, {"last_affected": "1.2"}], "1.2.0", "affected"),
    ([{"introduced": "1.2"}, {"last_affected": "1.2"}], "1.3", "safe"),
    ([{"fixed": "1.2"}, {"introduced": "2.0"}, {"introduced": "0"}], "1.5", "safe"),
    ([{"fixed": "1.2"}, {"introduced": "2.0"}, {"introduced": "0"}], "2.5", "affected"),
    ([{"introduced": "0"}, {"fixed": "1"}, {"introduced": "1"}, {"fixed": "2"}], "1", "affected"),
    ([{"introduced": "0"}, {"limit": "2.0"}], "1.9", "affected"),
    ([{"introduced": "0"}, {"limit": "2.0"}], "2.0", "safe"),
    ([{"introduced": "0"}, {"limit": "2.0"}, {"limit": "3.0"}], "2.5", "affected"),
    ([{"introduced": "0"}, {"limit": "*"}], "99", "affected"),
    ([{"introduced": "0"}, {"fixed": "not a version"}], "1.0", "unknown"),
    ([{"fixed": "1.0"}], "0.5", "unknown"),
    ([], "0.5", "unknown"),
)


@pytest.mark.parametrize(("events", "version", "answer"), RANGES)
def test_a_range(events: list[dict[str, str]], version: str, answer: str) -> None:
    assert said(f"pkg:pypi/demo@{version}", advisory(events)) == answer


def test_listed_versions_and_other_ranges() -> None:
    listed = advisory(versions=("1.0", "1.1"))
    assert said("pkg:pypi/demo@1.0.0", listed) == "affected"
    assert said("pkg:pypi/demo@1.2", listed) == "safe"
    commits = advisory([{"introduced": "0"}], kind="GIT")
    assert said("pkg:pypi/demo@1.2", commits) == "unknown"
    both = advisory([{"introduced": "0"}], kind="GIT", versions=("1.0",))
    assert (said("pkg:pypi/demo@1.0", both), said("pkg:pypi/demo@2", both)) == ("affected", "safe")
    assert said("pkg:pypi/demo@1.0", advisory([{"introduced": "0"}], kind="SEMVER")) == "unknown"
    assert said("pkg:pypi/demo@1.0", advisory([{"introduced": "0"}], kind="NEWER")) == "unknown"
    odd = advisory([{"introduced": "0"}], versions=("strange",))
    assert said("pkg:pypi/demo@strange", odd) == "affected"
    assert said("pkg:pypi/demo@other", odd) == "unknown"


def test_what_was_withdrawn_says_nothing() -> None:
    gone = advisory([{"introduced": "0"}], withdrawn="2026-01-02T00:00:00Z")
    assert said("pkg:pypi/demo@1", gone) == "another"


@pytest.mark.parametrize(
    ("purl", "package", "kind"),
    [
        ("pkg:pypi/Zope.Interface@1", "PyPI/zope-interface", "ECOSYSTEM"),
        ("pkg:pypi/zope_interface@1", "PyPI/Zope.Interface", "ECOSYSTEM"),
        ("pkg:npm/%40angular/core@1.0.0", "npm/@angular/core", "SEMVER"),
        ("pkg:golang/github.com/Acme/Tool/v2@v2.1.0", "Go/github.com/Acme/Tool/v2", "SEMVER"),
        ("pkg:golang/github.com/acme/tool/v2@v2.1.0", "Go/github.com/Acme/Tool/v2", "SEMVER"),
        ("pkg:deb/debian/openssl@3.0.1-1?distro=debian-12", "Debian:12/openssl", "ECOSYSTEM"),
        ("pkg:deb/debian/openssl@3.0.1-1?distro=bookworm", "Debian:12/openssl", "ECOSYSTEM"),
        ("pkg:deb/debian/openssl@3.0.1-1?distro=debian-12", "Debian/openssl", "ECOSYSTEM"),
        (
            "pkg:deb/debian/libssl3@3.0.1-1%2Bb1?distro=debian-12.8&upstream=openssl%403.0.1-1",
            "Debian:12/openssl",
            "ECOSYSTEM",
        ),
        ("pkg:generic/bootloader@1.4.0", "Generic/bootloader", "SEMVER"),
    ],
)
def test_names_of_each_ecosystem(purl: str, package: str, kind: str) -> None:
    assert said(purl, advisory([{"introduced": "0"}], package=package, kind=kind)) == "affected"


@pytest.mark.parametrize(
    ("purl", "package"),
    [
        ("pkg:pypi/demo@1", "npm/demo"),
        ("pkg:deb/debian/openssl@3.0.1-1?distro=debian-12", "Debian:11/openssl"),
        ("pkg:deb/debian/openssl@3.0.1-1?distro=debian-12", "Debian:1/openssl"),
        ("pkg:npm/core@1.0.0", "npm/@angular/core"),
        ("pkg:golang/github.com/acme/tool@v1.0.0", "Go/github.com/acme/tool/v2"),
    ],
)
def test_other_packages(purl: str, package: str) -> None:
    assert said(purl, advisory([{"introduced": "0"}], package=package)) == "another"


def test_go_versions_with_and_without_their_letter() -> None:
    found = advisory(
        [{"introduced": "0"}, {"fixed": "1.4.2"}], kind="SEMVER", package="Go/example.org/m"
    )
    early = "pkg:golang/example.org/m@v1.4.2-0.20240101000000-abcdefabcdef"
    assert said(early, found) == "affected"
    assert said("pkg:golang/example.org/m@v1.4.2", found) == "safe"


def judged(*parts: str, known: tuple[Advisory, ...] = (), **more: Any) -> Outcome:
    given: dict[str, Any] = {
        "ecosystems": ALL,
        **{k: more.pop(k) for k in tuple(more) if k in LISTS},
    }
    inventory = Inventory(
        component="api",
        parts=tuple(part(p) for p in parts),
        statements=more.pop("statements", Statements()),
        program=more.pop("program", True),
    )
    return outcome_of(inventory, Known(advisories=known, **given), more.pop("policy", POLICY))


LISTS = ("exploited", "likely", "ecosystems")
DEMO = "pkg:pypi/demo@1.0"


def test_names_of_one_weakness_make_one_finding() -> None:
    """Three databases, of which two know each other only through the third."""
    whole = [{"introduced": "0"}, {"fixed": "1.1"}]
    found = judged(
        DEMO,
        known=(
            advisory(whole, id="PYSEC-2026-1", aliases=["CVE-2026-1"]),
            advisory([{"introduced": "0"}, {"fixed": "1.2"}], id="GHSA-aa", aliases=["GHSA-bb"]),
            advisory(whole, id="GHSA-bb", aliases=["CVE-2026-1"], summary="It leaks."),
            advisory(whole, id="GHSA-cc", aliases=["CVE-2026-2"]),
        ),
    )
    assert [s.rule for s in found.seen] == ["CVE-2026-1", "CVE-2026-2"]
    one = found.seen[0]
    assert one.aliases == ("GHSA-aa", "GHSA-bb", "PYSEC-2026-1")
    assert "It leaks." in one.title and one.location.package == "pkg:pypi/demo"
    assert one.fixed_in == "1.2", "fixed is what every record calls fixed"
    assert len({s.fingerprint() for s in found.seen}) == 2
    assert found.gaps == () and found.judged == 1


def test_a_notice_of_a_distribution_is_not_counted_beside_its_weaknesses() -> None:
    notice = {"id": "DSA-1-1", "upstream": ["CVE-2026-1", "CVE-2026-2"], "package": "Debian:12/x"}
    first = {"id": "DEBIAN-CVE-2026-1", "upstream": ["CVE-2026-1"], "package": "Debian:12/x"}
    second = {"id": "DEBIAN-CVE-2026-2", "upstream": ["CVE-2026-2"], "package": "Debian:12/x"}
    purl = "pkg:deb/debian/x@1.0-1?distro=debian-12"

    def rules(*records: dict[str, Any]) -> list[str]:
        known = tuple(advisory([{"introduced": "0"}], **each) for each in records)
        return [s.rule for s in judged(purl, known=known).seen]

    assert rules(notice, first, second) == ["CVE-2026-1", "CVE-2026-2"]
    assert rules(notice, first) == ["DSA-1-1", "CVE-2026-1"], "one of it is told by nobody else"


def test_what_attackers_use_is_critical_and_what_is_likely_is_high() -> None:
    found = advisory([{"introduced": "0"}], aliases=["CVE-2026-1"])
    plain = judged(DEMO, known=(found,)).seen[0]
    assert (plain.severity, plain.exploited) == ("medium", False)
    used = judged(DEMO, known=(found,), exploited={"CVE-2026-1": 5}).seen[0]
    assert (used.severity, used.exploited) == ("critical", True)
    assert "attackers use it now" in used.remedy
    likely = judged(DEMO, known=(found,), likely={"CVE-2026-1": 900_000}).seen[0]
    assert likely.severity == "high" and "90 %" in likely.remedy
    assert judged(DEMO, known=(found,), likely={"CVE-2026-1": 9_000}).seen[0].severity == "medium"


WORST = "CVSS:3.1/AV:N/AC:L/PR:N/UI:N/S:U/C:H/I:H/A:H"
LEAST = "CVSS:3.1/AV:L/AC:H/PR:H/UI:R/S:U/C:L/I:N/A:N"
SEVERITIES: tuple[tuple[dict[str, Any], str], ...] = (
    ({"severity": [{"type": "CVSS_V3", "score": WORST}]}, "critical"),
    ({"severity": [{"type": "CVSS_V3", "score": LEAST}]}, "low"),
    ({"severity": [{"type": "CVSS_V4", "score": "CVSS:4.0/AV:N"}]}, "medium"),
    ({"database_specific": {"severity": "HIGH"}}, "high"),
    ({"database_specific": {"severity": "MODERATE"}}, "medium"),
    ({}, "medium"),
)


@pytest.mark.parametrize(("more", "severity"), SEVERITIES)
def test_severity(more: dict[str, Any], severity: str) -> None:
    found = judged(DEMO, known=(advisory([{"introduced": "0"}], **more),))
    assert found.seen[0].severity == severity


@pytest.mark.parametrize(
    ("vector", "score"),
    [
        ("CVSS:3.1/AV:N/AC:L/PR:N/UI:N/S:U/C:H/I:H/A:H", 9.8),
        ("CVSS:3.1/AV:N/AC:L/PR:N/UI:N/S:C/C:H/I:H/A:H", 10.0),
        ("CVSS:3.0/AV:N/AC:L/PR:L/UI:N/S:C/C:L/I:L/A:N", 6.4),
        ("CVSS:3.1/AV:N/AC:L/PR:N/UI:R/S:C/C:L/I:L/A:N", 6.1),
        ("CVSS:3.1/AV:L/AC:L/PR:L/UI:N/S:U/C:H/I:H/A:H", 7.8),
        ("CVSS:3.1/AV:N/AC:L/PR:N/UI:N/S:U/C:N/I:N/A:N", 0.0),
        ("CVSS:3.1/AV:N/AC:L", None),
        ("CVSS:4.0/AV:N/AC:L/AT:N/PR:N/UI:N/VC:H/VI:H/VA:H/SC:N/SI:N/SA:N", None),
        ("AV:N/AC:L/Au:N/C:P/I:P/A:P", None),
    ],
)
def test_scores_of_published_vectors(vector: str, score: float | None) -> None:
    assert base_score(vector) == score


@pytest.mark.parametrize(
    ("purl", "why"),
    [
        ("pkg:cargo/demo@1.0.0", "type cargo"),
        ("pkg:pypi/demo@weird", "no place in the order"),
        ("pkg:pypi/demo", "no place in the order"),
        ("pkg:deb/debian/x@1.0", "no release"),
        ("pkg:deb/ubuntu/x@1.0?distro=ubuntu-22.04", "packages of ubuntu"),
        ("pkg:deb/debian/x@1.0?distro=debian-13", "nothing about Debian:13"),
        ("not a package URL", "cannot be read"),
    ],
)
def test_what_cannot_be_judged_is_said_and_not_passed(purl: str, why: str) -> None:
    found = judged(purl)
    assert not found.seen and found.judged == 0
    assert why in found.unjudged[0].why
    assert "is not judged" in found.gaps[0]
    shown = found.unjudged[0].part.shown
    excused = judged(purl, policy=AdvisoryPolicy(not_judged=(shown,)))
    assert excused.gaps == () and excused.unjudged[0].excused


def test_an_ecosystem_that_the_snapshot_lacks_is_a_gap() -> None:
    assert "hold nothing about PyPI" in judged(DEMO, ecosystems={"npm": 5}).gaps[0]
    assert judged(DEMO, ecosystems={}).judged == 0


def test_an_unknown_answer_is_a_gap_unless_another_record_answers() -> None:
    open_end = advisory([{"introduced": "0"}], kind="GIT", id="CVE-2026-1")
    assert "CVE-2026-1" in judged(DEMO, known=(open_end,)).gaps[0]
    answer = advisory([{"introduced": "0"}, {"fixed": "0.9"}], id="GHSA-1", aliases=["CVE-2026-1"])
    assert judged(DEMO, known=(open_end, answer)).gaps == ()


def test_a_program_without_packages_is_a_gap() -> None:
    assert "names no packages" in judged().gaps[0]
    assert judged(program=False).gaps == ()
    assert judged(policy=AdvisoryPolicy(without_packages=("api",))).gaps == ()


class Dates(msgspec.Struct):
    made_at_ms: int
    newest_ms: int


def test_old_advisories_are_no_ground() -> None:
    now = 10_000 * HOUR_MS
    policy = AdvisoryPolicy(age_hours_max=24, quiet_hours_max=48)
    young = Dates(now - 24 * HOUR_MS, now - 48 * HOUR_MS)
    assert staleness(young, policy, now) == ()
    assert "25 h old" in staleness(Dates(now - 25 * HOUR_MS, now), policy, now)[0]
    assert "newest advisory" in staleness(Dates(now, now - 49 * HOUR_MS), policy, now)[0]
    assert "future" in staleness(Dates(now + 25 * HOUR_MS, now), policy, now)[0]


def test_a_statement_silences_its_package_and_version_alone() -> None:
    found = (advisory([{"introduced": "0"}], aliases=["CVE-2026-1"]),)

    def rules(made_ms: int = 10, exploited: int = 0, **more: Any) -> list[str]:
        given = {
            "names": ("CVE-2026-1",),
            "package": "pkg:pypi/demo",
            "justification": "code_not_reachable",
            **more,
        }
        statements = Statements(taken_ms=made_ms, statements=(Statement(**given),))
        listed = {"CVE-2026-1": exploited} if exploited else {}
        outcome = judged(DEMO, known=found, statements=statements, exploited=listed)
        assert len(outcome.seen) == 1, "listed, cleared or not"
        assert all(s.severity == "info" for s in outcome.cleared)
        return [s.rule for s in outcome.seen if not s.cleared]

    assert rules() == []
    assert rules(version="1.0") == []
    assert rules(names=("GHSA-1",)) == [], "by any of its names"
    assert rules(version="1.1") == ["CVE-2026-1"]
    assert rules(package="pkg:pypi/other") == ["CVE-2026-1"]
    assert rules(names=("CVE-2026-9",)) == ["CVE-2026-1"]
    assert rules(justification="because") == ["CVE-2026-1"]
    assert rules(exploited=11) == ["CVE-2026-1"], "said before it was known to be exploited"
    assert rules(exploited=9) == []


VERSIONS = st.sampled_from([f"{a}.{b}{c}" for a in range(3) for b in range(4) for c in ("", "rc1")])
EVENTS = st.lists(
    st.tuples(st.sampled_from(("introduced", "fixed", "last_affected")), VERSIONS),
    min_size=1,
    max_size=5,
)


def naive(events: list[dict[str, str]], version: str) -> bool:
    """The evaluation of OSV's schema, written down as it stands there, over packaging's order."""

    def key(event: dict[str, str]) -> tuple[Version, int]:
        name, text = next(iter(event.items()))
        at = Version("0.dev0") if text == "0" else Version(text)
        return at, ("fixed", "introduced", "last_affected").index(name)

    vulnerable = False
    for event in sorted(events, key=key):
        if "introduced" in event and (
            event["introduced"] == "0" or Version(version) >= Version(event["introduced"])
        ):
            vulnerable = True
        if "fixed" in event and Version(version) >= Version(event["fixed"]):
            vulnerable = False
        if "last_affected" in event and Version(version) > Version(event["last_affected"]):
            vulnerable = False
    return vulnerable


@settings(max_examples=400, deadline=None)
@given(EVENTS, VERSIONS, st.booleans())
def test_ranges_are_judged_as_by_a_second_implementation(
    events: list[tuple[str, str]], version: str, from_start: bool
) -> None:
    given_events = [{name: text} for name, text in events]
    if from_start or not any(name == "introduced" for name, _ in events):
        given_events.append({"introduced": "0"})
    wanted = "affected" if naive(given_events, version) else "safe"
    assert said(f"pkg:pypi/demo@{version}", advisory(given_events)) == wanted


@settings(max_examples=100, deadline=None)
@given(st.lists(st.sampled_from(("1.0", "2.0", "x", "")), max_size=6), st.permutations(range(3)))
def test_every_part_is_judged_or_named(versions: list[str], order: list[int]) -> None:
    """Whatever comes in, in whatever order the records are."""
    records = (
        advisory([{"introduced": "0"}, {"fixed": "1.5"}], id="GHSA-1", aliases=["CVE-2026-1"]),
        advisory([{"introduced": "0"}, {"fixed": "1.5"}], id="PYSEC-1", aliases=["CVE-2026-1"]),
        advisory([{"introduced": "0"}], kind="GIT", id="CVE-2026-2"),
    )
    parts = tuple(sorted({part(f"pkg:pypi/demo@{v}") for v in versions}))
    known = Known(advisories=tuple(records[n] for n in order), ecosystems=ALL)
    found = outcome_of(Inventory(component="api", parts=parts), known, POLICY)
    assert {u.part for u in found.unjudged} == set(parts), "the second weakness is open for all"
    assert {s.fingerprint() for s in found.seen} <= {
        s.fingerprint() for s in judged(DEMO, known=records[:2]).seen
    }
    assert bool(found.seen) == ("1.0" in versions)
