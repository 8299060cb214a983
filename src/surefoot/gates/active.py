"""The ground of active tests: whom they may reach, how much they may do, and what ends them.

Rules: only endpoints of the environment's record, by address and never by name; a budget of
requests, seconds and connections that is asked before each one; a file that ends the test, looked
at while it runs; every request says which run it belongs to; where the environment is protected,
only what is marked safe. Whoever tests asks the meter; there is no way around it.
Does not: send anything.
"""

from __future__ import annotations

import ipaddress
import threading
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path

import msgspec

HEADER = "Surefoot-Test"
STOP_FILE = "stop-active-tests"
REQUESTS_MAX = 5_000_000
SECONDS_MAX = 14_400
CONNECTIONS_MAX = 900
_LOOK_SECONDS = 0.1
_ASK_SECONDS = 0.5


class Denied(ValueError):
    """The test may not do that: another endpoint, or not marked safe."""


class Over(Exception):
    """The test ends here: the budget is used up, or somebody stopped it."""


class Budget(msgspec.Struct, frozen=True, kw_only=True):
    """What a test may use at most."""

    requests: int = 100_000
    seconds: int = 600
    connections: int = 200


class Permit(msgspec.Struct, frozen=True, kw_only=True):
    """Leave for one run: `endpoints` are the environment's own, `stops` files that end it."""

    run: str
    environment: str
    endpoints: tuple[str, ...]
    budget: Budget = Budget()
    stops: tuple[str, ...] = ()
    protected: bool = False


class Meter:
    """Counts what a run does against its permit. `monotonic` is seconds, from anywhere.

    One thread or loop asks; `used` may be read by others.
    """

    def __init__(self, permit: Permit, monotonic: Callable[[], float]) -> None:
        for allowed, limit in (
            (permit.budget.requests, REQUESTS_MAX),
            (permit.budget.seconds, SECONDS_MAX),
            (permit.budget.connections, CONNECTIONS_MAX),
        ):
            if not 0 < allowed <= limit:
                raise Denied(f"a budget of {allowed}, at most {limit}")
        self.permit = permit
        self.requests = 0
        self.connections = 0
        self.connections_most = 0
        self._monotonic = monotonic
        self._began = monotonic()
        self._looked = -_LOOK_SECONDS
        self._over = ""

    def endpoint(self, endpoint: str) -> tuple[str, int]:
        """Address and port of an endpoint of the environment. Raises `Denied`."""
        if endpoint not in self.permit.endpoints:
            raise Denied(f"{endpoint[:80]!r} is not in the record of {self.permit.environment}")
        host, _, port = endpoint.rpartition(":")
        host = host.removeprefix("[").removesuffix("]")
        try:
            ipaddress.ip_address(host)
        except ValueError:
            raise Denied(f"{endpoint[:80]!r} is not an address: names move") from None
        if not port.isdecimal() or not 1 <= int(port) <= 65_535:
            raise Denied(f"{endpoint[:80]!r} has no port")
        return host, int(port)

    def require_safe(self, safe: bool, what: str) -> None:
        """In a protected environment, only what is marked safe. Raises `Denied`."""
        if self.permit.protected and not safe:
            raise Denied(f"{what} is not marked safe, and {self.permit.environment} is protected")

    def take(self, requests: int = 1) -> None:
        """Count requests, before they are sent. Raises `Over`."""
        self.look()
        if self.requests + requests > self.permit.budget.requests:
            self._end(f"the budget of {self.permit.budget.requests} requests is used up")
        self.requests += requests

    def opened(self) -> None:
        """Count a connection, before it is made. Raises `Over`."""
        self.look()
        if self.connections >= self.permit.budget.connections:
            raise Over(f"the budget of {self.permit.budget.connections} connections is used up")
        self.connections += 1
        self.connections_most = max(self.connections_most, self.connections)

    def closed(self) -> None:
        """A connection has ended."""
        self.connections -= 1

    def look(self) -> None:
        """Is there time left, and has nobody stopped the test? Raises `Over`."""
        if self._over:
            raise Over(self._over)
        now = self._monotonic()
        if now - self._began > self.permit.budget.seconds:
            self._end(f"the budget of {self.permit.budget.seconds} seconds is used up")
        if now - self._looked >= _LOOK_SECONDS:
            self._looked = now
            if any(Path(stop).exists() for stop in self.permit.stops):
                self._end("stopped by a person")

    def header(self) -> tuple[str, str]:
        """The header that marks each request."""
        return HEADER, self.permit.run

    def used(self) -> dict[str, int]:
        """What was used, for the evidence."""
        return {"requests": self.requests, "connections": self.connections_most}

    def _end(self, why: str) -> None:
        self._over = why
        raise Over(why)


class Watch:
    """While open, asks whether the run is to stop, and then makes the file that stops it."""

    def __init__(self, stopped: Callable[[], bool], stop: Path) -> None:
        self._stopped = stopped
        self._stop = stop
        self._done = threading.Event()
        self._thread = threading.Thread(target=self._ask, daemon=True)

    def __enter__(self) -> Watch:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._done.set()
        self._thread.join()

    def _ask(self) -> None:
        while not self._done.wait(_ASK_SECONDS):
            if self._stopped():
                with suppress(OSError):
                    self._stop.touch()
                return
