"""`device enrol`: one device, or a file of them; `device tag`: several at once."""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import Any

from surefoot.core.errors import Refused
from surefoot.doors.cli import asking, files
from surefoot.doors.cli.client import client_for

_AT_ONCE = 1_000


def enrol(options: argparse.Namespace) -> None:
    """Admit devices, in portions that a request can hold."""
    client = client_for(options)
    devices = _devices(options)
    enrolled = 0
    for start in range(0, len(devices), _AT_ONCE):
        body = {"name": options.name, "devices": devices[start : start + _AT_ONCE]}
        answer = client.ask(options.command.method, options.command.path, body)
        enrolled += int(answer.get("enrolled", 0))
    asking.emit(options, {"environment": options.name, "enrolled": enrolled})


def _devices(options: argparse.Namespace) -> list[Any]:
    if options.devices:
        value = files.read_json(Path(options.devices))
        if isinstance(value, list) and value:
            return value
        raise _refused("a list of devices, each with id, hardware and token", "something else")
    if not (options.device and options.token_file):
        raise _refused("a device and --token-file, or --devices FILE", "neither")
    token = files.read(Path(options.token_file)).decode("utf-8", "replace").strip()
    return [{"id": options.device, "hardware": options.hardware, "token": token}]


def tag(options: argparse.Namespace) -> None:
    """Add tags to devices and remove others; several tags stand between commas."""
    body: dict[str, Any] = {"name": options.name, "query": options.query}
    body["devices"] = options.devices
    for words in ("add", "remove"):
        body[words] = [t.strip() for t in getattr(options, words).split(",") if t.strip()]
    answer = client_for(options).ask(options.command.method, options.command.path, body)
    asking.emit(options, answer)


def _refused(expected: str, found: str) -> Refused:
    return Refused(
        "device.list.input",
        "devices",
        expected=expected,
        found=found,
        remedy="see: surefoot device enrol --help",
    )
