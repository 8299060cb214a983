"""Runs gates again and again against what environments run, and writes down what they found.

Keeps: one look at a time in a process, and at one gate of an environment in all processes (a
lease); a look that could not be made is written down as an error, never skipped in silence; what
was looked at while a deployment began is thrown away. Whatever a gate raises is an error of that
look, and stops no other; a look whose result could not be kept waits a minute. A crash here leaves
a lease that ends by itself, and the look is made again. Does not: stop or change anything in an
environment.
"""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable, Mapping

import msgspec

from surefoot.core import watch
from surefoot.core.errors import SurefootError
from surefoot.core.facts_gate import GateWatched
from surefoot.core.gate import Evidence, judge
from surefoot.core.target import Blobs
from surefoot.core.world import World
from surefoot.engine.clock import Clock
from surefoot.engine.effects import draft
from surefoot.journal.log import Log
from surefoot.store.lease import Leases
from surefoot.trust.digest import Digest
from surefoot.trust.entry import Actor

_log = logging.getLogger("surefoot.watch")

LEASE_MS = 600_000
_REASON_MAX = 900

Look = Callable[[str, Digest], Evidence]
"""Looks at an environment that runs a release (its manifest). May raise `SurefootError`."""


class Watcher:
    """See the module. `run` may be called as often as one likes; it never waits for a look."""

    def __init__(
        self,
        log: Log[World],
        blobs: Blobs,
        looks: Mapping[str, Look],
        leases: Leases,
        clock: Clock,
        *,
        worker: str,
        actor: Actor,
    ) -> None:
        self._log = log
        self._blobs = blobs
        self._looks = looks
        self._leases = leases
        self._clock = clock
        self._worker = worker
        self._actor = actor
        self._stop = threading.Event()
        self._thread: threading.Thread | None = None
        self._again_ms: dict[tuple[str, str], int] = {}

    def run(self) -> None:
        """Begin the looks that are due, in a thread of their own."""
        if self._thread is not None and self._thread.is_alive():
            return
        wanted = self._due()
        if wanted and not self._stop.is_set():
            self._thread = threading.Thread(
                target=self._make, args=(wanted,), name="watch", daemon=True
            )
            self._thread.start()

    def stop(self) -> None:
        """Make no further look; wait for the one under way."""
        self._stop.set()
        if self._thread is not None:
            self._thread.join(timeout=60)

    def look(self, environment: str, gate: str) -> GateWatched | None:
        """One look now; None when another process makes it or the environment moved on."""
        name = f"watch/{environment}/{gate}"
        fence = self._leases.acquire(name, self._worker, self._clock.now_ms(), LEASE_MS)
        if fence is None:
            return None
        try:
            return self._look(environment, gate)
        finally:
            self._leases.release(name, self._worker, fence)

    def _due(self) -> list[tuple[str, str]]:
        """What is due and was not tried a moment ago: one whose result cannot be kept, too."""
        now_ms = self._clock.now_ms()
        found = self._log.read(lambda w: watch.due(w, now_ms))
        return [each for each in found if now_ms >= self._again_ms.get(each, 0)]

    def _make(self, wanted: list[tuple[str, str]]) -> None:
        for environment, gate in wanted:
            # Another process may have looked, or a deployment begun, since the list was made.
            if self._stop.is_set() or (environment, gate) not in self._due():
                continue
            self._again_ms[environment, gate] = self._clock.now_ms() + watch.MINUTE_MS
            try:
                found = self.look(environment, gate)
            except SurefootError as error:
                _log.error("look of %s at %s: %s", gate, environment, error)
                continue
            if found is not None and found.verdict != "pass":
                _log.warning("%s: %s: %s", environment, gate, found.reason)

    def _look(self, environment: str, gate: str) -> GateWatched | None:
        release = Digest(self._log.read(lambda w: w.environments[environment].release))
        evidence = self._evidence(environment, gate, release)
        kept = self._blobs.put(msgspec.json.encode(evidence))
        found = judge(evidence, release)
        fact = GateWatched(
            environment=environment,
            gate=gate,
            release=release,
            verdict=found.verdict,
            reason=found.reason[:_REASON_MAX],
            evidence=kept,
            found=watch.found_by(evidence),
        )
        receipt = self._log.transact(
            lambda w: [draft(each, (kept,)) for each in watch.record(w, fact)],
            self._actor,
            f"watch {environment}/{gate}",
        )
        return None if receipt is None else fact

    def _evidence(self, environment: str, gate: str, release: Digest) -> Evidence:
        began_ms = self._clock.now_ms()
        try:
            found = self._looks[gate](environment, release)
            msgspec.json.encode(found)  # names of files may be no text
            return found
        except Exception as error:  # noqa: BLE001 -- whatever ends a look is what it found
            # What runs there can be made to break a gate; unseen, it would stop all other looks.
            trouble = str(error)
            if not isinstance(error, SurefootError):
                _log.exception("look of %s at %s", gate, environment)
                trouble = f"the look broke off: {type(error).__name__}"
            return Evidence(
                gate=gate,
                subject=release,
                tool="surefoot",
                tool_version="1",
                started_at_ms=began_ms,
                ended_at_ms=self._clock.now_ms(),
                trouble=trouble[:_REASON_MAX],
            )
