"""How plans, deployments and environments are shown as text.

Does not: ask for anything; a member that is missing is left out.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from surefoot.doors.cli import show
from surefoot.doors.cli.views import Answer, components, short


def plan(answer: Answer) -> None:
    """What would change, whether it can be undone, and the steps."""
    show.fields(
        [
            ("environment", answer.get("environment")),
            ("purpose", answer.get("purpose")),
            ("release", answer.get("release_version")),
            ("plan", answer.get("digest")),
        ]
    )
    changes(answer)
    verdict(answer)
    show.heading("\nsteps")
    show.table(
        ("step", "what", "undo"),
        ((s.get("id"), s.get("summary"), s.get("reversible")) for s in answer.get("steps", [])),
    )


def changes(answer: Answer) -> None:
    """`+ ~ -` per component."""
    show.heading("\nchanges")
    rows = [change for change in answer.get("changes", []) if change.get("sign") != "="]
    for change in rows:
        before, after = show.clean(change.get("before")), show.clean(change.get("after"))
        show.line(f"  {change.get('sign')} {change.get('subject')}  {before} -> {after}")
    if not rows:
        show.line("  none")


def verdict(answer: Answer) -> None:
    """The rollback verdict: up to which step, and why not after."""
    found = answer.get("verdict", {})
    show.heading("\ncan it be undone?")
    if found.get("reversible"):
        show.line("  yes, at every step")
    elif found and not found.get("last_reversible_step"):
        show.paragraph(f"no: {found.get('why')}")
    elif found:
        last, first = found["last_reversible_step"], found.get("first_irreversible_step")
        show.paragraph(f"up to step {last}; not after {first}: {found.get('why')}")
    failing = answer.get("on_device_failure") or {}
    if failing.get("why"):
        show.paragraph(f"when devices fail: {failing['why']}")


def requested(answer: Answer) -> None:
    """A plan that was asked for, and what it needs next."""
    plan(answer)
    number, needed = answer.get("deployment"), answer.get("approvals_needed", 0)
    show.heading(f"\ndeployment {number}")
    if needed:
        show.line(f"  needs {needed} approvals: surefoot deployment approve {number}")
    show.line(f"  follow it: surefoot deployment watch {number}")


def deployments(answer: Answer) -> None:
    """Deployments, newest first."""
    names = ("number", "environment", "purpose", "release_version", "status")
    rows = answer.get("deployments", [])
    show.table(
        ("number", "environment", "purpose", "release", "status", "steps", "by", "requested"),
        (
            (
                *(d.get(n) for n in names),
                _steps(d),
                d.get("requester"),
                show.moment(d.get("requested_at")),
            )
            for d in rows
        ),
    )


def _steps(deployment: Answer) -> str:
    return f"{deployment.get('steps_done', 0)}/{deployment.get('steps', 0)}"


def deployment(answer: Answer) -> None:
    """Everything about one deployment."""
    names = ("number", "environment", "purpose", "release_version", "status", "cause")
    more = ("waiting_for", "requester", "requested_at", "begun_at", "ended_at", "digest")
    who = ("eligible", "excluded", "approvals_missing", "figures", "waves", "at", "state")
    waves = {n: w for n, w in (answer.get("waves") or {}).items() if w}
    found = {**answer, "waves": waves}
    show.fields([(n.replace("_", " "), found.get(n)) for n in (*names, *more, *who)])
    if "steps" not in answer:
        return
    changes(answer)
    verdict(answer)
    if answer.get("approvals"):
        show.heading("\napprovals")
        show.table(
            ("person", "verdict", "at"),
            (
                (a.get("person"), a.get("verdict"), show.moment(a.get("at")))
                for a in answer["approvals"]
            ),
        )
    show.heading("\nsteps")
    show.table(
        ("step", "status", "what came of it"),
        ((s.get("id"), _status(s), s.get("cause") or s.get("summary")) for s in answer["steps"]),
    )


def _status(step: Answer) -> str:
    return "undone" if step.get("undo") == "done" else str(step.get("status"))


def matrix(answer: Answer) -> None:
    """Environments by components."""
    rows = answer.get("environments", [])
    names = list(dict.fromkeys(n for row in rows for n in row.get("components", {})))
    show.table(
        ("environment", "release", *names, "status", "drift"),
        (
            (
                row.get("name"),
                row.get("release_version"),
                *((row.get("components", {}).get(n) or {}).get("version") for n in names),
                "destroyed" if row.get("destroyed") else row.get("status"),
                row.get("drift"),
            )
            for row in rows
        ),
        empty="no environment yet: accept a definition",
    )


def environment(answer: Answer) -> None:
    """Everything one environment is."""
    if answer.get("exists") is False:
        show.line(f"environment {answer.get('name')} did not exist at {answer.get('at')}")
        return
    aside = ("components", "values", "infrastructure", "drift", "exists", "freeze", "freezes")
    show.fields((n.replace("_", " "), v) for n, v in answer.items() if n not in aside)
    show.heading("\ncomponents")
    components(answer)
    for part in ("values", "infrastructure"):
        if answer.get(part):
            show.heading(f"\n{part}")
            show.fields(_flat(answer[part]), "  ")
    if answer.get("freezes"):
        show.heading("\nfreezes")
        show.table(
            ("freeze", "from", "until"),
            (
                (n, show.moment(z.get("from")), show.moment(z.get("until")))
                for n, z in answer["freezes"].items()
            ),
        )
    if answer.get("drift"):
        show.heading("\ndrift")
        show.table(
            ("place", "expected", "found"),
            ((d.get("path"), d.get("expected"), d.get("found")) for d in answer["drift"]),
        )


def _flat(value: Any, prefix: str = "") -> list[tuple[str, Any]]:
    if not isinstance(value, dict):
        return [(prefix, short(value) if str(value).startswith("sha256:") else value)]
    inner = (_flat(v, f"{prefix}.{k}" if prefix else str(k)) for k, v in value.items())
    return [row for rows in inner for row in rows]


VIEWS: dict[str, Callable[[Answer], None]] = {
    "plan": plan,
    "requested": requested,
    "deployments": deployments,
    "deployment": deployment,
    "matrix": matrix,
    "environment": environment,
}
