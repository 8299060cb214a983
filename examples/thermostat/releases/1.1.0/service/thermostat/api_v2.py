"""Version 2 of the API: telemetry with humidity, and the band of humidity that is comfortable."""

from __future__ import annotations

import sqlite3

from thermostat.api_v1 import Context, common, name, number, stored
from thermostat.server import Answer, Request

USUAL_BAND = (40, 60)


async def post_telemetry(context: Context, request: Request) -> Answer:
    """Store one reading; 201 when new, 200 when the same was stored before."""
    content = request.json()
    row = common(content)
    row["temperature"] = number(content, "temperature", -60, 125)
    row["humidity"] = number(content, "humidity", 0, 100)
    return await stored(context, row)


async def get_comfort(context: Context, request: Request, device: str) -> Answer:
    """The band of humidity, in percent, that a device shows as comfortable."""
    name(device, "device")

    def read(connection: sqlite3.Connection) -> tuple[int, int]:
        row = connection.execute(
            "SELECT humidity_low, humidity_high FROM comfort WHERE device = ?", (device,)
        ).fetchone()
        return USUAL_BAND if row is None else (int(row[0]), int(row[1]))

    low, high = await context.database.read(read)
    return 200, {"device": device, "humidity_low": low, "humidity_high": high}
