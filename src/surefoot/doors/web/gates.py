"""Pages of gates: what the gate of a deployment's step saw, and the report that it kept.

Keeps: a report's page is answered as it was kept, under a policy of its own that lets nothing run
and nothing load, in a place apart from our pages.
"""

from __future__ import annotations

from typing import Any

from starlette.responses import Response

from surefoot.doors.web.visit import Visit

_POLICY = "sandbox; default-src 'none'; style-src 'unsafe-inline'; frame-ancestors 'none'"
_HEADERS = {"content-security-policy": _POLICY, "cache-control": "no-store"}


def show(visit: Visit) -> Response:
    """The evidence of one step."""
    found = visit.ask("deployment evidence", **_named(visit))
    rows = [(name, value) for name, value in found["figures"].items() if isinstance(value, list)]
    tables = [(name, _columns(value), value) for name, value in rows if _columns(value)]
    return visit.render("gate.html", e=found, tables=tables)


def report(visit: Visit) -> Response:
    """The report's page."""
    found = visit.ask("deployment report", form="page", **_named(visit))
    return Response(found["content"], headers=_HEADERS, media_type="text/html")


def raw(visit: Visit) -> Response:
    """The report as JSON, to keep and to compare."""
    names = _named(visit)
    found = visit.ask("deployment report", form="json", **names)
    name = f"deployment-{names['number']}-{names['step']}.json"
    held = {"content-disposition": f'attachment; filename="{name}"', **_HEADERS}
    return Response(found["content"], headers=held, media_type="application/json")


def _named(visit: Visit) -> dict[str, Any]:
    path = visit.incoming.path
    return {"number": int(path["number"]), "step": path["step"]}


def _columns(rows: list[Any]) -> list[str]:
    """Names of the columns of rows that are mappings."""
    if not all(isinstance(row, dict) for row in rows):
        return []
    return list(dict.fromkeys(name for row in rows for name in row))
