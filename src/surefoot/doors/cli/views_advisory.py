"""How advisories and what they say are shown as text."""

from __future__ import annotations

from collections.abc import Callable

from surefoot.doors.cli import show
from surefoot.doors.cli.views import Answer


def advisories(answer: Answer) -> None:
    """The snapshot in force."""
    limits = answer.get("limits") or {}
    show.fields(
        [
            ("snapshot", answer.get("snapshot") or "none"),
            ("can judge", answer.get("usable")),
            ("because", answer.get("because")),
            ("made", show.moment(answer.get("made_at"))),
            ("newest record", show.moment(answer.get("newest_at"))),
            ("taken", show.moment(answer.get("taken_at"))),
            ("signer", answer.get("signer")),
            ("records", answer.get("records")),
            ("known exploited", answer.get("exploited")),
            ("likelihoods", answer.get("likely")),
            ("oldest allowed", f"{limits.get('age_hours_max', 168)} h"),
        ]
    )
    ecosystems = answer.get("ecosystems") or {}
    if ecosystems:
        show.table(("ecosystem", "records"), list(ecosystems.items()), empty="")


def taken(answer: Answer) -> None:
    """What became of a snapshot."""
    if answer.get("known"):
        show.line("in force already: nothing changed")
    show.fields(
        [
            ("snapshot", answer.get("snapshot")),
            ("made", show.moment(answer.get("made_at"))),
            ("signer", answer.get("signer")),
            ("in force", answer.get("in_force")),
            ("ecosystems", answer.get("ecosystems")),
        ]
    )


def judged(answer: Answer) -> None:
    """One component's packages."""
    show.fields(
        [
            ("component", answer.get("component")),
            ("packages", answer.get("packages")),
            ("judged", answer.get("judged")),
            ("conclusive", answer.get("conclusive")),
            ("because", answer.get("trouble")),
            ("findings", answer.get("counts")),
            ("scope", answer.get("scope")),
        ]
    )
    show.table(
        ("not judged", "version", "why"),
        [(u["package"], u["version"], u["why"]) for u in answer.get("not_judged", [])],
        empty="every package was judged",
    )
    for each in answer.get("cleared", []):
        show.line(f"cleared: {each['rule']} in {each['package']}: {each['justification']}")


def release(answer: Answer) -> None:
    """Every component of a release."""
    for each in answer.get("components", []):
        judged(each)


VIEWS: dict[str, Callable[[Answer], None]] = {
    "advisories": advisories,
    "advisories_taken": taken,
    "advisories_judged": judged,
    "advisories_release": release,
}
