"""Reads the sensor and turns what the converter says into thousandths of a degree.

The hardware is the file hardware.json in the device's folder: which thermistor is fitted, the
room, and the converter's readings, newest last. Counts readings in the file `sequence`, written
durably before it is used, so that a number never stands for two readings.
"""

import json
import os
import sys
import zipimport


class Trouble(Exception):
    """The sensor cannot be read; the message is one line."""


def entry(name: str) -> bytes:
    """A file of the image this program runs from."""
    image = sys.path[0]
    return zipimport.zipimporter(image).get_data(os.path.join(image, name))


def hardware(folder: str) -> dict:
    """What is fitted and what it measured. Raises `Trouble`."""
    try:
        with open(os.path.join(folder, "hardware.json"), "rb") as file:
            found = json.loads(file.read(65536))
        if not found["readings"] or not found["room"]:
            raise ValueError("no readings")
    except (OSError, ValueError, KeyError) as error:
        raise Trouble(f"sensor: cannot be read: {error}") from None
    return found


def milli_celsius(fitted: dict, steps: list) -> list:
    """Thousandths of a degree for values of the converter, by the fitted thermistor's curve."""
    try:
        curve = entry(f"curve-{fitted['curve']}.bin")
    except OSError:
        raise Trouble(f"sensor: no curve for thermistor {fitted['curve']!r}") from None
    places = [(2 * step, 2 * step + 2) for step in steps]
    return [10 * int.from_bytes(curve[a:b], "little", signed=True) for a, b in places]


def next_sequence(folder: str) -> int:
    """A number that was never given before, also after a power cut."""
    path = os.path.join(folder, "sequence")
    try:
        with open(path) as file:
            number = int(file.read()) + 1
    except FileNotFoundError:
        number = 0
    with open(path + ".new", "w") as file:
        file.write(str(number))
        file.flush()
        os.fsync(file.fileno())
    os.replace(path + ".new", path)
    return number
