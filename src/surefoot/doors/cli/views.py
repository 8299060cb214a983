"""How each kind of answer is shown as text; `-o json` shows the same answers whole.

Does not: ask for anything; a member that is missing is left out.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Any

from surefoot.core.errors import render
from surefoot.doors.cli import show

Answer = dict[str, Any]
_SHORT_DIGEST = 19
_TIMES = ("at", "seen_at", "reported_at")


def plain(answer: Answer) -> None:
    """Any answer: its members, and each list of objects as a table."""
    lists = {k: v for k, v in answer.items() if isinstance(v, list) and v and _objects(v)}
    show.fields((name, value) for name, value in answer.items() if name not in lists)
    for name, rows in lists.items():
        show.heading(f"\n{name}" if len(answer) > 1 else name)
        headers = list(dict.fromkeys(key for row in rows for key in row))
        headers.sort(key=_place)
        show.table(headers, ([row.get(key) for key in headers] for row in rows))


def _place(header: str) -> int:
    """What a row is about stands first, what went wrong last; others stay as they come."""
    return {"name": 0, "id": 0, "size": 1, "error": 3}.get(header, 2)


def people(answer: Answer) -> None:
    """Everybody enrolled."""
    rows = answer.get("people", [])
    show.table(
        ("person", "roles", "founder", "keys"),
        ((p.get("id"), p.get("roles"), p.get("founder"), p.get("keys")) for p in rows),
    )


def who_can(answer: Answer) -> None:
    """One name a line."""
    for person in answer.get("people", []) or ["nobody"]:
        show.line(person)


def definition(answer: Answer) -> None:
    """Roles and environments of the rules in force."""
    governance = answer.get("governance", {})
    show.fields([("digest", answer.get("digest")), ("product", governance.get("product"))])
    show.heading("\nroles")
    roles: Answer = governance.get("roles", {})
    show.table(("role", "may"), roles.items())
    show.heading("\nenvironments")
    environments: Answer = governance.get("environments", {})
    show.table(
        ("environment", "protected", "after", "approvals", "by role"),
        (
            (
                n,
                e.get("protected", False),
                e.get("after"),
                e.get("approvals"),
                e.get("approver_role"),
            )
            for n, e in environments.items()
        ),
    )


def releases(answer: Answer) -> None:
    """Releases, newest first."""
    rows = answer.get("releases", [])
    show.table(
        ("version", "registered", "cutter", "commit", "digest"),
        (
            (
                r["version"],
                show.moment(r["registered_at"]),
                r["cutter"],
                r["commit"][:12],
                short(r["digest"]),
            )
            for r in rows
        ),
    )


def release(answer: Answer) -> None:
    """One release."""
    names = ("version", "digest", "commit", "cutter", "contributors", "registered_at")
    show.fields([(n.replace("_", " "), answer.get(n)) for n in (*names, "environments")])
    show.heading("\ncomponents")
    components(answer)
    if answer.get("gates"):
        show.heading("\ngates")
        show.table(
            ("gate", "verdict", "reason"),
            ((g.get("gate"), g.get("verdict"), g.get("reason")) for g in answer["gates"]),
        )


def components(answer: Answer) -> None:
    """The components of a release, a draft or an environment."""
    found = answer.get("components") or {}
    rows = found.items() if isinstance(found, dict) else ((c["name"], c) for c in found)
    show.table(
        ("component", "kind", "version", "artifact"),
        ((n, c.get("kind"), c.get("version"), short(c.get("artifact", ""))) for n, c in rows),
    )


def job(answer: Answer) -> None:
    """A job's lines, then how it ended."""
    for entry in answer.get("lines", []):
        show.line(entry.get("text", ""))
    show.fields([("job", answer.get("job")), ("status", answer.get("status"))])
    if answer.get("error"):
        show.line(render(answer["error"]))


def entries(answer: Answer) -> None:
    """Entries of the journal, newest first."""
    rows = answer.get("entries", [])
    names = ("index", "at", "kind", "actor", "stream", "summary")
    present = [n for n in names if any(n in row for row in rows)]
    show.table(present, (_cells(row, present) for row in rows))


def orphans(answer: Answer) -> None:
    """Claims without a result, oldest first."""
    names = ("index", "at", "deployment", "environment", "step", "undo", "worker", "claims")
    show.table(
        names,
        (_cells(row, names) for row in answer["orphans"]),
        empty="every claim older than a lease has a result",
    )


def checkpoint(answer: Answer) -> None:
    """The signed note exactly as it is, to be kept in a file."""
    print(answer["checkpoint"], end="")


def document(answer: Answer) -> None:
    """The document itself."""
    show.text(answer["markdown"])


def diff(answer: Answer) -> None:
    """Path, left, right."""
    rows = answer.get("differences", [])
    show.table(
        ("path", answer.get("left", "left"), answer.get("right", "right")),
        ((d.get("path"), _value(d.get("left")), _value(d.get("right"))) for d in rows),
        empty="no difference",
    )


def drift(answer: Answer) -> None:
    """Place, expected, found."""
    rows = answer.get("differences", [])
    show.table(
        ("place", "expected", "found"),
        ((d.get("path"), _value(d.get("expected")), _value(d.get("found"))) for d in rows),
        empty="no drift: what is there is what is recorded",
    )


def freezes(answer: Answer) -> None:
    """Freezes and whether they hold."""
    show.table(
        ("freeze", "from", "until", "holds"),
        (
            (z.get("freeze"), show.moment(z.get("from")), show.moment(z.get("until")), z["holds"])
            for z in answer.get("freezes", [])
        ),
        empty="no freeze",
    )


def secrets(answer: Answer) -> None:
    """Names and versions, and where a value is shared."""
    show.table(
        ("secret", "version", "same value as"),
        ((s.get("name"), s.get("version"), s.get("same_as")) for s in answer.get("secrets", [])),
    )


def devices(answer: Answer) -> None:
    """Devices with their state."""
    rows = answer.get("devices", [])
    names = ("device", "hardware", "standing", "state", "version", "seen_at", "reported_at")
    present = [n for n in names if any(n in row for row in rows)]
    headers = [n.removesuffix("_at") for n in present]
    show.table(headers, (_cells(row, present) for row in rows))
    if answer.get("shares"):
        show.fields([("shares", answer["shares"])])


def device(answer: Answer) -> None:
    """One device, and what it reported, newest first."""
    about = dict(answer.get("device") or {})
    attributes = about.pop("attributes", {})
    show.fields((name.replace("_", " "), value) for name, value in about.items())
    if isinstance(attributes, dict) and attributes:
        show.heading("\nattributes")
        show.fields(attributes.items(), "  ")
    show.heading("\nreports")
    names = ("report", "deployment", "kind", "from", "to", "ran", "runs", "reason")
    rows = answer.get("reports", [])
    present = [n for n in names if any(n in row for row in rows)]
    show.table(present, (_cells(row, present) for row in rows))


def _cells(row: Answer, names: Iterable[str]) -> list[Any]:
    return [show.moment(row.get(n)) if n in _TIMES else row.get(n) for n in names]


def _value(value: Any) -> Any:
    """A value to be compared by eye: a digest by its beginning."""
    return short(value) if str(value).startswith("sha256:") else value


def short(digest: str) -> str:
    """The beginning of a digest, enough to recognise it."""
    return digest[:_SHORT_DIGEST]


def _objects(values: list[Any]) -> bool:
    return all(isinstance(value, dict) for value in values)


VIEWS: dict[str, Callable[[Answer], None]] = {
    "plain": plain,
    "people": people,
    "who_can": who_can,
    "definition": definition,
    "releases": releases,
    "release": release,
    "components": components,
    "job": job,
    "entries": entries,
    "orphans": orphans,
    "checkpoint": checkpoint,
    "document": document,
    "diff": diff,
    "drift": drift,
    "freezes": freezes,
    "secrets": secrets,
    "devices": devices,
    "device": device,
}
