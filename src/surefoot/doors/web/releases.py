"""Pages of releases: the list, and one release with manifest, gates and places."""

from __future__ import annotations

from starlette.responses import Response

from surefoot.doors.web.visit import Visit

_ROWS = 50


def listing(visit: Visit) -> Response:
    """Registered releases, newest first."""
    after, at = visit.query("after"), visit.query("at")
    rows = visit.ask("release list", after=after, limit=_ROWS, at=at)["releases"]
    places: dict[str, list[str]] = {}
    for environment in visit.ask("environment list", at=at)["environments"]:
        places.setdefault(environment["release_version"], []).append(environment["name"])
    older = rows[-1]["version"] if len(rows) == _ROWS else ""
    return visit.render("releases.html", rows=rows, places=places, at=at, older=older)


def show(visit: Visit) -> Response:
    """One release: what is in it by digest, what its gates said, where it runs."""
    at = visit.query("at")
    release = visit.ask("release show", version=visit.incoming.path["version"], at=at)
    return visit.render("release.html", release=release, at=at)
