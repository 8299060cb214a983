"""Faults and gaps from looks and answers whose truth is known."""

from typing import Any

import pytest

from surefoot.gates.resilience.assess import Use, faults_of, gaps_of, recovery_of
from surefoot.gates.resilience.plan import AttackRecord, Bounds, Probe

CALM = Use(memory_bytes=50 * 1024**2, descriptors=10, processes=2)
BEGAN, ENDED = 10.0, 20.0


def record(kind: Any = "slow-headers", **changes: Any) -> AttackRecord:
    whole: dict[str, Any] = {"began": BEGAN, "ended": ENDED, "wanted": 100, "made": 100}
    return AttackRecord(kind=kind, **(whole | {"closed": 100} | changes))


def looks(bad_from: float = 99, bad_until: float = 99, seconds: float = 0.01) -> list[Probe]:
    """Ten a second from 0 to 40; those in the given stretch are not answered."""
    return [
        Probe(at, 0.001, seconds, "no whole answer in time" if bad_from <= at < bad_until else "")
        for at in (number / 10 for number in range(400))
    ]


def rules(one: AttackRecord, probes: list[Probe], after: Use = CALM) -> list[str]:
    return [fault.rule for fault in faults_of(one, probes, Bounds(), CALM, after)]


def test_abuse_that_is_refused_and_harms_nobody_is_no_fault() -> None:
    assert rules(record(), looks()) == []
    assert gaps_of(record(), looks(), 0.5) == []


def test_a_client_that_is_not_answered_is_a_fault() -> None:
    assert rules(record(), looks(12, 13)) == ["availability"]
    assert rules(record(), looks(12, 12.1)) == []


def test_a_client_that_waits_is_a_fault() -> None:
    assert rules(record(), looks(seconds=1.2)) == ["latency"]


def test_a_service_that_does_not_come_back_in_time_is_a_fault() -> None:
    assert rules(record(), looks(20, 24)) == []
    assert recovery_of(record(), looks(20, 24)) == pytest.approx(4.0)
    assert rules(record(), looks(20, 26)) == ["recovery"]
    assert rules(record(), looks(20, 99)) == ["recovery"]


@pytest.mark.parametrize(
    ("kind", "changes", "expected"),
    [
        ("slow-headers", {"closed": 80, "held": 20}, ["refusal"]),
        ("slow-body", {"closed": 0, "statuses": {"408": 95}}, []),
        ("slow-body", {"closed": 0, "statuses": {"200": 100}}, ["refusal"]),
        ("slow-read", {"closed": 0, "held": 100}, []),
        ("connection-flood", {"closed": 89}, ["refusal"]),
        ("request-flood", {"closed": 0, "statuses": {"200": 89, "429": 11}}, []),
        ("request-flood", {"closed": 0, "statuses": {"200": 100}}, ["refusal"]),
        ("request-flood", {"closed": 0, "statuses": {"200": 1, "503": 99}}, []),
        ("large-headers", {"closed": 0, "made": 3, "statuses": {"431": 3}}, []),
        ("large-headers", {"closed": 0, "made": 3, "statuses": {"200": 1, "431": 2}}, ["refusal"]),
        ("large-body", {"closed": 0, "made": 3, "held": 3}, ["refusal"]),
        ("deep-json", {"closed": 0, "made": 3, "statuses": {"400": 3}}, []),
        ("deep-json", {"closed": 0, "made": 3, "statuses": {"500": 1, "400": 2}}, ["broken"]),
        ("compression-bomb", {"closed": 0, "made": 3, "held": 1}, ["broken"]),
        ("login", {"closed": 0, "statuses": {"401": 100}}, ["refusal"]),
        ("login", {"closed": 0, "statuses": {"401": 10, "429": 90}}, []),
    ],
)
def test_each_kind_of_abuse_must_be_refused(
    kind: str, changes: dict[str, Any], expected: list[str]
) -> None:
    assert rules(record(kind, **changes), looks()) == expected


def test_what_is_held_afterwards_is_a_fault() -> None:
    grown = Use(memory_bytes=CALM.memory_bytes + 200 * 1024**2, descriptors=31, processes=1)
    assert rules(record(), looks(), grown) == ["memory", "descriptors", "ended"]


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"made": 80}, "only 80 of 100"),
        ({"over": "stopped by a person"}, "ended early"),
        ({"began": 0.2}, "looks before"),
        ({"ended": 39.8}, "looks after"),
    ],
)
def test_what_was_not_done_or_not_looked_at_tells_nothing(
    changes: dict[str, Any], words: str
) -> None:
    found = gaps_of(record(**changes), looks(), 0.5)
    assert len(found) == 1 and words in found[0]


def test_a_service_that_was_not_well_before_tells_nothing() -> None:
    assert "not well before" in gaps_of(record(), looks(9, 9.95), 0.5)[0]


def test_looks_that_came_late_tell_nothing() -> None:
    late = [Probe(one.at, 1.0, one.seconds, one.trouble) for one in looks()]
    assert "was late itself" in gaps_of(record(), late, 0.5)[0]
