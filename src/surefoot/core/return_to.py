"""The earlier release that a rollout's devices return to, when the definition names one.

Keeps: it is registered, has an image for each kind of device that the new one moves, and can be
installed over it; to name it in the definition, which enters the plan that approvers sign, is what
lifts the protection from downgrades, for the return alone. Does not: read images, or judge whether
the services serve it (`engine.compatibility`).
"""

from __future__ import annotations

from collections.abc import Sequence

import msgspec

from surefoot.core.errors import Refused
from surefoot.core.manifest import Manifest, ManifestComponent
from surefoot.core.offer import Firmware
from surefoot.core.version import compare


def named_return(
    manifest: Manifest, earlier: Sequence[Manifest], version: str, *, rollback: bool
) -> Manifest | None:
    """The manifest of that version; None where the release before is meant.

    A rollback to the named release itself returns to the one before, as if none were named.
    Raises `Refused("plan.return-to")` for one that devices could not return to.
    """
    if not version or (rollback and version == manifest.version):
        return None
    found = next((each for each in earlier if each.version == version), None)
    if found is None or version == manifest.version:
        known = ", ".join(sorted(each.version for each in earlier)[-5:]) or "none"
        raise refused(version, "a registered release other than the one that comes", known)
    there = {component.name: image_of(component) for component in found.of_kind("firmware")}
    for component in manifest.of_kind("firmware"):
        _check(version, image_of(component), there.get(component.name))
    return found


def image_of(component: ManifestComponent) -> Firmware:
    """The image that a firmware component describes."""
    return msgspec.convert(component.detail["image"], Firmware)


def _check(version: str, new: Firmware, back: Firmware | None) -> None:
    if back is None:
        raise refused(version, f"an image of {new.name}", "none in that release")
    if back.attribute != new.attribute:
        expected = f"an image that {new.attribute or 'the usual attributes'} tells of"
        raise refused(version, expected, back.attribute or "the usual attributes")
    left = sorted({*new.hardware} - {*back.hardware})
    if back.hardware and (left or not new.hardware):
        expected = f"an image for {', '.join(left) or 'any hardware'}"
        raise refused(version, expected, f"one for {', '.join(back.hardware)}")
    if back.from_version and compare(new.version, back.from_version) not in (0, 1):
        expected = f"an image that installs over {new.version}"
        raise refused(version, expected, f"one for devices from {back.from_version} on")


def refused(version: str, expected: str, found: str) -> Refused:
    """That devices cannot return to this release."""
    return Refused(
        "plan.return-to",
        f"return_to {version}",
        expected=expected,
        found=found,
        remedy="name another release in return_to, or leave it out for the one before",
    )
