"""Releases: registered once, by digest, with gates that passed and contributors that are known."""

from __future__ import annotations

import re

from surefoot.core import facts as f
from surefoot.core import waiver
from surefoot.core.errors import Refused
from surefoot.core.policy import Asker, require
from surefoot.core.world import Release, World

_VERSION = re.compile(r"[0-9]+\.[0-9]+\.[0-9]+(?:-[0-9a-z.]{1,20})?")


def check_version(version: str) -> str:
    """The version when it is well formed. Raises `Refused`."""
    if not _VERSION.fullmatch(version):
        raise Refused(
            "release.version.input",
            f"release {version[:40]!r}",
            expected="three numbers, like 1.4.0",
            found=version[:40],
            remedy="choose a version",
        )
    return version


def find(world: World, version: str) -> Release:
    """A registered release by version or digest. Raises `Refused("release.unknown")`."""
    found = world.releases.get(version) or world.release_by_digest(version)
    if found is None:
        known = ", ".join(sorted(world.releases)[-5:]) or "no release yet"
        raise Refused(
            "release.unknown",
            f"release {version[:80]}" if version else "release",
            expected="a registered release",
            found=known if version else f"none named; there is {known}",
            remedy="see: surefoot release list",
        )
    return found


def check_new(world: World, asker: Asker, version: str) -> None:
    """Refuse before the build what could not be registered after it."""
    require(world, asker, "release.create")
    check_version(version)


def register(world: World, asker: Asker, fact: f.ReleaseRegistered, now_ms: int) -> list[f.Fact]:
    """Register a release whose manifest the cutter signed; the same again changes nothing."""
    cutter = require(world, asker, "release.create")
    check_version(fact.version)
    known = world.releases.get(fact.version)
    if known is not None and known.digest == fact.release:
        return []
    if known is not None:
        raise Refused(
            "release.version.taken",
            f"release {fact.version}",
            expected=f"content {known.digest[:19]}",
            found=f"other content {fact.release[:19]}",
            remedy="a version never changes its content; choose a new version",
        )
    own = {fact.cutter, *fact.contributors}
    waiver.check_release(world, fact.version, fact.gates, own, now_ms)
    if cutter.id != fact.cutter:
        raise Refused(
            "release.cutter.signature",
            f"release {fact.version}",
            expected=f"a manifest cut by {cutter.id}",
            found=fact.cutter,
            remedy="cut the release yourself",
        )
    return [fact]
