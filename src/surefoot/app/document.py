"""An environment's set-up as a document, from its recorded state alone."""

from __future__ import annotations

from surefoot.core.environment import flatten
from surefoot.core.target import Plain

_SECTIONS = (
    ("Values", "values"),
    ("Secrets (by reference)", "secret_references"),
    ("Infrastructure", "infrastructure"),
    ("Tools", "tools"),
    ("Devices by verified firmware", "firmware_shares"),
    ("Freezes", "freezes"),
    ("Verified backups", "backups"),
)


def document_of(state: Plain) -> str:
    """Markdown of the answer of `environment show`."""
    lines = [
        f"# Environment {state['name']}",
        "",
        f"As of {state['at']}, journal size {state['journal_size']}"
        + (f", entry {state['entry']}" if "entry" in state else "")
        + ".",
        "",
    ]
    if not state.get("exists"):
        return "\n".join([*lines, "It did not exist then.", ""])
    lines += [
        f"Release **{state['release_version'] or 'none'}**, requested by "
        f"{state['requested_by'] or 'nobody'}, approved by {_joined(state['approved_by'])}.",
        "Protected: " + ("yes." if state["protected"] else "no."),
        "",
        "## Components",
        "",
        *_components(state["components"]),
    ]
    for title, name in _SECTIONS:
        lines += ["", f"## {title}", "", *_rows(state.get(name, {}))]
    lines += ["", "## Drift known then", "", *_drift(state["drift"]), ""]
    return "\n".join(lines)


def _joined(value: object) -> str:
    return ", ".join(str(v) for v in value) if isinstance(value, list) and value else "nobody"


def _components(components: object) -> list[str]:
    assert isinstance(components, dict)
    rows = [
        f"| {name} | {c['kind']} | {c['version']} | `{c['artifact']}` |"
        for name, c in components.items()
    ]
    return ["| component | kind | version | digest |", "|---|---|---|---|", *rows]


def _rows(value: object) -> list[str]:
    flat = flatten(value) if value else {}
    if not flat:
        return ["None."]
    return ["| name | value |", "|---|---|", *(f"| {k} | {v} |" for k, v in flat.items())]


def _drift(drift: object) -> list[str]:
    if not isinstance(drift, list) or not drift:
        return ["None."]
    rows = [
        f"| {d['path']} | {d['expected']} | {d['found']} |" for d in drift if isinstance(d, dict)
    ]
    return ["| place | expected | found |", "|---|---|---|", *rows]
