"""Finds the endpoint for a request; answers health and version itself."""

from __future__ import annotations

from urllib.parse import unquote

from thermostat.api_v1 import Context
from thermostat.problem import Problem, shown
from thermostat.routes import ROUTES
from thermostat.server import Answer, Request
from thermostat.version import HTTP, VERSION


class Application:
    """The whole service behind one call."""

    def __init__(self, context: Context) -> None:
        self._context = context

    async def answer(self, request: Request) -> Answer:
        """Answer one request. Raises `Problem`."""
        if request.method == "GET" and request.path == "/health":
            return await self._health()
        if request.method == "GET" and request.path == "/version":
            return 200, {"version": VERSION, "http": list(HTTP)}
        pattern, names = _pattern(request.path)
        endpoint = ROUTES.get((request.method, pattern))
        if endpoint is None:
            raise _unknown(request, pattern)
        return await endpoint(self._context, request, *names)

    async def _health(self) -> Answer:
        await self._context.database.read(
            lambda connection: connection.execute("SELECT 1 FROM telemetry LIMIT 1").fetchone()
        )
        greeting = self._context.configuration.greeting
        return 200, {"status": "ok", "version": VERSION, "greeting": greeting}


def _pattern(path: str) -> tuple[str, tuple[str, ...]]:
    words = path.split("/")
    if len(words) == 4 and words[3]:
        return "/".join([*words[:3], "*"]), (unquote(words[3]),)
    return path, ()


def _unknown(request: Request, pattern: str) -> Problem:
    methods = sorted(method for method, path in ROUTES if path == pattern)
    if methods:
        return Problem(
            405, "path.method", " or ".join(methods), shown(request.method), "use that method"
        )
    low, high = HTTP
    return Problem(
        404,
        "path.unknown",
        f"a path of API version {low} to {high}",
        shown(request.path),
        "ask GET /version what this service answers",
    )
