"""How the evidence of a gate is shown as text."""

from __future__ import annotations

from collections.abc import Callable

from surefoot.doors.cli import show
from surefoot.doors.cli.views import Answer


def evidence(answer: Answer) -> None:
    """The verdict, what was looked at, the findings, and where the report is."""
    show.fields(
        [
            ("verdict", answer.get("verdict")),
            ("because", answer.get("reason")),
            ("tool", answer.get("tool")),
            ("began", show.moment(answer.get("began_at"))),
            ("ended", show.moment(answer.get("ended_at"))),
            ("covered", answer.get("coverage")),
            ("evidence", answer.get("digest")),
        ]
    )
    show.table(
        ("severity", "rule", "title", "what to do"),
        (
            (row["severity"], row["rule"], row["title"], row.get("remedy", ""))
            for row in answer.get("findings", [])
        ),
        empty="no findings",
    )
    for form in answer.get("reports", []):
        place = f"{answer.get('number')} {answer.get('step')} {form}"
        show.line(f"the report: surefoot deployment report {place}")


VIEWS: dict[str, Callable[[Answer], None]] = {"evidence": evidence}
