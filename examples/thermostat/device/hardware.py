"""The sensor of a simulated device: a thermistor, a converter, a room that warms and cools.

The only simulated part of a device: what its converter measures. It knows nothing of versions
or updates.
"""

from __future__ import annotations

import json
import math
import os
import random
from pathlib import Path

ROOMS = ("hall", "kitchen", "office", "bedroom", "workshop")
THERMISTORS = {"10k-3950": (10_000, 3950), "10k-3435": (10_000, 3435), "47k-3950": (47_000, 3950)}
READINGS = 10


class Sensor:
    """Writes hardware.json; the same device name gives the same fitting and the same walk."""

    def __init__(self, folder: Path, device: str) -> None:
        self._path = folder / "hardware.json"
        self._random = random.Random(device)
        self._curve = self._random.choice(sorted(THERMISTORS))
        self._room = self._random.choice(ROOMS)
        self._celsius = self._random.uniform(17, 24)
        self._readings: list[tuple[int, int]] = []
        for _ in range(READINGS):
            self.measure()

    def measure(self) -> None:
        """Take one more reading: the converter's values for temperature and humidity."""
        self._celsius += self._random.uniform(-0.2, 0.2) + (21 - self._celsius) / 50
        humidity = round(65_535 * self._random.uniform(0.4, 0.6))
        self._readings = [*self._readings, (self._steps(), humidity)][-READINGS:]

    def write(self) -> None:
        """Let the program see the readings."""
        content = {"curve": self._curve, "room": self._room, "readings": self._readings}
        beside = self._path.with_suffix(".new")
        beside.write_text(json.dumps(content))
        os.replace(beside, self._path)

    def _steps(self) -> int:
        ohm, b_kelvin = THERMISTORS[self._curve]
        measured = ohm * math.exp(b_kelvin * (1 / (self._celsius + 273.15) - 1 / 298.15))
        return int(65_536 * measured / (measured + 10_000))
