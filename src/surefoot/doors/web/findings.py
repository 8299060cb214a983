"""Pages of findings: the list with filters, and one finding."""

from __future__ import annotations

from starlette.responses import Response

from surefoot.doors.web.visit import Visit

_ROWS = 50
_FILTERS = ("scope", "state", "severity", "text")


def listing(visit: Visit) -> Response:
    """Findings, the most severe first, filtered on the server."""
    chosen = {name: visit.query(name) for name in _FILTERS}
    if "state" not in visit.incoming.query:
        chosen["state"] = "open"
    at, after = visit.query("at"), visit.query("after")
    page = visit.ask("finding list", **chosen, after=after, limit=_ROWS, at=at)
    return visit.render("findings.html", page=page, chosen=chosen, after=after, at=at)


def show(visit: Visit) -> Response:
    """One finding with all that is known of it."""
    at, path = visit.query("at"), visit.incoming.path
    found = visit.ask("finding show", scope=path["scope"], fingerprint=path["fingerprint"], at=at)
    return visit.render("finding.html", finding=found, at=at, path=path)
