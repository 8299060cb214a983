"""Version 1 of the API: telemetry and set points. Later versions build on these functions."""

from __future__ import annotations

import hashlib
import hmac
import math
import re
import sqlite3
import time
from dataclasses import dataclass

from thermostat.configuration import Configuration
from thermostat.database import Database
from thermostat.problem import Problem, shown
from thermostat.server import Answer, Request

NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,63}")
DEFAULT_CELSIUS = 20.0
SEQUENCE_MAX = 2**53


@dataclass(frozen=True)
class Context:
    """What every endpoint gets."""

    database: Database
    configuration: Configuration


async def post_telemetry(context: Context, request: Request) -> Answer:
    """Store one reading; 201 when new, 200 when the same was stored before."""
    content = request.json()
    row = common(content)
    row["temperature"] = number(content, "temperature", -60, 125)
    return await stored(context, row)


async def get_setpoint(context: Context, request: Request, device: str) -> Answer:
    """The set point of a device, with the tag that a change of it must quote."""
    name(device, "device")
    celsius = await context.database.read(lambda connection: _celsius(connection, device))
    return 200, {
        "device": device,
        "celsius": celsius,
        "sample_seconds": context.configuration.sample_seconds,
        "tag": _tag(context, device, celsius),
    }


async def put_setpoint(context: Context, request: Request, device: str) -> Answer:
    """Change a set point that nobody changed since it was read (`If-Match` with its tag)."""
    name(device, "device")
    celsius = number(request.json(), "celsius", 5, 30)
    quoted = request.headers.get("if-match", "").strip('"')

    def change(connection: sqlite3.Connection) -> None:
        if not hmac.compare_digest(quoted, _tag(context, device, _celsius(connection, device))):
            raise Problem(
                412,
                "setpoint.tag",
                "If-Match with the tag of the set point as it is now",
                shown(quoted),
                "read the set point again, then send its tag",
            )
        connection.execute(
            "INSERT INTO setpoint (device, celsius, changed_ms) VALUES (?, ?, ?)"
            " ON CONFLICT (device) DO UPDATE"
            " SET celsius = excluded.celsius, changed_ms = excluded.changed_ms",
            (device, celsius, now_ms()),
        )

    await context.database.write(change)
    return 200, {"device": device, "celsius": celsius, "tag": _tag(context, device, celsius)}


async def stored(context: Context, row: dict[str, object]) -> Answer:
    """Commit one reading, known by (device, sequence). Raises `Problem` 409."""
    row = {**row, "received_ms": now_ms()}
    new = await context.database.write(lambda connection: _insert(connection, row))
    return 201 if new else 200, {"device": row["device"], "sequence": row["sequence"]}


def common(content: dict[str, object]) -> dict[str, object]:
    """The fields that every version of telemetry has. Raises `Problem` 422."""
    sequence = content.get("sequence")
    if (
        not isinstance(sequence, int)
        or isinstance(sequence, bool)
        or not 0 <= sequence < SEQUENCE_MAX
    ):
        raise _unfit("sequence", "a whole number from 0", sequence)
    room = content.get("room")
    if not isinstance(room, str) or not 1 <= len(room) <= 64:
        raise _unfit("room", "a text of 1 to 64 characters", room)
    return {"device": name(content.get("device"), "device"), "sequence": sequence, "room": room}


def name(value: object, key: str) -> str:
    """A device's name. Raises `Problem` 422."""
    if not isinstance(value, str) or not NAME.fullmatch(value):
        raise _unfit(key, "1 to 64 letters, digits, '.', '_' or '-'", value)
    return value


def number(content: dict[str, object], key: str, lowest: float, highest: float) -> float:
    """A finite number within limits. Raises `Problem` 422."""
    value = content.get(key)
    fits = isinstance(value, int | float) and not isinstance(value, bool)
    if not fits or not math.isfinite(value) or not lowest <= value <= highest:  # type: ignore
        raise _unfit(key, f"a number from {lowest} to {highest}", value)
    return float(value)  # type: ignore[arg-type]


def now_ms() -> int:
    """Milliseconds since 1970, UTC."""
    return time.time_ns() // 1_000_000


def _unfit(key: str, expected: str, value: object) -> Problem:
    return Problem(422, f"field.{key}", expected, shown(value), f"correct {key}")


def _insert(connection: sqlite3.Connection, row: dict[str, object]) -> bool:
    key = (row["device"], row["sequence"])
    old = connection.execute(
        "SELECT * FROM telemetry WHERE device = ? AND sequence = ?", key
    ).fetchone()
    if old is not None:
        if any(old[column] != row[column] for column in row if column != "received_ms"):
            raise Problem(
                409,
                "telemetry.sequence",
                "a sequence number used once, or the same reading",
                shown(key),
                "count up for every reading and keep the count over restarts",
            )
        return False
    connection.execute(
        "INSERT INTO device (device, first_seen_ms) VALUES (?, ?) ON CONFLICT (device) DO NOTHING",
        (row["device"], row["received_ms"]),
    )
    # The names are the code's own, never a client's: `row` is built by the endpoints.
    columns, marks = ", ".join(row), ", ".join("?" * len(row))
    connection.execute(f"INSERT INTO telemetry ({columns}) VALUES ({marks})", tuple(row.values()))
    return True


def _celsius(connection: sqlite3.Connection, device: str) -> float:
    row = connection.execute("SELECT celsius FROM setpoint WHERE device = ?", (device,)).fetchone()
    return DEFAULT_CELSIUS if row is None else float(row["celsius"])


def _tag(context: Context, device: str, celsius: float) -> str:
    text = f"{device}\n{celsius!r}".encode()
    return hmac.new(context.configuration.session_key, text, hashlib.sha256).hexdigest()[:32]
