"""Version 3 of the API: telemetry that may be the mean of several readings, in either unit."""

from __future__ import annotations

from thermostat.api_v1 import Context, common, number
from thermostat.api_v1 import stored as store
from thermostat.problem import Problem, shown
from thermostat.server import Answer, Request

READINGS_MAX = 60


async def post_telemetry(context: Context, request: Request) -> Answer:
    """Store one reading, in degrees Celsius; 201 when new, 200 when it was stored before."""
    content = request.json()
    row = common(content)
    row["temperature"] = _celsius(content)
    row["humidity"] = number(content, "humidity", 0, 100)
    row["readings"] = int(number(content, "readings", 1, READINGS_MAX))
    return await store(context, row)


def _celsius(content: dict[str, object]) -> float:
    unit = content.get("unit")
    if unit == "celsius":
        return number(content, "temperature", -60, 125)
    if unit == "fahrenheit":
        return round((number(content, "temperature", -76, 257) - 32) / 1.8, 3)
    raise Problem(422, "field.unit", "celsius or fahrenheit", shown(unit), "correct unit")
