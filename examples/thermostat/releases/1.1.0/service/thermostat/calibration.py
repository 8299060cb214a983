"""Each device's calibration, a part of version 1 of the API that ends with migration 0004.

Works before and after that contract step, which runs while this build serves.
"""

from __future__ import annotations

import sqlite3

from thermostat.api_v1 import Context, name
from thermostat.database import columns_of
from thermostat.problem import Problem
from thermostat.server import Answer, Request


async def get(context: Context, request: Request, device: str) -> Answer:
    """What this device's sensor reads too little, in thousandths of a degree; else 410."""
    name(device, "device")

    def read(connection: sqlite3.Connection) -> int:
        if "calibration_milli" not in columns_of(connection, "device"):
            raise Problem(
                410,
                "calibration.gone",
                "firmware 1.1 or newer, which knows its own sensor",
                "firmware that asks for a calibration",
                "update the device",
            )
        row = connection.execute("SELECT * FROM device WHERE device = ?", (device,)).fetchone()
        return 0 if row is None else int(row["calibration_milli"])

    return 200, {"device": device, "milli_celsius": await context.database.read(read)}
