"""Whether a device may be given a release's firmware, what it is given first, and if not, why.

Keeps: a device is never moved to a lower version than one it may run, unless the plan allows it or
takes its rollout back; what a device may run is what it last showed and each image it may have
installed since; a version that no device showed is not guessed; versions that have no order are
not moved between. A release that must be passed through is never skipped. One judgement for the
plan of a rollout and for its waves. Does not: read, store, or choose among devices.

A device is known by what each of its parts shows: `shown` and `may_run` map the attribute that
tells a part's version to versions; the part that the usual names tell has the empty name.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Literal, TypeAlias, get_args

import msgspec

from surefoot.core.offer import Firmware
from surefoot.core.profile import profile_of, withheld
from surefoot.core.version import Key, compare, key_of

Reason = Literal[
    "standing",
    "hardware",
    "client",
    "version_unknown",
    "version_unordered",
    "downgrade",
    "no_route",
    "not_alone",
]
Unknown = Literal["offer", "wait"]

REASONS: tuple[Reason, ...] = get_args(Reason)
NO_IMAGE = "none"
"""What a device shows that has no image yet: no version, so nothing to be moved down from."""
HOPS_MAX = 10
STONES_MAX = 50


class Known(msgspec.Struct, frozen=True, kw_only=True):
    """What is known of one device. `may_run`: images begun since it last showed a version."""

    standing: str = ""
    hardware: str = ""
    profile: str = ""
    shown: Mapping[str, str] = {}
    digests: Mapping[str, str] = {}
    may_run: Mapping[str, Sequence[str]] = {}


class Demand(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """What a rollout moves devices to: a release's images, the first of them first.

    `stones` are images of earlier releases that a device may have to take before. `unknown` says
    what becomes of a device that never showed a version: `offer` it (there is nothing that it
    could be moved down from), or `wait` until it shows one. What is `download_only` is one image.
    """

    parts: tuple[Firmware, ...]
    stones: tuple[Firmware, ...] = ()
    allow_downgrade: bool = False
    unknown: Unknown = "offer"
    download_only: bool = False


class Fit(msgspec.Struct, frozen=True, kw_only=True):
    """The device may be given `hops`, in this order, each when the one before is verified."""

    hops: tuple[Firmware, ...]


class AlreadyThere(msgspec.Struct, frozen=True, kw_only=True):
    """The device shows all of it already."""

    sentence: str


class Unfit(msgspec.Struct, frozen=True, kw_only=True):
    """The device may not be given it."""

    reason: Reason
    sentence: str


Judgement: TypeAlias = Fit | AlreadyThere | Unfit


def judge(device: Known, demand: Demand) -> Judgement:
    """What a rollout does with one device. Total: every device has an answer."""
    if device.standing:
        return Unfit(reason="standing", sentence=f"the device is {device.standing}, not accepted")
    parts = [part for part in demand.parts if _takes(device, part)]
    if not parts:
        made = sorted({name for part in demand.parts for name in part.hardware})
        sentence = f"hardware {device.hardware or 'unknown'}; the image is for {', '.join(made)}"
        return Unfit(reason="hardware", sentence=sentence)
    hops: list[Firmware] = []
    for part in parts:
        found = _judge_part(device, part, demand)
        if isinstance(found, Unfit):
            return found
        hops += found
    if demand.download_only and len(hops) > 1:
        sentence = f"{hops[0].version} must be installed before {hops[-1].version} can be held"
        return Unfit(reason="not_alone", sentence=sentence)
    if not hops:
        versions = ", ".join(part.version for part in parts)
        return AlreadyThere(sentence=f"the device shows {versions} already")
    return Fit(hops=tuple(hops))


def _takes(device: Known, image: Firmware) -> bool:
    return not image.hardware or device.hardware in image.hardware


def _judge_part(device: Known, image: Firmware, demand: Demand) -> Sequence[Firmware] | Unfit:
    """The images that bring one part there; none when it is there."""
    shown = device.shown.get(image.attribute, "")
    shown = "" if shown == NO_IMAGE else shown
    possible = sorted({*device.may_run.get(image.attribute, ()), *((shown,) if shown else ())})
    if shown and possible == [image.version] and _same_image(device, image):
        return ()
    stones = [s for s in demand.stones if s.attribute == image.attribute and _takes(device, s)]
    if not possible:
        found: Sequence[Firmware] | Unfit = _unknown(image, stones, demand)
    else:
        found = _barred(image, possible, demand) or _route(image, possible, stones)
        if not demand.allow_downgrade and not isinstance(found, Unfit):
            found = _unsure(found[0], possible) or found
    return found if isinstance(found, Unfit) else _client_takes(device, found, demand)


def _same_image(device: Known, image: Firmware) -> bool:
    """Whether nothing speaks against the image itself: the same version may be built twice."""
    return device.digests.get(image.attribute, "") in ("", image.sha256)


def _unknown(
    image: Firmware, stones: Sequence[Firmware], demand: Demand
) -> Sequence[Firmware] | Unfit:
    """A device that never showed a version gets what is for any version, if that is the policy."""
    before = [s for s in stones if s.through and compare(s.version, image.version) == -1]
    if demand.unknown == "offer" and not image.from_version and not before:
        return (image,)
    why = "the plan waits for one"
    if image.from_version:
        why = f"{image.version} is only for devices from {image.from_version} on"
    elif before:
        why = f"{before[0].version} must come before {image.version}"
    return Unfit(
        reason="version_unknown", sentence=f"the device has not shown its version, and {why}"
    )


def _barred(image: Firmware, possible: Sequence[str], demand: Demand) -> Unfit | None:
    """Whether one of the versions that the device may run keeps it from being moved."""
    if demand.allow_downgrade:
        return None
    for version in possible:
        order = compare(version, image.version)
        if order is None:
            sentence = f"{version} and {image.version} have no order; the plan could allow it"
            return Unfit(reason="version_unordered", sentence=sentence)
        if order > 0:
            sentence = f"the device may run {version}, and {image.version} is lower"
            return Unfit(reason="downgrade", sentence=sentence)
    return None


def _unsure(first: Firmware, possible: Sequence[str]) -> Unfit | None:
    """Whether the first image could be lower than what runs: only the device itself knows."""
    if all(compare(version, first.version) in (-1, 0) for version in possible):
        return None
    sentence = f"the device may run any of {', '.join(possible)}, and {first.version} comes next"
    return Unfit(reason="version_unknown", sentence=sentence)


def _route(
    image: Firmware, possible: Sequence[str], stones: Sequence[Firmware]
) -> Sequence[Firmware] | Unfit:
    """The images from the lowest version that the device may run to `image`, rising."""
    at = _lowest(possible)
    if at is None:
        # No order, and the plan allows that: nothing can be asked of the version.
        return (image,)
    rising = sorted((s for s in stones if compare(s.version, image.version) == -1), key=_order)
    hops: list[Firmware] = []
    for point in [*(s for s in rising if s.through), image]:
        if point is not image and compare(at, point.version) != -1:
            continue
        between = _to_reach(at, point, rising)
        if between is None or len(hops) + len(between) >= HOPS_MAX:
            need = point.from_version or point.version
            sentence = (
                f"the device may run {at}; {point.version} needs {need}, no release leads there"
            )
            return Unfit(reason="no_route", sentence=sentence)
        hops += [*between, point]
        at = point.version
    return hops


def _to_reach(at: str, point: Firmware, rising: Sequence[Firmware]) -> list[Firmware] | None:
    """The fewest images from version `at` until `point` is taken: always the furthest one."""
    hops: list[Firmware] = []
    while not _opens(point, at):
        open_to = [
            s
            for s in rising
            if _opens(s, at)
            and compare(at, s.version) == -1
            and compare(s.version, point.version) == -1
        ]
        if not open_to or len(hops) >= HOPS_MAX:
            return None
        hops.append(open_to[-1])
        at = open_to[-1].version
    return hops


def _opens(image: Firmware, at: str) -> bool:
    return not image.from_version or compare(at, image.from_version) in (0, 1)


def _lowest(versions: Sequence[str]) -> str | None:
    keys = {version: key_of(version) for version in versions}
    ordered = [(key, version) for version, key in keys.items() if key is not None]
    return min(ordered)[1] if len(ordered) == len(keys) else None


def _order(image: Firmware) -> Key:
    key = key_of(image.version)
    assert key is not None  # only what compares is sorted
    return key


def _client_takes(
    device: Known, hops: Sequence[Firmware], demand: Demand
) -> Sequence[Firmware] | Unfit:
    client = profile_of(device.profile)
    for image in hops:
        why = withheld(client, [[image.file]], download_only=demand.download_only)
        if why:
            return Unfit(reason="client", sentence=why)
    return hops


def stones_for(image: Firmware, earlier: Sequence[Firmware]) -> tuple[Firmware, ...]:
    """Of all earlier images, those that a device may have to take before `image`, rising.

    All that must be passed through, and for each demand the highest image that meets it.
    """
    below = [e for e in earlier if e.attribute == image.attribute and _below(e, image)]
    by_version = {e.version: e for e in below}
    rising = sorted(by_version.values(), key=_order)
    kept: dict[str, Firmware] = {}
    ahead = [image, *(e for e in rising if e.through)]
    while ahead and len(kept) <= STONES_MAX:
        point = ahead.pop()
        if point is not image:
            if point.version in kept:
                continue
            kept[point.version] = point
        if point.from_version:
            ahead += [e for e in rising if _below(e, point) and _opens(point, e.version)][-1:]
    return tuple(sorted(kept.values(), key=_order))


def _below(one: Firmware, other: Firmware) -> bool:
    return compare(one.version, other.version) == -1
