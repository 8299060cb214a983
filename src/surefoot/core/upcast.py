"""Facts of older forms, brought to the present form when they are read.

Keeps: pure; the stored entry never changes, so its digest and proof stay; an old form is named by
its kind, and goes up one form at a time, so that each step is written once and never again.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping

import msgspec

from surefoot.core.target import Plain


class Successor(msgspec.Struct, frozen=True, kw_only=True):
    """The kind that took an old kind's place, and the old body in the new form."""

    kind: str
    body: Callable[[Plain], Plain]


SUCCESSORS: Mapping[str, Successor] = {}
"""By old kind. Empty: every form that was ever stored is still the present one."""


def present(
    kind: str, body: Plain, successors: Mapping[str, Successor] = SUCCESSORS
) -> tuple[str, Plain]:
    """The present kind and body of a stored fact."""
    while (successor := successors.get(kind)) is not None:
        kind, body = successor.kind, successor.body(body)
    return kind, body
