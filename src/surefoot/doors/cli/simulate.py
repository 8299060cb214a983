"""`device simulate`: devices of an environment that poll, download, check and report.

Keeps: identifiers and tokens are in a file of its owner alone, so that a run can be repeated; new
devices are enrolled before they poll.
Does not: boot images. The example's device program does.
"""

from __future__ import annotations

import argparse
import json
import os
from pathlib import Path
from typing import Any

import msgspec

from surefoot.core.errors import Failed, Refused
from surefoot.doors.cli import asking, drill, files, show
from surefoot.doors.cli.client import client_for
from surefoot.doors.cli.progress import progress_for
from surefoot.engine.clock import SystemClock
from surefoot.testing import device_simulator as simulator

_TOKEN_BYTES = 24
_COUNT_MAX = 100_000
_AT_ONCE = 1_000


def simulate(options: argparse.Namespace) -> None:
    """Run the devices of a file, made and enrolled first when it does not exist.

    Without an environment: a whole rollout on this machine.
    """
    if not options.name:
        drill.run(options)
        return
    file = Path(options.devices)
    if not file.exists():
        _make(options, file)
    listed = files.read_json(file)
    lives = _lives(file, listed, options)
    run = simulator.Run(
        url=options.url,
        environment=options.name,
        poll_seconds=options.poll_seconds,
        seconds_max=options.seconds,
    )
    progress = progress_for(options.output, f"{len(lives)} devices")
    progress.step(f"{len(lives)} devices poll {options.url} for {options.seconds} s")
    try:
        summary = simulator.run_simulation(run, lives)
    finally:
        progress.end()
    asking.emit(options, msgspec.to_builtins(summary, str_keys=True))
    if summary.polls and not summary.statuses:
        raise Failed(
            "device.simulate.unanswered",
            f"device door {options.url}",
            expected=f"an answer to one of {summary.polls} polls",
            found=summary.trouble[:200] or "none yet",
            remedy="start the server, or name the address that it prints for devices with --url",
        )


def _make(options: argparse.Namespace, file: Path) -> None:
    if not 1 <= options.count <= _COUNT_MAX:
        raise _refused(f"--count from 1 to {_COUNT_MAX}", str(options.count))
    clock = SystemClock()
    listed = [
        {
            "id": f"{options.prefix}-{number:05d}",
            "hardware": options.hardware,
            "token": clock.token(_TOKEN_BYTES).hex(),
        }
        for number in range(1, options.count + 1)
    ]
    handle = os.open(file, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    with os.fdopen(handle, "w", encoding="utf-8") as opened:
        json.dump(listed, opened, indent=1)
    client = client_for(options)
    for start in range(0, len(listed), _AT_ONCE):
        body = {"name": options.name, "devices": listed[start : start + _AT_ONCE]}
        client.ask("POST", "/environments/{name}/devices", body)
    if options.output != "json":
        show.line(f"{len(listed)} devices enrolled in {options.name}; tokens in {file}")


def _lives(file: Path, listed: Any, options: argparse.Namespace) -> list[simulator.SimulatedDevice]:
    try:
        lives = [
            simulator.SimulatedDevice(
                device=entry["id"],
                token=entry["token"],
                hardware=entry.get("hardware", "simulated"),
            )
            for entry in listed
        ]
    except (TypeError, KeyError):
        raise _refused("a list of objects with id and token", f"something else in {file}") from None
    first = 0
    for text in options.behaviour or []:
        kind, _, count = text.partition("=")
        if kind not in simulator.BEHAVIOURS or not count.isdigit():
            raise _refused(
                f"--behaviour KIND=COUNT of {', '.join(simulator.BEHAVIOURS)}", text[:40]
            )
        for life in lives[first : first + int(count)]:
            life.behaviour = kind
        first += int(count)
    return lives


def _refused(expected: str, found: str) -> Refused:
    return Refused(
        "device.simulate.input",
        "simulated devices",
        expected=expected,
        found=found,
        remedy="see: surefoot device simulate --help",
    )
