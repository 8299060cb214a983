"""The base of every fact."""

from __future__ import annotations

import msgspec


class Fact(
    msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True, omit_defaults=True
):
    """Something that happened: frozen, typed, without a clock, floats, nulls or secrets."""
