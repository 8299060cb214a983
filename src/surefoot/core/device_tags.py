"""Tags that people give devices: their form, how many a device has, and what a change makes.

Does not: know devices, or keep anything.
"""

from __future__ import annotations

import re
from collections.abc import Iterable

from surefoot.core.errors import Refused
from surefoot.core.fiql import parse

TAGS_MAX = 20
# Devices that one change may name, or find by a query.
DEVICES_MAX = 10_000
_FORM = re.compile(r"[a-z0-9][a-z0-9-]{0,40}")


def check_change(add: Iterable[str], remove: Iterable[str]) -> None:
    """Raises `Refused("device.tag.input")` for a wrong form, nothing to do, or both at once."""
    both = (*add, *remove)
    for tag in both:
        if not _FORM.fullmatch(tag):
            raise refused("1 to 41 of a-z, 0-9 and -, none of them - at the beginning", tag[:60])
    if not both:
        raise refused("tags to add or to remove", "none")
    if len(both) > 2 * TAGS_MAX:
        raise refused(f"at most {2 * TAGS_MAX} tags at once", str(len(both)))
    if again := sorted(set(add) & set(remove)):
        raise refused("a tag either added or removed", f"{again[0]} in both")


def changed(tags: Iterable[str], add: Iterable[str], remove: Iterable[str]) -> tuple[str, ...]:
    """The tags after a change, sorted."""
    return tuple(sorted({*tags, *add} - {*remove}))


def with_tag(query: str, tag: str) -> str:
    """The query narrowed to devices with a tag, when one is given.

    Raises as `check_change`, and as `parse`: a query that closes the brackets around it and opens
    others would not be narrowed.
    """
    if not tag:
        return query
    check_change((tag,), ())
    if query:
        parse(query)
    return f"({query});tag=={tag}" if query else f"tag=={tag}"


def refused(expected: str, found: str) -> Refused:
    """The refusal of a change of tags."""
    return Refused(
        "device.tag.input",
        "device tags",
        expected=expected,
        found=found,
        remedy="see: surefoot device tag --help",
    )
