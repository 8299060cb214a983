"""Where packages come from: names in one form, and the order of versions, for each ecosystem.

Keeps: a package of an ecosystem that is not here is not judged, and said to be so. An operating
system's release is part of its ecosystem (`Debian:12`): the same version is fixed in one release
and not in another.
Source: OSV schema, "affected[].package field"; package URL specification, "Known types"; PEP 503.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Any

import msgspec

from surefoot.core import version_debian, version_pep440, version_semver

Order = Callable[[str], Any]

_RUNS = re.compile(r"[-_.]+")
_DEBIAN_NAMES = {
    "bullseye": "11",
    "bookworm": "12",
    "trixie": "13",
    "forky": "14",
}


class Ecosystem(msgspec.Struct, frozen=True, kw_only=True):
    """`order` gives what a version is ordered by, None for no version; `bound` the same for the
    bounds of advisories, which may be shorter; `semver`: ranges of that type are understood."""

    name: str
    purl: str
    order: Order
    bound: Order
    semver: bool = False


class Part(msgspec.Struct, frozen=True, order=True, kw_only=True):
    """One package of something: `ecosystem` with its release, empty when it is none that is known.

    `shown` is the package URL or name that people see, without version; `trouble` why it cannot
    be judged at all.
    """

    ecosystem: str
    name: str
    version: str
    shown: str
    trouble: str = ""


KNOWN: dict[str, Ecosystem] = {
    each.name: each
    for each in (
        Ecosystem(
            name="PyPI",
            purl="pypi",
            order=version_pep440.key_of,
            bound=version_pep440.key_of,
        ),
        Ecosystem(
            name="npm",
            purl="npm",
            order=version_semver.key_of,
            bound=version_semver.lenient_key_of,
            semver=True,
        ),
        Ecosystem(
            name="Go",
            purl="golang",
            order=version_semver.key_of,
            bound=version_semver.lenient_key_of,
            semver=True,
        ),
        Ecosystem(
            name="Debian",
            purl="deb",
            order=version_debian.key_of,
            bound=version_debian.key_of,
        ),
        Ecosystem(
            name="Generic",
            purl="generic",
            order=version_semver.lenient_key_of,
            bound=version_semver.lenient_key_of,
            semver=True,
        ),
    )
}
"""By OSV's name. `Generic` is ours: parts of firmware, with advisories of their makers or yours."""

BY_PURL = {each.purl: each for each in KNOWN.values()}


def base_of(ecosystem: str) -> str:
    """The ecosystem without a release."""
    return ecosystem.partition(":")[0]


def known(ecosystem: str) -> Ecosystem | None:
    """The ecosystem of this name, with or without a release."""
    return KNOWN.get(base_of(ecosystem))


def normal(ecosystem: str, name: str) -> str:
    """A package's name as it is compared."""
    base = base_of(ecosystem)
    # Package URLs have Go's names in small letters, advisories as they are written.
    return _RUNS.sub("-", name).lower() if base == "PyPI" else name.lower()


def debian_release(text: str) -> str:
    """The number of a Debian release from `debian-12`, `12.8`, `12` or its name; empty if none."""
    word = text.lower().removeprefix("debian-")
    if word in _DEBIAN_NAMES:
        return _DEBIAN_NAMES[word]
    number = word.partition(".")[0]
    return number if number.isdecimal() and len(number) <= 3 else ""


def same_version(ecosystem: Ecosystem, one: str, other: str) -> bool:
    """Whether two spellings are one version."""
    if one == other:
        return True
    left, right = ecosystem.order(one), ecosystem.order(other)
    return left is not None and left == right
