"""How the map of an environment is shown as text.

Does not: ask for anything; what cannot be told is shown as unknown.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from surefoot.doors.cli import show
from surefoot.doors.cli.views import Answer, short


def environment_map(answer: Answer) -> None:
    """Each part with the commit and the person behind each of its rows."""
    release = answer.get("release") or {}
    origins = answer.get("origins") or {}
    show.fields(
        [
            ("environment", answer.get("name")),
            ("at", answer.get("at")),
            ("release", release.get("version")),
            ("commit", release.get("commit")),
            ("cut by", release.get("cutter")),
            ("requested by", answer.get("requested_by")),
            ("approved by", answer.get("approved_by")),
            ("commits told by", origins.get("from")),
            ("because", origins.get("why")),
        ]
    )
    _part("components", answer, ("version", "artifact", "provenance"))
    _part("migrations", answer, ("sha256",), "file")
    for part in ("values", "infrastructure", "tools"):
        _part(part, answer, ("value",))
    if answer.get("secrets"):
        show.heading("\nsecrets")
        show.table(
            ("name", "version", "in use", "set by", "set at"),
            (
                (s["name"], s["version"], s["in_use"], s["set_by"], show.moment(s["set_at"]))
                for s in answer["secrets"]
            ),
        )


def _part(part: str, answer: Answer, columns: tuple[str, ...], name: str = "name") -> None:
    rows = answer.get(part) or []
    if not rows:
        return
    show.heading(f"\n{part}")
    show.table(
        (name, *columns, "commit", "by"),
        ((row.get(name), *(_short(row.get(c)) for c in columns), *_origin(row)) for row in rows),
    )


def _origin(row: Answer) -> tuple[str, str]:
    origin = row.get("origin") or {}
    author, why = str(origin.get("author", "")), str(origin.get("why", ""))
    return str(origin.get("commit", ""))[:12], f"{author}: {why}" if why else author


def _short(value: Any) -> Any:
    return short(value) if str(value).startswith("sha256:") else value


VIEWS: dict[str, Callable[[Answer], None]] = {"map": environment_map}
