"""Pages of rollouts: the blast radius before anything happens, and one rollout as it goes.

Keeps: the plan is asked anew with each visit and records nothing; what holds devices is told by the
operation that asks the same bounds as the engine. Does not: start a rollout: a deployment does.
"""

from __future__ import annotations

from typing import Any
from urllib.parse import urlencode

from starlette.responses import Response

from surefoot.app.standing import may_steer
from surefoot.core.errors import SurefootError
from surefoot.doors import codes
from surefoot.doors.web import shape
from surefoot.doors.web.devices import blocker_kinds, rollout_of
from surefoot.doors.web.visit import Visit

_NAMES = 50
_RELEASES = 100
_REFRESH_SECONDS = 5
_ASKED = ("release", "query", "tag", "bandwidth")

_UNFIT = {
    "standing": "Not let in",
    "hardware": "Other hardware",
    "client": "Its client cannot take it",
    "version_unknown": "Version not known",
    "version_unordered": "Version without an order",
    "downgrade": "Would be a downgrade",
    "no_route": "No release leads there",
    "not_alone": "Needs another image first",
}


def plan(visit: Visit) -> Response:
    """Choose a release and devices, and see who would move, who cannot and why, and when."""
    name = visit.incoming.path["name"]
    asked = {each: visit.query(each) for each in _ASKED}
    releases = visit.ask("release list", limit=_RELEASES)["releases"]
    after = visit.query("after")
    found: dict[str, Any] = {}
    error = None
    if asked["release"]:
        try:
            found = visit.ask("rollout plan", environment=name, after=after, limit=_NAMES, **asked)
        except SurefootError as refused:
            error = refused
    given = {each: text for each, text in asked.items() if text}
    more = found.get("names", [])[-1:] if len(found.get("names", [])) == _NAMES else []
    return visit.render(
        "rollout_plan.html",
        error.status() if error else 200,
        name=name,
        asked=asked,
        releases=[row["version"] for row in releases],
        found=found,
        after=after,
        error=codes.complete(error.record()) if error else None,
        tiles=_tiles(found) if found else [],
        bar=_bar(found) if found else [],
        unfit=[{**row, "title": _UNFIT.get(row["reason"], row["reason"])} for row in found["unfit"]]
        if found
        else [],
        waves=[{**row, "lasts": _lasts(row["seconds"])} for row in found.get("waves", [])],
        given=urlencode(given),
        next=urlencode({**given, "after": more[0]}) if more else "",
        target=_target(found.get("target", "")),
    )


def _unfit_count(found: dict[str, Any]) -> int:
    return sum(row["count"] for row in found["unfit"])


def _tiles(found: dict[str, Any]) -> list[tuple[str, str, str, str]]:
    """Name, figure, note and tone of each."""
    waves = found["waves"]
    over = _lasts(waves[-1]["seconds"] if waves else None)
    heard = found["heard"]
    living = heard["within an hour"] + heard["within a day"]
    size = shape.size(found["size_bytes"])
    verb = "Would download it" if found["type"] == "download-only" else "Would move"
    return [
        (verb, f"{found['moves']:,}", f"{living:,} heard within a day", "run"),
        ("Already there", f"{found['already_there']:,}", "", "ok"),
        ("Cannot take it", f"{_unfit_count(found):,}", "", "bad" if found["unfit"] else ""),
        ("Not meant", f"{found['registered'] - found['matching']:,}", "", ""),
        ("Over the line", size, "", ""),
        ("Over after", over, "if nothing goes wrong", "wait"),
    ]


def _bar(found: dict[str, Any]) -> list[shape.Share]:
    parts = [
        ("already there", found["already_there"], "tone-ok"),
        ("would move", found["moves"], "tone-run"),
        ("cannot take it", _unfit_count(found), "tone-bad"),
        ("not meant", found["registered"] - found["matching"], "tone-idle"),
    ]
    return shape.shares(parts, found["registered"])


def _lasts(seconds: int | None) -> str:
    """A span of minutes, hours or days, for people."""
    if seconds is None:
        return "not known"
    minutes = -(-seconds // 60)
    if minutes < 120:
        return f"{minutes} min"
    hours, minutes = divmod(minutes, 60)
    return f"{hours} h {minutes:02} min" if hours < 48 else f"{hours // 24} d {hours % 24} h"


def _target(target: Any) -> str:
    if not isinstance(target, dict):
        return str(target)
    listed = target.get("devices", ())
    words = [target["query"]] if target.get("query") else []
    return " and ".join([*words, *([f"{len(listed)} by name"] if listed else [])])


def show(visit: Visit) -> Response:
    """One rollout: what it waits for, its waves, who is in the way, and how to hold it."""
    name, number = visit.incoming.path["name"], int(visit.incoming.path["number"])
    found = visit.ask("rollout show", name=name, number=number)
    fleet = visit.ask("fleet show", name=name)
    sealed = next((r for r in fleet["rollouts"] if r["deployment"] == number), None)
    about = rollout_of(sealed) if sealed else {}
    deployment = visit.ask("deployment show", number=number)
    ended = bool(deployment["ended_at"])
    moving = not ended and not deployment["approvals_missing"]
    paused = visit.app.read(lambda w: w.deployments[number].paused)
    return visit.render(
        "rollout.html",
        name=name,
        number=number,
        r=found,
        d=deployment,
        sealed=about,
        live=shape.wave_bars(
            {wave["wave"]: wave["states"] for wave in found["waves"]}, about.get("policy", {})
        ),
        blockers=blocker_kinds(visit.ask("fleet blockers", name=name, deployment=number)),
        rules=_rules(about.get("policy", {})),
        paused=paused,
        steers=not ended and may_steer(visit.app, visit.request, number),
        moving=moving,
        refresh=_REFRESH_SECONDS if moving and visit.query("refresh") != "off" else 0,
    )


def _rules(policy: dict[str, Any]) -> list[tuple[str, str]]:
    """What approvers signed about its pace, as pairs."""
    pace = policy.get("pace", {})
    growth, retry = pace.get("exponential"), pace.get("retry")
    windows = [_window(each) for each in pace.get("windows", ())]
    pairs = [
        ("Type", policy.get("urgency", "forced")),
        ("For", policy.get("query", "") or "all devices"),
        ("Deadline of a device", shape.duration(policy.get("deadline_seconds", 86_400) * 1000)),
        ("When it stops", _stopping(policy)),
        ("At once", f"{pace['concurrency']:,}" if pace.get("concurrency") else ""),
        ("In a minute", f"{pace['rate_per_minute']:,}" if pace.get("rate_per_minute") else ""),
        ("Growth", f"{growth['start']}, times {growth['factor']}" if growth else ""),
        ("Windows", f"{'; '.join(windows)} ({pace.get('timezone', 'UTC')})" if windows else ""),
        ("Soak", shape.duration(pace["soak_seconds"] * 1000) if pace.get("soak_seconds") else ""),
        ("Further attempts", f"{retry['times']}" if retry else ""),
    ]
    return [(title, text) for title, text in pairs if text] if policy else []


def _stopping(policy: dict[str, Any]) -> str:
    if policy.get("urgency") == "download-only":
        return "downloads are withdrawn"
    if policy.get("on_stop") == "stay":
        return "devices that moved stay"
    back = policy.get("return_to")
    return f"devices return to {back}" if back else "devices return to the release before"


def _window(window: dict[str, Any]) -> str:
    names = ("Mon", "Tue", "Wed", "Thu", "Fri", "Sat", "Sun")
    days = ", ".join(names[day] for day in window.get("days", ())) or "every day"
    start, minutes = window["from_minute"], window["minutes"]
    return f"{days} from {start // 60:02}:{start % 60:02} for {minutes} min"
