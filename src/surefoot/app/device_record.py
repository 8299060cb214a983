"""What the journal holds of devices at a moment: who was enrolled, and the reports sealed by then.

Keeps: answers come from the blobs that `DevicesEnrolled`, `DeviceTagsChanged` and
`DeviceBatchSealed` name, each read by its digest; what a device said after the last sealed batch
was not recorded yet, and is not told.
Does not: look into the registry of devices, which knows only the present.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import msgspec

from surefoot.app.as_of import AsOf
from surefoot.app.facade import App
from surefoot.app.moment import shown
from surefoot.core.device_tags import changed
from surefoot.core.facts import fact_of
from surefoot.core.facts_enrolment import DeviceTagsChanged
from surefoot.core.target import Plain
from surefoot.trust.digest import Digest
from surefoot.trust.entry import Entry

_PAGE = 1000
_SILENT: Plain = {
    **dict.fromkeys(("runs", "version", "state", "reason", "wave"), ""),
    **dict.fromkeys(("deployment", "action"), 0),
}


def enrolled(app: App, then: AsOf, environment: str) -> dict[str, tuple[str, int]]:
    """Device to its hardware and the time it was admitted (UTC ms), by name."""
    found: dict[str, tuple[str, int]] = {}
    since_ms = 0
    for entry in _entries(app, then, environment):
        if entry.kind == "DevicesEnrolled":
            for device, hardware, *_ in _decoded(app, str(entry.body["devices"])):
                found.setdefault(device, (hardware, entry.time_ms))
        elif entry.kind == "DeviceStandingSet":  # it had knocked
            found.setdefault(str(entry.body["device"]), ("", entry.time_ms))
        elif entry.kind == "EnvironmentDestroyed":
            found, since_ms = {}, entry.time_ms
    for device, hardware, time_ms in _by_code(app, then, environment, since_ms):
        found[device] = (hardware, time_ms)
    return dict(sorted(found.items()))


def tags(app: App, then: AsOf, environment: str) -> dict[str, tuple[str, ...]]:
    """The tags of each device that had some, by name."""
    found: dict[str, tuple[str, ...]] = {}
    for entry in _entries(app, then, environment):
        if entry.kind == "DeviceTagsChanged":
            change = fact_of(entry.kind, entry.body)
            assert isinstance(change, DeviceTagsChanged)
            for device in _decoded(app, change.devices):
                found[device] = changed(found.get(device, ()), change.add, change.remove)
        elif entry.kind == "EnvironmentDestroyed":
            found = {}
    return found


def _entries(app: App, then: AsOf, environment: str) -> Iterator[Entry]:
    stream = f"env/{environment}"
    last = then.entry(stream)
    for first in range(0, last.n + 1 if last else 0, _PAGE):
        assert last is not None
        yield from app.log.stream_entries(stream, first, min(_PAGE, last.n + 1 - first))


def _by_code(
    app: App, then: AsOf, environment: str, since_ms: int
) -> Iterator[tuple[str, str, int]]:
    """Devices that came by a one-time code: only batches that admitted some are opened."""
    for entry in _batches(app, then, environment):
        if entry.body.get("admitted") and entry.time_ms >= since_ms:
            for report in _decoded(app, str(entry.body["batch"]))["reports"]:
                told = report["told"]
                if told["type"] == "standing" and told["via"].startswith("code "):
                    yield report["device"], told.get("hardware", ""), report["time_ms"]


def reports(app: App, then: AsOf, environment: str) -> Iterator[Plain]:
    """Sealed reports of all devices of an environment, newest first; one batch in memory."""
    for entry in _batches(app, then, environment):
        held = _decoded(app, str(entry.body["batch"]))["reports"]
        yield from sorted(held, key=lambda report: -int(report["report"]))


def _batches(app: App, then: AsOf, environment: str) -> Iterator[Entry]:
    stream = f"devices/{environment}"
    last = then.entry(stream)
    below = last.n + 1 if last else 0
    while below > 0:
        first = max(0, below - _PAGE)
        yield from reversed(app.log.stream_entries(stream, first, below - first))
        below = first


def _decoded(app: App, digest: str) -> Any:
    return msgspec.json.decode(app.blobs.get(Digest(digest)))


def list_then(app: App, then: AsOf, environment: str, after: str, limit: int) -> list[Plain]:
    """Devices after a name (all for a limit of 0), with the last that was sealed about each."""
    names = {d: e for d, e in enrolled(app, then, environment).items() if d > after}
    page = dict(list(names.items())[: limit or None])
    wanted = set(page)
    newest: dict[str, Plain] = {}
    for report in reports(app, then, environment):
        device = str(report["device"])
        if device in wanted:
            newest[device] = report
            wanted.discard(device)
        if not wanted:
            break
    had = tags(app, then, environment)
    return [
        _row((device, *page[device]), newest.get(device, {}), had.get(device, ()))
        for device in page
    ]


def show_then(
    app: App, then: AsOf, environment: str, device: str, *, before: int, limit: int
) -> Plain:
    """One device and its sealed reports, newest first; it may not have been enrolled yet.

    Below `before` there may be more; what the device was is told by the newest of all.
    """
    known = enrolled(app, then, environment).get(device)
    if known is None:
        return {"device": {"device": device}, "exists": False, "reports": []}
    newest: Plain = {}
    own: list[Plain] = []
    for report in reports(app, then, environment):
        if report["device"] != device:
            continue
        newest = newest or report
        if int(str(report["report"])) < before:
            own.append(report)
        if len(own) == limit:
            break
    had = tags(app, then, environment).get(device, ())
    return {"device": _row((device, *known), newest, had), "reports": [*own]}


def _row(known: tuple[str, str, int], report: Plain, had: tuple[str, ...]) -> Plain:
    device, hardware, enrolled_ms = known
    # What a device says outside a rollout belongs to no action, and so has no state.
    said = {**report, "state": report.get("to", "") if report.get("action") else ""}
    told: Plain = {name: said.get(name, silent) for name, silent in _SILENT.items()}
    sealed = said.get("time_ms", 0)
    assert isinstance(sealed, int)
    return {
        "device": device,
        "hardware": hardware,
        **told,
        "tags": [*had],
        "reported_at": shown(sealed),
        "enrolled_at": shown(enrolled_ms),
    }
