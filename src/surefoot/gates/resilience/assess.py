"""What the looks of the other client and the answers to the abuse say.

Rules: for the client that does no harm, availability, its slowest hundredth, and the time until it
is served again; for the abuse, that it was refused: closed, or answered with a status that says no.
Memory and descriptors must come back to what they were. Few or late looks tell nothing.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from decimal import Decimal

import msgspec

from surefoot.gates.resilience.plan import AttackRecord, Bounds, Probe
from surefoot.product.resilience_form import Attack

PROBES_MIN = 5
MADE_PERCENT_MIN = 90
_WELL_AGAIN = 3
# What part of the abuse must have been refused, in percent; the rest is judged by its effect.
_REFUSED_PERCENT: dict[Attack, int] = {
    "slow-headers": 90,
    "slow-body": 90,
    "connection-flood": 90,
    "request-flood": 10,
    "large-headers": 100,
    "large-body": 100,
}
_NO = ("501", "503", "505")
_LOCKED = ("403", "423", "429")


class Use(msgspec.Struct, frozen=True, kw_only=True):
    """What the service's processes hold: bytes of memory, open descriptors, how many processes."""

    memory_bytes: int = 0
    descriptors: int = 0
    processes: int = 0


class Fault(msgspec.Struct, frozen=True):
    """One thing that did not hold: the rule, the kind of abuse, and how in words."""

    rule: str
    kind: str
    words: str


def faults_of(
    record: AttackRecord, probes: Sequence[Probe], bounds: Bounds, before: Use, after: Use
) -> list[Fault]:
    """What did not hold under one kind of abuse."""
    during = [one for one in probes if record.began <= one.at < record.ended]
    found = [*_client(record, during, bounds), *_recovery(record, probes, bounds)]
    found += _refusal(record)
    found += _use(record, bounds, before, after)
    return found


def gaps_of(record: AttackRecord, probes: Sequence[Probe], lag_seconds: float) -> list[str]:
    """Why one kind of abuse tells nothing, empty when it does."""
    why = []
    if record.over:
        why.append(f"{record.kind} ended early: {record.over}")
    elif record.made * 100 < record.wanted * MADE_PERCENT_MIN and not _slowed(record):
        why.append(f"{record.kind}: only {record.made} of {record.wanted} were made")
    before = [one for one in probes if one.at < record.began]
    during = [one for one in probes if record.began <= one.at < record.ended]
    # Short abuse is judged by what came after: the looks that were due then.
    after = [one for one in probes if one.at >= record.ended]
    for name, looks, least in (("before", before, PROBES_MIN), ("after", after, PROBES_MIN)):
        if len(looks) < least:
            why.append(f"{record.kind}: only {len(looks)} looks {name}")
    if any(one.trouble for one in before[-PROBES_MIN:]):
        why.append(f"{record.kind}: the service was not well before")
    late = sorted(one.lag for one in during)
    if late and late[int(0.95 * len(late))] > lag_seconds:
        why.append(f"{record.kind}: the client that looks was late itself")
    return why


def _slowed(record: AttackRecord) -> bool:
    """A flood that the service slows down is not one that was not made."""
    return record.kind == "request-flood" and record.made >= 100


def _client(record: AttackRecord, during: Sequence[Probe], bounds: Bounds) -> list[Fault]:
    if not during:
        return []
    bad = [one for one in during if one.trouble]
    found = []
    answered = len(during) - len(bad)
    if Decimal(100 * answered) < Decimal(bounds.availability_percent) * len(during):
        words = (
            f"a client was answered {answered} of {len(during)} times, at least "
            f"{bounds.availability_percent} % are wanted; mostly: {bad[0].trouble}"
        )
        found.append(Fault("availability", record.kind, words))
    times = sorted(one.seconds * 1000 for one in during)
    slowest = times[math.ceil(0.99 * len(times)) - 1]
    if slowest > bounds.p99_ms:
        words = f"a client waited {slowest:.0f} ms at p99, at most {bounds.p99_ms}"
        found.append(Fault("latency", record.kind, words))
    return found


def recovery_of(record: AttackRecord, probes: Sequence[Probe]) -> float:
    """Seconds from the end until three looks in a row were good; infinite when they never were."""
    after = [one for one in probes if one.at >= record.ended]
    for place in range(len(after) - _WELL_AGAIN + 1):
        if not any(one.trouble for one in after[place : place + _WELL_AGAIN]):
            return after[place].at - record.ended
    return math.inf


def _recovery(record: AttackRecord, probes: Sequence[Probe], bounds: Bounds) -> list[Fault]:
    seconds = recovery_of(record, probes)
    if sum(one.at >= record.ended for one in probes) < PROBES_MIN:
        return []
    if seconds <= bounds.recovery_seconds:
        return []
    words = f"a client was not served again within {bounds.recovery_seconds} s after the end"
    return [Fault("recovery", record.kind, words)]


def refused_of(record: AttackRecord) -> int:
    """How much of the abuse was refused: closed, or answered with a status that says no."""
    said_no = [n for s, n in record.statuses.items() if s[0] == "4" or s in _NO]
    return record.closed + sum(said_no)


def _refusal(record: AttackRecord) -> list[Fault]:
    broken = sum(n for s, n in record.statuses.items() if s[0] == "5" and s not in _NO)
    if broken:
        words = f"{broken} of {record.made} were answered with an error of the server"
        return [Fault("broken", record.kind, words)]
    if record.kind == "login":
        locked = sum(record.statuses.get(status, 0) for status in _LOCKED) + record.closed
        if record.made and not locked:
            words = f"{record.made} wrong passwords in a row were all taken, none was held back"
            return [Fault("refusal", record.kind, words)]
        return []
    if record.kind in ("compression-bomb", "deep-json") and record.held:
        words = f"{record.held} of {record.made} were never answered"
        return [Fault("broken", record.kind, words)]
    least, refused = _REFUSED_PERCENT.get(record.kind, 0), refused_of(record)
    if refused * 100 >= record.made * least:
        return []
    words = f"only {refused} of {record.made} were refused, at least {least} % are wanted"
    return [Fault("refusal", record.kind, words)]


def _use(record: AttackRecord, bounds: Bounds, before: Use, after: Use) -> list[Fault]:
    found = []
    grown = (after.memory_bytes - before.memory_bytes) // (1024 * 1024)
    if grown > bounds.memory_mib:
        words = f"{grown} MiB more memory were held afterwards, at most {bounds.memory_mib}"
        found.append(Fault("memory", record.kind, words))
    more = after.descriptors - before.descriptors
    if more > bounds.descriptors:
        words = f"{more} more descriptors were open afterwards, at most {bounds.descriptors}"
        found.append(Fault("descriptors", record.kind, words))
    if after.processes < before.processes:
        found.append(Fault("ended", record.kind, "a process of the service has ended"))
    return found
