"""Which devices of an environment are as asked: by state, version, hardware, standing, name.

Keeps: a page begins after a name; what is asked is answered along an index, never by counting the
fleet; of a time that has been, from what was sealed by then.
"""

from __future__ import annotations

from typing import Annotated

import msgspec

from surefoot.app.as_of import AsOf
from surefoot.app.device_record import list_then
from surefoot.app.facade import App
from surefoot.app.moment import shown
from surefoot.app.operation import Arguments, Request, operation
from surefoot.core import enrolment
from surefoot.core import environment as environments
from surefoot.core.device import STATES
from surefoot.core.device_tags import check_change
from surefoot.core.errors import Refused
from surefoot.core.fiql import LENGTH_MAX, parse
from surefoot.core.fiql_match import DeviceView, matcher
from surefoot.core.target import Plain
from surefoot.store.device import DeviceSummary
from surefoot.store.device_inventory import PAGE_MAX, DeviceFilter, Keep

NOT_KNOWN = "-"
STANDINGS = ("accepted", "pending", "rejected", "revoked")
_Text = Annotated[str, msgspec.Meta(max_length=256)]


class ListArguments(Arguments, frozen=True, kw_only=True):
    """`version` "-" is: not known. `state` is that in the rollout of `deployment`, 0: the newest.

    `text` is how the name begins; `query` and `tag` narrow all that down.
    """

    name: str
    state: _Text = ""
    deployment: Annotated[int, msgspec.Meta(ge=0)] = 0
    wave: _Text = ""
    version: _Text = ""
    hardware: _Text = ""
    standing: _Text = ""
    text: _Text = ""
    tag: Annotated[str, msgspec.Meta(max_length=60)] = ""
    query: Annotated[str, msgspec.Meta(max_length=LENGTH_MAX)] = ""
    after: str = ""
    limit: Annotated[int, msgspec.Meta(ge=1, le=PAGE_MAX)] = 100
    at: str = ""


@operation("device list", "GET", "/environments/{name}/devices", ListArguments)
def list_devices(app: App, request: Request, arguments: ListArguments) -> Plain:
    """Devices of an environment, by name; of a time that has been, what was sealed by then."""
    wanted = _filter(arguments)
    if arguments.at:
        return _list_then(app, arguments, wanted)
    app.read(lambda w: environments.find(w, arguments.name))
    if wanted.state is not None and not wanted.deployment:
        newest = app.inventory.newest_rollout(arguments.name)
        wanted = msgspec.structs.replace(wanted, deployment=newest)
    page = app.inventory.page(
        arguments.name,
        wanted,
        after=arguments.after,
        limit=arguments.limit,
        keep=_keep(app, arguments.query),
    )
    return {
        "devices": [row(device) for device in page.devices],
        "next": page.next,
    }


def _keep(app: App, query: str) -> Keep | None:
    """What tells the devices that a query finds; None without one."""
    if not query:
        return None
    match = matcher(parse(query), app.clock.now_ms())
    return lambda device: match(
        DeviceView(
            device=device.device,
            hardware=device.hardware,
            runs=device.runs,
            standing=device.standing,
            client=device.profile,
            seen_ms=device.seen_ms,
            tags=device.tags,
            attributes=msgspec.json.decode(device.attributes, type=dict[str, str]),
        )
    )


def row(device: DeviceSummary) -> Plain:
    """A device as an answer has it."""
    plain: Plain = {
        name: value
        for name, value in msgspec.structs.asdict(device).items()
        if not name.endswith("_ms")
    }
    return {**plain, "seen_at": shown(device.seen_ms), "enrolled_at": shown(device.enrolled_ms)}


def _filter(arguments: ListArguments) -> DeviceFilter:
    _check("state", arguments.state, STATES)
    _check("standing", arguments.standing, STANDINGS)
    narrow = arguments.deployment or arguments.wave
    if narrow and not arguments.state:
        raise _refused("a state together with a rollout or a wave", "none")
    version, standing = arguments.version, arguments.standing
    return DeviceFilter(
        runs="" if version == NOT_KNOWN else version or None,
        hardware=arguments.hardware or None,
        standing="" if standing == enrolment.shown("") else standing or None,
        state=arguments.state or None,
        deployment=arguments.deployment,
        wave=arguments.wave or None,
        tag=_tag(arguments.tag),
        text=arguments.text,
    )


def _tag(tag: str) -> str | None:
    if tag:
        check_change((tag,), ())
    return tag or None


def _check(name: str, given: str, known: tuple[str, ...]) -> None:
    if given and given not in known:
        raise _refused(f"{name} as one of {', '.join(known)}", given[:40])


def _refused(expected: str, found: str) -> Refused:
    return Refused(
        "device.filter.input",
        "devices",
        expected=expected,
        found=found,
        remedy="see: surefoot device list --help",
    )


def _list_then(app: App, arguments: ListArguments, wanted: DeviceFilter) -> Plain:
    if wanted.standing is not None or arguments.query:
        what = "a query" if arguments.query else "a standing"
        raise _refused(f"{what} of now", f"one at {arguments.at[:40]}")
    asked = {
        "runs": wanted.runs,
        "hardware": wanted.hardware,
        "state": wanted.state,
        "wave": wanted.wave,
        "deployment": wanted.deployment or None,
    }

    def fits(device: Plain) -> bool:
        same = all(device[key] == value for key, value in asked.items() if value is not None)
        tags = device["tags"]
        tagged = not arguments.tag or (isinstance(tags, list) and arguments.tag in tags)
        return same and tagged and str(device["device"]).startswith(wanted.text)

    narrowed = wanted.text or arguments.tag
    open_question = all(value is None for value in asked.values()) and not narrowed
    rows = list_then(
        app,
        AsOf(app, arguments.at),
        arguments.name,
        arguments.after,
        arguments.limit + 1 if open_question else 0,
    )
    found = [each for each in rows if fits(each)]
    more = len(found) > arguments.limit
    found = found[: arguments.limit]
    return {"devices": [*found], "next": str(found[-1]["device"]) if more else ""}
