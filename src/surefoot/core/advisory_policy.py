"""What a definition says of advisories: whose are believed, how old, and what blocks."""

from __future__ import annotations

from typing import Literal

import msgspec


class AdvisoryPolicy(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """`signers` are public key lines; no signer: no snapshot is taken.

    What is less severe than `severity_min` is listed and does not block, unless it is known to be
    exploited. `not_judged` names packages (URLs without version) that nobody can judge, and
    `without_packages` components that have none: known gaps, that keep nothing from passing.
    """

    signers: tuple[str, ...] = ()
    age_hours_max: int = 168
    quiet_hours_max: int = 336
    severity_min: Literal["low", "medium", "high", "critical"] = "low"
    not_judged: tuple[str, ...] = ()
    without_packages: tuple[str, ...] = ()
