"""Each device's comfort band, a part of version 2 of the API that ends with migration 0006.

Works before and after that contract step, which runs while this build serves.
"""

from __future__ import annotations

import sqlite3

from thermostat.api_v1 import Context, name
from thermostat.api_v2 import get_comfort
from thermostat.database import columns_of
from thermostat.problem import Problem
from thermostat.server import Answer, Request


async def get(context: Context, request: Request, device: str) -> Answer:
    """The band of humidity, in percent, that a device shows as comfortable; else 410."""
    name(device, "device")

    def exists(connection: sqlite3.Connection) -> bool:
        return bool(columns_of(connection, "comfort"))

    if not await context.database.read(exists):
        raise Problem(
            410,
            "comfort.gone",
            "firmware 1.2 or newer, which has the band in its image",
            "firmware that asks for a comfort band",
            "update the device",
        )
    return await get_comfort(context, request, device)
