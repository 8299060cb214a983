"""The rules of a product definition, in the form the journal holds them.

Keeps: whatever a contributor could weaken and no plan shows to its approvers is in here: gates,
smoke checks, masked columns, where databases are. What may be long is there by its digest.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import get_args

import msgspec

from surefoot.core.advisory_policy import AdvisoryPolicy
from surefoot.core.governance import (
    EnvironmentPolicy,
    Governance,
    Growth,
    Pace,
    Retry,
    WavePolicy,
    Window,
)
from surefoot.product.form import (
    Advisories,
    Definition,
    Devices,
    Environment,
    MaintenanceWindow,
    Weekday,
    without_nulls,
)
from surefoot.trust import canonical
from surefoot.trust.digest import digest_of

WEEKDAYS: tuple[str, ...] = get_args(Weekday)


def governance_of(definition: Definition) -> Governance:
    """Roles, protection, approvals, order, waves and targets of a definition."""
    return Governance(
        product=definition.product,
        roles={name: tuple(sorted(may)) for name, may in definition.roles.items()},
        environments={name: _policy(e) for name, e in definition.environments.items()},
        small_team_delay_hours=definition.small_team.delay_hours if definition.small_team else -1,
        release_gates=definition.pipeline.release,
        deploy_gates=definition.pipeline.deploy,
        smoke=_digest(definition.pipeline.smoke),
        asked=_digest(_asked(definition)),
        advisories=_advisories(definition.advisories),
    )


def _advisories(found: Advisories | None) -> AdvisoryPolicy:
    if found is None:
        return AdvisoryPolicy()
    return AdvisoryPolicy(
        signers=tuple(sorted(" ".join(line.split(" ")[:2]) for line in found.signers)),
        age_hours_max=found.age_hours_max,
        quiet_hours_max=found.quiet_hours_max,
        severity_min=found.severity_min,
        not_judged=tuple(sorted(found.not_judged)),
        without_packages=tuple(sorted(found.without_packages)),
    )


def _asked(definition: Definition) -> list[object]:
    """What gates other than smoke are asked, where it stands; nothing where nothing is asked."""
    rows: list[object] = []
    asked: list[tuple[str, str, object]] = [
        ("hardening", "", definition.pipeline.hardening),
        ("baseline", "", definition.pipeline.baseline),
    ]
    for name, environment in sorted(definition.environments.items()):
        asked.append(("hardening", name, environment.hardening))
        asked.append(("baseline", name, environment.baseline))
        asked.append(("transport", name, environment.transport))
        asked.append(("privilege", name, environment.privilege))
    for gate, name, about in asked:
        if about is not None:
            plain = without_nulls(msgspec.to_builtins(about))
            rows.append({"gate": gate, "environment": name, "asked": plain})
    pipeline = definition.plain()["pipeline"]
    assert isinstance(pipeline, dict)
    if definition.pipeline.load:
        rows.append({"gate": "load", "asked": [pipeline["load"], pipeline["active"]]})
    if definition.pipeline.resilience is not None:
        tried = [pipeline["resilience"], pipeline["active"]]
        rows.append({"gate": "resilience", "asked": tried})
    return rows


def _digest(rows: Sequence[object]) -> str:
    """Digest of a list, empty for an empty one; absent members are left out."""
    plain = [
        {k: v for k, v in row.items() if v is not None} if isinstance(row, dict) else row
        for row in msgspec.to_builtins(rows)
    ]
    return digest_of(canonical.encode(plain)) if plain else ""


def _policy(environment: Environment) -> EnvironmentPolicy:
    approvals = environment.approvals
    percent = environment.availability_percent
    return EnvironmentPolicy(
        protected=environment.protected,
        after=environment.after or "",
        approvals=approvals.count if approvals else 0,
        approver_role=approvals.role if approvals else "",
        availability_percent="" if percent is None else str(percent),
        devices=_waves(environment.devices) if environment.devices else WavePolicy(),
        freezes=tuple((z.from_ms, z.until_ms, z.reason) for z in environment.freezes),
        databases={name: d.engine for name, d in environment.targets.databases.items()},
        addresses={
            name: d.address for name, d in environment.targets.databases.items() if d.address
        },
        masked=_digest(sorted(environment.data.masked)),
        process=environment.targets.process is not None,
        fleet=environment.targets.fleet is not None,
        watch=dict(environment.watch),
    )


def _waves(devices: Devices) -> WavePolicy:
    return WavePolicy(
        waves=devices.waves,
        success_percent=devices.success_percent,
        error_percent=devices.error_percent,
        minimum_sample=devices.minimum_sample,
        deadline_seconds=devices.deadline_seconds,
        confirmation=devices.confirmation,
        allow_downgrade=devices.allow_downgrade,
        known_versions_only=devices.known_versions_only,
        query=devices.query or "",
        devices=tuple(sorted(set(devices.devices))),
        error_count=devices.error_count or 0,
        silent=devices.silent,
        silent_percent=devices.silent_percent,
        on_stop=devices.on_stop,
        return_to=devices.return_to or "",
        urgency=devices.type,
        force_after_seconds=devices.force_after_seconds or 0,
        pace=_pace(devices),
    )


def _pace(devices: Devices) -> Pace:
    growth, retry = devices.exponential, devices.retry
    return Pace(
        counts=devices.counts,
        exponential=Growth(start=growth.start, factor=growth.factor) if growth else None,
        concurrency=devices.concurrency or 0,
        rate_per_minute=devices.rate_per_minute or 0,
        start_ms=devices.start_ms or 0,
        end_ms=devices.end_ms or 0,
        soak_seconds=devices.soak_seconds,
        windows=tuple(_window(each) for each in devices.windows),
        timezone=devices.timezone,
        retry=Retry(times=retry.times, backoff_seconds=retry.backoff_seconds, factor=retry.factor)
        if retry
        else None,
    )


def _window(window: MaintenanceWindow) -> Window:
    hours, _, minutes = window.start.partition(":")
    return Window(
        days=tuple(sorted({WEEKDAYS.index(day) for day in window.days})),
        from_minute=int(hours) * 60 + int(minutes),
        minutes=window.minutes,
    )
