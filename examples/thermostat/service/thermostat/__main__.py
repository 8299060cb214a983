"""Starts the service; ends in order on SIGTERM or SIGINT.

Exit status: 0 after a stop in order, 3 when it cannot start with what it was given.
"""

from __future__ import annotations

import argparse
import asyncio
import signal
import sys
from pathlib import Path

from thermostat import configuration
from thermostat.api_v1 import Context
from thermostat.application import Application
from thermostat.database import Database
from thermostat.schema import NEEDED
from thermostat.server import Server
from thermostat.version import VERSION

GRACE_SECONDS = 5.0


def main() -> int:
    """Parse the command line and serve until told to stop."""
    parser = argparse.ArgumentParser(prog="thermostat", description=__doc__)
    parser.add_argument("--listen", required=True, help="unix:PATH or tcp:127.0.0.1:PORT")
    parser.add_argument("--config", required=True, type=Path, help="values and database, JSON")
    parser.add_argument("--secrets", required=True, type=Path, help="secrets, JSON")
    given = parser.parse_args()
    try:
        settings = configuration.read(given.config, given.secrets)
        database = Database(settings.database, NEEDED)
        asyncio.run(_serve(given.listen, Context(database, settings)))
    except (configuration.Unusable, ValueError, OSError) as error:
        print(f"thermostat {VERSION}: cannot start: {error}", file=sys.stderr)
        return 3
    return 0


async def _serve(listen: str, context: Context) -> None:
    server = Server(Application(context).answer)
    told = asyncio.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        asyncio.get_running_loop().add_signal_handler(number, told.set)
    address = await server.start(listen)
    print(f"thermostat {VERSION}: listening on {address}", flush=True)
    await told.wait()
    await server.stop(GRACE_SECONDS)
    context.database.close()


sys.exit(main())
