"""A finding is fixed only by a conclusive report; nothing resets a due date or outlives its end."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from surefoot.core.errors import Refused
from surefoot.core.finding import (
    ACCEPT_DAYS_MAX,
    DAY_MS,
    OPEN,
    SEVERITIES,
    Acceptance,
    Location,
    Record,
    Report,
    Seen,
    advisory_name,
    check_acceptance,
    cwe_of,
    merge,
    route_of,
    severity_of,
)

NOW = 1_790_000_000_000


def seen(rule: str = "r", severity: str = "high", **fields: object) -> Seen:
    place = Location(kind="file", component="api", path="a.py", mark="1")
    whole = {"rule": rule, "title": rule, "severity": severity, "location": place, **fields}
    return Seen(**whole)  # type: ignore[arg-type]


def report(*found: Seen, conclusive: bool = True) -> Report:
    return Report(form="sarif", tool="t", conclusive=conclusive, seen=found)


def after(held: dict[str, Record], given: Report, time_ms: int = NOW) -> dict[str, Record]:
    merged = merge(held, given, "s", time_ms)
    return held | {r.fingerprint: r for r in merged.records}


def only(held: dict[str, Record]) -> Record:
    (record,) = held.values()
    return record


def test_the_life_of_a_finding() -> None:
    held = after({}, report(seen()))
    assert only(held).state == "new"
    held = after(held, report(seen()), NOW + 1)
    assert only(held).state == "confirmed"
    held = after(held, report(conclusive=False), NOW + 2)
    assert only(held).state == "confirmed", "absence in a report that covered less says nothing"
    held = after(held, report(), NOW + 3)
    assert only(held).state == "fixed"
    held = after(held, report(seen()), NOW + 4)
    assert (only(held).state, only(held).first_ms, only(held).due_ms) == (
        "regressed",
        NOW,
        NOW + 30 * DAY_MS,
    )


def test_a_due_date_only_comes_earlier() -> None:
    held = after({}, report(seen(severity="low")))
    assert only(held).due_ms == NOW + 180 * DAY_MS
    held = after(held, report(seen(severity="critical")), NOW + DAY_MS)
    assert only(held).due_ms == NOW + 7 * DAY_MS
    held = after(held, report(seen(severity="low")), NOW + 2 * DAY_MS)
    assert only(held).due_ms == NOW + 7 * DAY_MS


@given(
    st.lists(
        st.tuples(
            st.lists(st.sampled_from("abc"), max_size=3),
            st.booleans(),
            st.sampled_from(SEVERITIES),
        ),
        max_size=12,
    )
)
@settings(max_examples=200)
def test_no_order_of_reports_breaks_a_rule(
    told: list[tuple[list[str], bool, str]],
) -> None:
    held: dict[str, Record] = {}
    for number, (rules, conclusive, severity) in enumerate(told):
        before = dict(held)
        found = [seen(rule, severity) for rule in rules]
        held = after(held, report(*found, conclusive=conclusive), NOW + number)
        names = {each.fingerprint() for each in found}
        for name, record in held.items():
            old = before.get(name)
            if name in names:
                assert record.state in OPEN
            elif old is not None and not conclusive:
                assert record == old
            if old is not None:
                assert record.first_ms == old.first_ms
                assert not (old.due_ms and record.due_ms > old.due_ms)
            if record.state == "fixed" and (old is None or old.state != "fixed"):
                assert conclusive and name not in names


def test_an_acceptance_ends() -> None:
    record = only(after({}, report(seen(severity="medium"))))
    end = NOW + 10 * DAY_MS
    accepted = Acceptance(person="ann", until_ms=end, control="a filter", severity="medium")
    held = Record(**{**record_fields(record), "acceptance": accepted})
    assert held.accepted(NOW) and not held.blocks(NOW)
    assert held.blocks(end)
    for worse in (seen(severity="high"), seen(severity="medium", exploited=True)):
        worsened = only(after({held.fingerprint: held}, report(worse), NOW + 1))
        assert worsened.acceptance is not None and worsened.blocks(NOW + 1)


def record_fields(record: Record) -> dict[str, object]:
    return {name: getattr(record, name) for name in record.__struct_fields__}


@pytest.mark.parametrize("severity", SEVERITIES)
def test_an_acceptance_is_bounded_by_severity(severity: str) -> None:
    record = only(after({}, report(seen(severity=severity))))
    days = ACCEPT_DAYS_MAX[record.seen.severity]

    def ask(until_ms: int, control: str = "a filter") -> None:
        given = Acceptance(
            person="ann", until_ms=until_ms, control=control, severity=record.seen.severity
        )
        check_acceptance(record, given, NOW)

    ask(NOW + days * DAY_MS)
    for until_ms, control in (
        (NOW + days * DAY_MS + 1, "a filter"),
        (NOW, "a filter"),
        (NOW + 1, " "),
    ):
        with pytest.raises(Refused):
            ask(until_ms, control)


def test_what_is_exploited_or_fixed_is_not_accepted() -> None:
    for record in (
        only(after({}, report(seen(exploited=True)))),
        only(after(after({}, report(seen())), report(), NOW + 1)),
    ):
        given = Acceptance(person="a", until_ms=NOW + 2, control="c", severity="high")
        with pytest.raises(Refused):
            check_acceptance(record, given, NOW + 1)


def url(**fields: str) -> Seen:
    place = Location(kind="url", component="api", **fields)  # type: ignore[arg-type]
    return seen(cwe="CWE-89", location=place)


def test_a_fingerprint_outlives_hosts_values_lines_and_versions() -> None:
    one = url(method="GET", path=route_of("https://a.example/users/17?id=1"), parameter="id")
    two = url(method="GET", path=route_of("http://b.example:81/users/4242?id='"), parameter="id")
    assert one.fingerprint() == two.fingerprint()
    assert one.fingerprint() != url(method="POST", path="/users/{}", parameter="id").fingerprint()
    assert seen(line=3).fingerprint() == seen(line=9).fingerprint()
    package = Location(kind="package", component="api", package="pkg:pypi/jinja2")
    cve = seen("CVE-2024-1", location=package, version="3.0")
    ghsa = seen("GHSA-xx", aliases=("CVE-2024-1",), location=package, version="3.1")
    assert cve.fingerprint() == ghsa.fingerprint()


def test_words_of_tools() -> None:
    assert [severity_of(w) for w in ("9.8", "7", "error", "note", "0", "what")] == [
        *("critical", "high", "high", "info", "info", "medium")
    ]
    assert cwe_of("external/cwe/cwe-089") == "CWE-89"
    assert advisory_name(["PYSEC-2024-1", "GHSA-a", "CVE-2024-9"]) == "CVE-2024-9"
    assert route_of("/a/0123456789abcdef0123/b") == "/a/{}/b"
