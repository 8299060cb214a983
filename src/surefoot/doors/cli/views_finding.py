"""How findings are shown as text."""

from __future__ import annotations

from collections.abc import Callable

from surefoot.doors.cli import show
from surefoot.doors.cli.views import Answer

_SHOWN = 12


def findings(answer: Answer) -> None:
    """A table, the most severe first, and what it comes to."""
    rows = answer.get("findings", [])
    show.table(
        ("severity", "state", "title", "place", "due", "owner", "scope", "fingerprint"),
        (
            (
                row["severity"],
                _state(row),
                row["title"],
                row["place"],
                f"{row['due_at'][:10]}{' overdue' if row['overdue'] else ''}",
                row["owner"],
                row["scope"],
                row["fingerprint"][:_SHOWN],
            )
            for row in rows
        ),
        empty="no findings",
    )
    show.line(f"{answer.get('total', 0)} in all, {answer.get('blocking', 0)} block")
    if answer.get("next"):
        show.line(f"more with --after {answer['next']}")


def finding(answer: Answer) -> None:
    """All that is known of one."""
    names = ("title", "severity", "place", "rule", "cwe", "scope", "fingerprint")
    details = answer.get("details") or {}
    show.fields(
        [
            ("state", _state(answer)),
            *((name, answer.get(name)) for name in names),
            ("component", details.get("location", {}).get("component")),
            ("line", details.get("line")),
            ("version", details.get("version")),
            ("fixed in", details.get("fixed_in")),
            ("also known as", details.get("aliases")),
            ("first seen", show.moment(answer.get("first_at"))),
            ("last seen", show.moment(answer.get("last_at"))),
            ("due", show.moment(answer.get("due_at"))),
            ("owner", answer.get("owner")),
            ("what to do", details.get("remedy")),
        ]
    )


def taken(answer: Answer) -> None:
    """What a report did."""
    if answer.get("known"):
        show.line("known already: nothing changed")
        return
    show.fields(
        [
            ("tool", answer.get("tool")),
            ("conclusive", answer.get("conclusive")),
            ("because", answer.get("trouble")),
            ("covered", answer.get("figures")),
            ("findings", answer.get("counts")),
        ]
    )
    if not answer.get("conclusive"):
        show.line("nothing becomes fixed by a report that is not conclusive")


def content(answer: Answer) -> None:
    """A document as it is."""
    show.text(str(answer.get("content", "")))


def _state(row: Answer) -> str:
    if row.get("accepted_by"):
        return f"accepted by {row['accepted_by']} until {row['accepted_until'][:10]}"
    return str(row.get("state", ""))


VIEWS: dict[str, Callable[[Answer], None]] = {
    "findings": findings,
    "finding": finding,
    "findings_taken": taken,
    "content": content,
}
