"""Pages of an environment's devices: the fleet with filters, and one device.

Keeps: everything a device said is text; a page of the list begins after a name; what is filtered
is filtered by the operation.
"""

from __future__ import annotations

import json
from typing import Any
from urllib.parse import quote, urlencode

from starlette.responses import Response

from surefoot.app.device_list import NOT_KNOWN, STANDINGS
from surefoot.core.device import STATES
from surefoot.core.errors import Refused
from surefoot.core.policy import require
from surefoot.doors.web import shape
from surefoot.doors.web.journal import download
from surefoot.doors.web.visit import Visit

_ROWS = 50
_REPORTS = 30
_REFRESH_SECONDS = 5
_FILTERS = (
    *("text", "state", "deployment", "wave", "version", "hardware", "standing"),
    *("tag", "query"),
)
_OPEN_STATES = ("assigned", "offered", "downloading", "installing", "reported")


def fleet(visit: Visit) -> Response:
    """Versions by share, rollouts as a live picture, blockers by name, and the list."""
    name, at, after = visit.incoming.path["name"], visit.query("at"), visit.query("after")
    found = visit.ask("fleet show", name=name, at=at)
    if found.get("exists") is False:
        what = f"Environment {name}"
        return visit.render(
            "absent.html", what=what, address=f"/environments/{name}/devices", at=at
        )
    asked = {each: visit.query(each) for each in _FILTERS}
    page = visit.ask("device list", name=name, after=after, limit=_ROWS, at=at, **asked)
    blockers = {} if at else visit.ask("fleet blockers", name=name)
    given = {each: text for each, text in asked.items() if text}
    rollouts = [rollout_of(each) for each in found["rollouts"]]
    moving = not at and any(each["open"] for each in rollouts[:1])
    follows = moving and not given and not after and visit.query("refresh") != "off"
    more = urlencode({**given, "at": at, "after": page["next"]}) if page["next"] else ""
    return visit.render(
        "fleet.html",
        name=name,
        at=at,
        after=after,
        fleet=found,
        bar=shape.firmware_bar(found["versions"], found["devices"]),
        rollouts=rollouts,
        blockers=blocker_kinds(blockers),
        pending=blockers.get("pending", 0),
        rows=page["devices"],
        next=more,
        short=bool(page["next"]) and len(page["devices"]) < _ROWS,
        asked=asked,
        given=given,
        states=STATES,
        standings=STANDINGS,
        not_known=NOT_KNOWN,
        versions=sorted((v for v in found["versions"] if v), reverse=True),
        moving=moving,
        refresh=_REFRESH_SECONDS if follows else 0,
    )


def rollout_of(found: dict[str, Any]) -> dict[str, Any]:
    """A rollout of `fleet show` with its bars, verdicts and whether it is open."""
    bars = shape.wave_bars(found["waves"], found.get("policy", {}))
    verdicts = found.get("verdicts", {})
    names = list(found["waves"])
    states = found["states"]
    return {
        **found,
        "bars": bars,
        "verdicts": [verdicts[name] for name in names if name in verdicts],
        "open": not found.get("ended_at", "") and sum(states.get(s, 0) for s in _OPEN_STATES),
        "total": sum(states.values()),
    }


def blocker_kinds(found: dict[str, Any]) -> list[dict[str, Any]]:
    """Kinds of blockers that have names, each with what to ask the list for."""
    titles = {
        "failed": "Failed",
        "timed_out": "Timed out",
        "unknown": "Outcome not known",
        "unable": "Cannot take it",
    }
    return [
        {
            "title": title,
            "state": "" if kind == "unable" else kind,
            "rows": [{**row, "said": row.get("why") or row["reason"]} for row in found[kind]],
        }
        for kind, title in titles.items()
        if found.get(kind)
    ]


def show(visit: Visit) -> Response:
    """One device: what it runs, how strongly that is known, and what it said."""
    name, device, at = visit.incoming.path["name"], visit.incoming.path["id"], visit.query("at")
    before = visit.query("before")
    found = visit.ask("device show", name=name, id=device, at=at, before=before, limit=_REPORTS)
    address = f"/environments/{name}/devices/{quote(device)}"
    if found.get("exists") is False:
        return visit.render("absent.html", what=f"Device {device}", address=address, at=at)
    about, reports = found["device"], found["reports"]
    newest = reports if not before else []
    return visit.render(
        "device.html",
        name=name,
        at=at,
        address=address,
        d=about,
        attributes=_attributes(about.get("attributes", "")),
        known=_known(about, newest),
        reports=[_report(each) for each in reports],
        older=reports[-1]["report"] if len(reports) == _REPORTS else 0,
        log=_log(about, newest),
        commands=[] if at else _commands(visit, name, about),
    )


def _attributes(text: str) -> list[tuple[str, str]]:
    return sorted(json.loads(text).items()) if text else []


_STRENGTHS = {
    "digest": "the device showed the image's digest after it started again",
    "attributes": "the device showed the version after it started again",
    "reported": "the device said so, signed",
}


def _known(about: dict[str, Any], reports: list[dict[str, Any]]) -> dict[str, Any]:
    """What the device runs, how strongly that is known, since when, and from which report.

    That is the last report among those shown in which the version that it runs changed.
    """
    runs = about.get("runs", "")
    since = next((r for r in reports if r["runs"] == runs and r["ran"] != runs), None)
    verified = about.get("state") == "verified" and about.get("version") == runs
    strength = str(about.get("strength", "")) if verified else ""
    words = _STRENGTHS.get(strength, "its newest attributes say so") if runs else ""
    return {"runs": runs, "verified": verified, "how": words, "since": since}


def _report(found: dict[str, Any]) -> dict[str, Any]:
    told = found.get("told") or {}
    kind = str(told.get("type", "")) if isinstance(told, dict) else ""
    return {**found, "kind_told": kind.replace("_", " "), "at": shape.moment_of(found["time_ms"])}


def _log(about: dict[str, Any], reports: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """What the client wrote during the last action, oldest first."""
    lines = []
    for each in reversed(reports):
        told = each.get("told") or {}
        if each["action"] != about.get("action") or not each["action"]:
            continue
        details = told.get("details") if isinstance(told, dict) else None
        texts = details if isinstance(details, list) else []
        lines += [{"at": shape.moment_of(each["time_ms"]), "text": str(line)} for line in texts]
    return lines[-200:]


def _commands(visit: Visit, name: str, about: dict[str, Any]) -> list[tuple[str, str]]:
    """What somebody who may manage devices can do, each with its command."""
    try:
        visit.app.read(lambda w: require(w, visit.request.asker, "device.manage"))
    except Refused:
        return []
    verbs = {
        "": (("Revoke its token", "revoke"), ("Give it a new token", "rotate-token")),
        "pending": (("Let it in", "accept"), ("Keep it out", "reject")),
        "rejected": (("Let it in", "accept"), ("Revoke its token", "revoke")),
        "revoked": (("Let it in", "accept"),),
    }
    device = shape.quoted(about["device"])
    return [
        (said, f"surefoot device {verb} {name} {device}")
        for said, verb in verbs.get(about.get("standing", ""), ())
    ]


def proof(visit: Visit) -> Response:
    """A proof of what a device had last reported, as a file for a stranger."""
    name, device = visit.incoming.path["name"], visit.incoming.path["id"]
    bundle = visit.ask("device prove", name=name, id=device, at=visit.query("at"))["bundle"]
    return download(bundle.encode(), "proof-device.json")
