"""The world as bytes and back, so that a start need not fold every fact again.

Keeps: what comes back is equal to what was given, in all that a rule can see; a world with a part
that is not in the form is refused, never written without it. Does not: say whether bytes can be
trusted, or keep old forms readable: these bytes are thrown away with each version.
"""

from __future__ import annotations

import msgspec

from surefoot.core import world as w
from surefoot.core.fold import new_world


class WorldForm(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Every part of a `World`, by its name there."""

    people: w.People
    definition: w.DefinitionState
    releases: dict[str, w.Release]
    environments: dict[str, w.Environment]
    deployments: dict[int, w.Deployment]
    devices: dict[str, w.DeviceBooks]
    services: dict[str, w.ServiceBooks]
    findings: dict[str, w.FindingScope]
    advisories: w.AdvisoryState
    watches: dict[str, w.Watch]
    waivers: w.Waivers
    root: w.RootState
    log: w.LogState
    tallies: dict[str, w.Tally]
    size: int
    heads: dict[str, int]


_ENCODER = msgspec.msgpack.Encoder()
_DECODER = msgspec.msgpack.Decoder(WorldForm)


def world_bytes(world: w.World) -> bytes:
    """The world in its form. Raises `ValueError` when it has another set of parts."""
    parts = vars(world)
    if parts.keys() != set(WorldForm.__struct_fields__):
        raise ValueError(f"the world has parts {sorted(parts)}, its form others")
    return _ENCODER.encode(parts)


def world_of(content: bytes) -> w.World:
    """The world that these bytes are the form of. Raises `ValueError`."""
    try:
        form = _DECODER.decode(content)
    except msgspec.MsgspecError as error:
        raise ValueError(f"not the form of a world: {error}") from None
    world = new_world()
    for name in WorldForm.__struct_fields__:
        setattr(world, name, getattr(form, name))
    return world
