"""How watched gates and waivers are shown as text."""

from __future__ import annotations

from collections.abc import Callable

from surefoot.doors.cli import show
from surefoot.doors.cli.views import Answer


def watches(answer: Answer) -> None:
    """A table, and what it comes to."""
    rows = answer.get("watches", [])
    show.table(
        ("environment", "gate", "verdict", "since", "last look", "every", "reason"),
        (
            (
                row["environment"],
                row["gate"],
                f"{row['verdict']}{', overdue' if row['overdue'] else ''}",
                row.get("since"),
                row.get("checked_at"),
                f"{row['every_minutes']} min",
                row["reason"],
            )
            for row in rows
        ),
        empty="no gate is under watch in surefoot.yaml",
    )
    if rows:
        count = answer.get("alarms", 0)
        show.line(f"{count} of {len(rows)} are alarms" if count else "no alarm")


def waivers(answer: Answer) -> None:
    """A table; waivers that have ended by time say so."""
    show.table(
        ("place", "gate", "person", "given", "until", "entry"),
        (
            (
                row["place"],
                row["gate"],
                row["person"],
                row["given_at"],
                f"{row['until'][:16]}{'' if row['in_force'] else ', over'}",
                row["entry"],
            )
            for row in answer.get("waivers", [])
        ),
        empty="no waiver",
    )


VIEWS: dict[str, Callable[[Answer], None]] = {"watches": watches, "waivers": waivers}
