"""The loop: finds deployments that can go on, holds a lease for each, and carries them forward.

Keeps: one worker per environment at a time (a lease row with a time to live); no thread waits for a
person; what is waited for is asked again when the journal grows, and once a second for time itself.
A crash here loses nothing: the next loop finds the claim and looks.
"""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable

from surefoot.core.errors import Corrupt, Refused, SurefootError
from surefoot.core.world import World
from surefoot.engine.clock import Clock
from surefoot.engine.effects import Effects
from surefoot.journal.log import Log
from surefoot.store.lease import Leases

_log = logging.getLogger("surefoot.engine")

LEASE_SECONDS = 30


class Engine:
    """Runs effects in the background until stopped."""

    def __init__(
        self,
        log: Log[World],
        effects: Effects,
        leases: Leases,
        clock: Clock,
        worker: str,
        *,
        seal_devices: Callable[[], object] = lambda: None,
        beat_seconds: float = 300.0,
        lease_seconds: float = LEASE_SECONDS,
    ) -> None:
        self._log = log
        self._effects = effects
        self._leases = leases
        self._clock = clock
        self._worker = worker
        self._seal_devices = seal_devices
        self._beat_ms = int(beat_seconds * 1000)
        self._lease_ms = int(lease_seconds * 1000)
        self._stop = threading.Event()
        self._running: dict[str, threading.Thread] = {}
        self._thread = threading.Thread(target=self._loop, name="engine", daemon=True)

    def start(self) -> None:
        """Begin in a thread of its own."""
        self._thread.start()

    def stop(self) -> None:
        """Stop after the effects under way; a step that is cut off is found again later."""
        self._stop.set()
        self._thread.join(timeout=120)
        for thread in list(self._running.values()):
            thread.join(timeout=120)

    def _loop(self) -> None:
        last_beat, told = self._clock.now_ms(), ""
        while not self._stop.is_set():
            try:
                size = self._log.size()
                # A full disk or an alarm stops work before it begins; it goes on by itself.
                self._log.check_writable()
                self._seal_devices()
                self._dispatch()
                if self._clock.now_ms() - last_beat > self._beat_ms:
                    self._log.heartbeat()
                    last_beat = self._clock.now_ms()
                self._log.wait_for_change(size, 0.5)
                told = ""
            except SurefootError as error:
                if error.code != told:
                    _log.error("engine: %s", error)
                told = error.code
                self._stop.wait(1.0)
            except Exception:  # noqa: BLE001 -- the thread's last place, told in the log
                # A mistake of ours: a loop that ended would leave doors that promise work.
                _log.exception("engine")
                self._stop.wait(1.0)

    def _dispatch(self) -> None:
        active = self._log.read(
            lambda w: {d.environment: d.number for d in w.deployments.values() if not d.ended_ms}
        )
        for environment, number in active.items():
            thread = self._running.get(environment)
            if thread is not None and thread.is_alive():
                continue
            # Looking costs nothing; taking and giving back a lease is two durable writes.
            if self._effects.look(number).what == "wait":
                continue
            thread = threading.Thread(
                target=self._carry,
                args=(environment, number),
                name=f"deploy-{environment}",
                daemon=True,
            )
            self._running[environment] = thread
            thread.start()

    def _carry(self, environment: str, number: int) -> None:
        """Carry one deployment forward until it waits or ends, under the environment's lease."""
        name = f"environment/{environment}"
        try:
            fence = self._leases.acquire(name, self._worker, self._clock.now_ms(), self._lease_ms)
        except SurefootError as error:
            _log.error("lease of %s: %s", name, error)
            return
        if fence is None:
            return
        keeper = _Keeper(self._leases, self._clock, name, self._worker, fence, self._lease_ms)
        keeper.start()
        try:
            while not self._stop.is_set() and not keeper.lost.is_set():
                found = self._effects.advance(number)
                if found.what in ("wait", "finish"):
                    return
        except Refused as refused:
            _log.warning("deployment %d: %s", number, refused)
        except Corrupt as corrupt:
            _log.error("deployment %d stopped: %s", number, corrupt)
        except SurefootError as error:
            _log.error("deployment %d: %s", number, error)
        finally:
            keeper.stop()


class _Keeper:
    """Renews a lease while an effect takes its time."""

    def __init__(
        self, leases: Leases, clock: Clock, name: str, worker: str, fence: int, lease_ms: int
    ) -> None:
        self._leases, self._clock, self._lease_ms = leases, clock, lease_ms
        self._name, self._worker, self._fence = name, worker, fence
        self._done = threading.Event()
        self.lost = threading.Event()
        self._thread = threading.Thread(target=self._renew, name="lease", daemon=True)

    def start(self) -> None:
        self._thread.start()

    def stop(self) -> None:
        self._done.set()
        self._thread.join(timeout=10)
        try:
            self._leases.release(self._name, self._worker, self._fence)
        except SurefootError as error:
            # The store does not answer: the lease ends by itself.
            _log.error("lease of %s: %s", self._name, error)

    def _renew(self) -> None:
        while not self._done.wait(self._lease_ms / 3000):
            if not self._renewed():
                self.lost.set()
                return

    def _renewed(self) -> bool:
        now_ms = self._clock.now_ms()
        try:
            return self._leases.renew(self._name, self._worker, self._fence, now_ms, self._lease_ms)
        except SurefootError as error:
            _log.error("lease of %s: %s", self._name, error)
            return False
