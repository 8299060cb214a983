"""How rollouts are shown as text.

Does not: ask for anything; a member that is missing is left out.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from surefoot.doors.cli import show
from surefoot.doors.cli.views import Answer

_STEP = 1024


def plan(answer: Answer) -> None:
    """The blast radius: who, who not and why, and when."""
    names = ("environment", "release_version", "firmware", "type", "target")
    show.fields([(name.replace("_version", ""), answer.get(name)) for name in names])
    show.heading("\ndevices")
    counts = ("registered", "matching", "already_there", "moves")
    show.fields(
        [(n.replace("_", " "), _count(answer.get(n))) for n in counts]
        + [("to be moved over the line", size(answer.get("size_bytes", 0)))],
        "  ",
    )
    if answer.get("unfit"):
        show.heading("\ncannot take it")
        rows = answer["unfit"]
        show.table(
            ("reason", "devices", "for example", "why"),
            ((r["reason"], _count(r["count"]), r["names"], r["example"]) for r in rows),
        )
    show.heading("\nlast heard, of those that would move")
    show.fields([(k, _count(v)) for k, v in (answer.get("heard") or {}).items() if v], "  ")
    _waves(answer)
    if answer.get("names"):
        show.heading("\nwould move")
        show.paragraph(", ".join(answer["names"]))
        rest = int(answer.get("moves", 0)) - len(answer["names"])
        if rest > 0:
            show.line(f"  more with: --after {answer['names'][-1]}")
    show.line("\nnothing was recorded; ask for it with: surefoot deployment request")


def _waves(answer: Answer) -> None:
    show.heading("\nwaves, from now")
    waves = answer.get("waves", [])
    show.table(
        ("wave", "percent", "devices", "size", "over after"),
        (
            (
                w["wave"],
                f"{w['percent']} %" if w["percent"] else "",
                _count(w["devices"]),
                size(w["size_bytes"]),
                duration(w.get("seconds")),
            )
            for w in waves
        ),
    )
    if answer.get("computed"):
        show.paragraph("; ".join(answer["computed"]))
    if any(w.get("waits") for w in waves):
        show.paragraph(
            "too few devices were heard within a day: waves may stand until the deadline"
        )


def size(count: Any) -> str:
    """Bytes in the largest unit that leaves a whole part."""
    value = float(count)
    for unit in ("B", "KiB", "MiB", "GiB"):
        if value < _STEP:
            return f"{value:.0f} B" if unit == "B" else f"{value:.1f} {unit}"
        value /= _STEP
    return f"{value:.1f} TiB"


def duration(seconds: Any) -> str:
    """Seconds as hours and minutes."""
    if seconds is None:
        return "not known"
    minutes = -(-int(seconds) // 60)
    return f"{minutes // 60} h {minutes % 60:02} min" if minutes >= 60 else f"{minutes} min"


def _count(value: Any) -> str:
    return f"{value:,}" if isinstance(value, int) else ""


def rollouts(answer: Answer) -> None:
    """Rollouts, newest first."""
    names = ("deployment", "release_version", "firmware", "status")
    rows = answer.get("rollouts", [])
    show.table(
        ("deployment", "release", "firmware", "status"),
        (tuple(row.get(n) for n in names) for row in rows),
    )


def rollout(answer: Answer) -> None:
    """One rollout, its devices by wave and state."""
    names = [name for name in answer if name not in ("waves", "holds")]
    show.fields([(name.replace("_", " "), answer[name]) for name in names])
    show.heading("\ndevices by wave")
    rows = answer.get("waves", [])
    show.table(("wave", "devices"), ((row["wave"], row["states"]) for row in rows))
    if answer.get("holds"):
        show.heading("\nwaits")
        show.table(
            ("for", "devices", "because", "until"),
            (
                (row["reason"], row["devices"] or "", row["words"], row["until"])
                for row in answer["holds"]
            ),
        )


VIEWS: dict[str, Callable[[Answer], None]] = {
    "rollout-plan": plan,
    "rollouts": rollouts,
    "rollout": rollout,
}
