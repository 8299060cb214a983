"""The health check of a generation, over its own socket, before any client reaches it."""

from __future__ import annotations

import http.client
import socket
import time
from pathlib import Path
from typing import Any

from surefoot.core.target import Outcome
from surefoot.targets.keeper import control
from surefoot.targets.keeper.proc import connect_unix
from surefoot.targets.process_words import Check

_ONE_TRY_SECONDS = 5.0
_NEVER_ENDED = -1000


class _Connection(http.client.HTTPConnection):
    """HTTP to a generation's address, which may be a unix socket below its folder."""

    def __init__(self, folder: Path, address: str, timeout_seconds: float) -> None:
        super().__init__("localhost", timeout=timeout_seconds)
        self._folder = folder
        self._address = address
        self._seconds = timeout_seconds

    def connect(self) -> None:
        """Called by the base class."""
        kind, _, place = self._address.partition(":")
        if kind == "unix":
            self.sock = connect_unix(
                self._folder / Path(place).parent, "service.sock", self._seconds
            )
        else:
            host, _, port = place.rpartition(":")
            self.sock = socket.create_connection((host, int(port)), self._seconds)


def answers(folder: Path, check: Check) -> Outcome:
    """Ask until the path answers 2xx; failed when the time runs out or the process ends."""
    began = time.monotonic()
    attempts, found, pause = 0, "no answer", 0.02
    while (left := began + check.health.timeout_seconds - time.monotonic()) > 0:
        attempts += 1
        now = control.ask(folder, {"do": "status"})["generations"].get(check.generation)
        if now is None or not now["running"]:
            return _failed(folder, check, _how_it_ended(now), began, attempts)
        tried = _one_try(folder, now, check, min(left, _ONE_TRY_SECONDS))
        if not tried:
            return Outcome(status="done", figures=_figures(began, attempts))
        # The last try may be cut short: an answer before it says more.
        found = tried if tried != "TimeoutError" or not found.startswith("status") else found
        time.sleep(min(pause, max(left, 0.0)))
        pause = min(pause * 1.5, 0.5)
    return _failed(folder, check, found, began, attempts)


def _one_try(folder: Path, now: dict[str, Any], check: Check, seconds: float) -> str:
    """Empty when healthy, else what was found."""
    connection = _Connection(folder, str(now["address"]), seconds)
    try:
        connection.request("GET", check.health.path, headers={"Connection": "close"})
        status = connection.getresponse().status
    except (OSError, http.client.HTTPException) as trouble:
        return type(trouble).__name__
    finally:
        connection.close()
    return "" if 200 <= status < 300 else f"status {status}"


def _how_it_ended(now: dict[str, Any] | None) -> str:
    if now is None:
        return "no such generation"
    status = int(now["exit_status"])
    return "the process is not running" if status == _NEVER_ENDED else f"exit status {status}"


def _figures(began: float, attempts: int) -> dict[str, Any]:
    return {"attempts": attempts, "milliseconds": round((time.monotonic() - began) * 1000)}


def _failed(folder: Path, check: Check, found: str, began: float, attempts: int) -> Outcome:
    # From the data folder: targets/ENVIRONMENT/process/COMPONENT.
    log = Path(*folder.parts[-4:], "generations", check.generation, "output.log")
    reason = (
        f"{folder.name} did not become healthy: expected 2xx from {check.health.path} within "
        f"{check.health.timeout_seconds} s; found {found}; see {log} [target.check.failed]"
    )
    return Outcome(status="failed", reason=reason, figures=_figures(began, attempts))
