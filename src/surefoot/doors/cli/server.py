"""`server run`, `server door`: serve until a signal; say the addresses once, when they answer."""

from __future__ import annotations

import argparse
import json

from surefoot.doors import serve
from surefoot.doors.cli import compose, show


def run(options: argparse.Namespace) -> None:
    """Serve until SIGTERM or SIGINT."""
    serve.log_to_standard_error(options.log_level)
    folder = compose.data_folder(options.data)

    def ready(addresses: dict[str, str]) -> None:
        if options.output == "json":
            print(json.dumps(addresses), flush=True)
            return
        show.line("surefoot serves " + ", ".join(f"{k} {v}" for k, v in addresses.items()))
        show.flush()

    compose.load("house").run(
        folder,
        options.listen,
        options.devices,
        options.socket or "",
        secure=options.behind_tls,
        on_ready=ready,
    )


def door(options: argparse.Namespace) -> None:
    """Answer devices alone, until SIGTERM or SIGINT."""
    serve.log_to_standard_error(options.log_level)

    def ready(address: str) -> None:
        if options.output == "json":
            print(json.dumps({"devices": address}), flush=True)
            return
        show.line(f"surefoot serves devices {address}")
        show.flush()

    compose.load("door").run(compose.data_folder(options.data), options.devices, ready)
