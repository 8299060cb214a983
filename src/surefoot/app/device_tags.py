"""Tags of devices: people's own words for them, that queries ask for.

Keeps: a change is a fact before it is done, so that the journal tells who named what; a repeat
after a crash does the rest.
"""

from __future__ import annotations

from typing import Annotated

import msgspec

from surefoot.app import device_permit as permit
from surefoot.app.facade import App
from surefoot.app.operation import Arguments, Request, operation
from surefoot.core import device_tags as tags
from surefoot.core import facts_enrolment as fe
from surefoot.core.fiql import LENGTH_MAX
from surefoot.core.target import Plain
from surefoot.trust import canonical

_Device = Annotated[str, msgspec.Meta(min_length=1, max_length=256)]
_Tags = Annotated[tuple[str, ...], msgspec.Meta(max_length=2 * tags.TAGS_MAX)]


class TagArguments(Arguments, frozen=True, kw_only=True):
    """Devices by their names, or those that a query finds."""

    name: str
    devices: Annotated[tuple[_Device, ...], msgspec.Meta(max_length=tags.DEVICES_MAX)] = ()
    query: Annotated[str, msgspec.Meta(max_length=LENGTH_MAX)] = ""
    add: _Tags = ()
    remove: _Tags = ()


@operation("device tag", "POST", "/environments/{name}/device-tags", TagArguments)
def tag(app: App, request: Request, arguments: TagArguments) -> Plain:
    """Add tags to devices and remove others: of all those named, or that a query finds."""
    permit.check(app, request, arguments.name)
    add, remove = sorted(set(arguments.add)), sorted(set(arguments.remove))
    tags.check_change(add, remove)
    devices = _meant(app, arguments)
    _check_room(app, arguments, devices)
    told: Plain = {"environment": arguments.name, "devices": len(devices)}
    if not devices:
        return told
    blob = app.blobs.put(canonical.encode([*devices]))
    fact = fe.DeviceTagsChanged(
        environment=arguments.name,
        count=len(devices),
        devices=blob,
        add=tuple(add),
        remove=tuple(remove),
    )
    permit.record(app, request, fact, (blob,))
    app.tags.change(arguments.name, devices, add, remove)
    return told


def _meant(app: App, arguments: TagArguments) -> list[str]:
    if bool(arguments.devices) == bool(arguments.query):
        given = "both" if arguments.query else "neither"
        raise tags.refused("devices by name, or a query that finds them", given)
    if arguments.devices:
        return sorted(set(arguments.devices))
    most = tags.DEVICES_MAX + 1
    found = app.tags.meant(arguments.name, arguments.query, app.clock.now_ms(), most)
    if len(found) == most:
        raise tags.refused(f"a query that finds at most {tags.DEVICES_MAX} devices", "more")
    return sorted(found)


def _check_room(app: App, arguments: TagArguments, devices: list[str]) -> None:
    known = app.tags.of(arguments.name, devices)
    for device in devices:
        if device not in known:
            raise permit.unknown(arguments.name, device)
        after = tags.changed(known[device], arguments.add, arguments.remove)
        if len(after) > tags.TAGS_MAX:
            raise tags.refused(
                f"at most {tags.TAGS_MAX} tags for a device", f"{len(after)} for {device[:80]}"
            )
