"""The page of people: who is enrolled, with which roles, and who may do what where."""

from __future__ import annotations

from typing import Any

from starlette.responses import Response

from surefoot.doors.web.visit import Visit


def listing(visit: Visit) -> Response:
    """Everybody, and per environment who may deploy and who may approve; now or at a time."""
    at = visit.query("at")
    everybody = visit.ask("person list", at=at)["people"]
    governance = visit.ask("definition show", at=at)["governance"]
    names = [row["name"] for row in visit.ask("environment list", at=at)["environments"]]
    rights = [_rights(visit, name, governance, at) for name in names]
    return visit.render(
        "people.html", people=everybody, rights=rights, roles=governance.get("roles", {}), at=at
    )


def _rights(visit: Visit, name: str, governance: dict[str, Any], at: str) -> dict[str, Any]:
    rules = governance.get("environments", {}).get(name, {})
    return {
        "name": name,
        "protected": bool(rules.get("protected", False)),
        "deploy": visit.ask("who-can", permission=f"deploy.{name}", at=at)["people"],
        "approve": visit.ask("who-can", permission=f"approve.{name}", at=at)["people"],
        "approvals": int(rules.get("approvals", 0)),
    }
