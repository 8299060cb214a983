"""`device set-certificate`, `device set-issuers`: certificates come from files."""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import Any

from surefoot.doors.cli import asking, files
from surefoot.doors.cli.client import client_for


def set_certificate(options: argparse.Namespace) -> None:
    """Bind a device to one certificate."""
    _put(options, "certificate")


def set_issuers(options: argparse.Namespace) -> None:
    """Say whose certificates are believed."""
    _put(options, "certificates")


def _put(options: argparse.Namespace, member: str) -> None:
    typed: dict[str, Any] = asking.given(options)
    if typed.pop("file", ""):
        typed[member] = files.read(Path(options.file)).decode("ascii", "replace")
    body = {name: value for name, value in typed.items() if value is not False}
    answer = client_for(options).ask(options.command.method, options.command.path, body)
    asking.emit(options, answer)
