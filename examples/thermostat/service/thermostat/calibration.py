"""Each device's calibration, a part of version 1 of the API.

Firmware 1.0 asks for it before each reading; it is no use without the answer.
"""

from __future__ import annotations

import sqlite3

from thermostat.api_v1 import Context, name
from thermostat.server import Answer, Request


async def get(context: Context, request: Request, device: str) -> Answer:
    """What this device's sensor reads too little, in thousandths of a degree."""
    name(device, "device")

    def read(connection: sqlite3.Connection) -> int:
        row = connection.execute("SELECT * FROM device WHERE device = ?", (device,)).fetchone()
        return 0 if row is None else int(row["calibration_milli"])

    return 200, {"device": device, "milli_celsius": await context.database.read(read)}
