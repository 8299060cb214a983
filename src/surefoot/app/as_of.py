"""The installation as it was at one moment, read from the states that entries commit to.

Keeps: a past answer comes from the state blob of each stream's last entry up to the moment, never
from today's world; of today's world only the names are taken, as places to look, since a stream
once begun is there for ever. Without a moment it is the present world.
Does not: answer about the future, or decide what an answer shows.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import TypeVar

import msgspec

from surefoot.app.facade import App
from surefoot.app.moment import parse_moment
from surefoot.core import environment as environments
from surefoot.core.errors import Refused
from surefoot.core.target import Plain
from surefoot.core.world import (
    DefinitionState,
    Deployment,
    DeviceBooks,
    Environment,
    People,
    Release,
    RootState,
    World,
)
from surefoot.trust.entry import Entry, text_of_time

S = TypeVar("S")


def past_moment(app: App, at: str) -> int:
    """The moment in UTC milliseconds. Raises `Refused("time.future.input")`, as `parse_moment`."""
    moment = parse_moment(at)
    now = app.clock.now_ms()
    if moment > now:
        raise Refused(
            "time.future.input",
            f"time {at[:40]!r}",
            expected=f"a time up to now, {text_of_time(now)}",
            found=text_of_time(moment),
            remedy="ask about a time that has been",
        )
    return moment


class AsOf:
    """See the module. Each method reads for itself; no lock is held between two of them."""

    def __init__(self, app: App, at: str = "") -> None:
        self._app = app
        self.now = not at
        self.at_ms = past_moment(app, at) if at else app.clock.now_ms()

    def entry(self, stream: str) -> Entry | None:
        """The stream's last entry up to the moment."""
        return self._app.log.entry_at(stream, self.at_ms)

    def state(self, stream: str) -> Plain | None:
        """The stream's complete state; None when it had not begun."""
        if self.now:
            return self._app.read(lambda w: w.state(stream)) or None
        found = self._app.log.state_at(stream, self.at_ms)
        return found[1] if found else None

    def _read(self, stream: str, kind: type[S]) -> S | None:
        state = self.state(stream)
        return None if state is None else msgspec.convert(state, kind)

    def people(self) -> People:
        """Everybody enrolled."""
        return self._read("people", People) or People()

    def definition(self) -> DefinitionState:
        """The rules in force."""
        return self._read("definition", DefinitionState) or DefinitionState()

    def root(self) -> RootState:
        """The newest root.json."""
        return self._read("root", RootState) or RootState()

    def environment(self, name: str) -> Environment | None:
        """An environment. Raises `Refused("environment.unknown")` for one that is not there now."""
        if self.now:
            self._app.read(lambda w: environments.find(w, name))
        return self._read(f"env/{name}", Environment)

    def names(self) -> list[str]:
        """Names of all environments, in the order they were declared."""
        names = self._app.read(lambda w: list(w.environments))
        return [n for n in names if self.now or self.entry(f"env/{n}") is not None]

    def environments(self) -> list[Environment]:
        """All environments, in the order they were declared."""
        found = (self._read(f"env/{name}", Environment) for name in self.names())
        return [each for each in found if each is not None]

    def devices(self, environment: str) -> DeviceBooks | None:
        """The sealed counters of an environment's devices."""
        return self._read(f"devices/{environment}", DeviceBooks)

    def release(self, version: str) -> Release | None:
        """A release by version or digest."""
        digests = self._app.read(lambda w: {r.digest: r.version for r in w.releases.values()})
        return self._read(f"release/{digests.get(version, version)}", Release)  # type: ignore[call-overload]

    def releases(self) -> Iterator[Release]:
        """All releases, newest first."""
        versions = self._app.read(
            lambda w: [
                r.version for r in sorted(w.releases.values(), key=lambda r: -r.registered_ms)
            ]
        )
        for version in versions:
            found = self._read(f"release/{version}", Release)
            if found is not None:
                yield found

    def deployment(self, number: int) -> Deployment | None:
        """A deployment by its number."""
        return self._read(f"deployment/{number}", Deployment)

    def deployments(self, environment: str = "", before: int = 2**31) -> Iterator[Deployment]:
        """Deployments below a number, newest first; of one environment, when it is named."""
        numbers = self._app.read(
            lambda w: [
                number
                for number, d in sorted(w.deployments.items(), reverse=True)
                if number < before
                and environment in ("", d.environment)
                and d.requested_ms <= self.at_ms
            ]
        )
        for number in numbers:
            found = self.deployment(number)
            if found is not None:
                yield found

    def active(self, environment: str) -> Deployment | None:
        """The deployment that held an environment: the newest one, if it had not ended."""
        newest = next(self.deployments(environment), None)
        return newest if newest is not None and not newest.ended_ms else None

    def world(self, deployment: Deployment | None = None) -> World:
        """A world for rules: people, definition, environments; a deployment with its devices."""
        world = World()
        world.people, world.definition = self.people(), self.definition()
        world.environments = {each.name: each for each in self.environments()}
        if deployment is not None:
            world.deployments = {deployment.number: deployment}
            books = self.devices(deployment.environment)
            world.devices = {deployment.environment: books} if books else {}
        return world
