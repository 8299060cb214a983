"""Computes the sensor tables of the image: one curve for each thermistor the product is built with.

A curve maps each of the 65,536 values of the converter to hundredths of a degree, as a signed
16-bit number, so that the device looks a temperature up and computes no logarithm. They are
stored as they are, because the device reads them in place.
"""

from __future__ import annotations

import math
import sys
from array import array

# Name: resistance at 25 degrees in ohm, B value in kelvin.
THERMISTORS = {
    "2k2-3977": (2_200, 3977),
    "5k-3470": (5_000, 3470),
    "10k-3380": (10_000, 3380),
    "10k-3435": (10_000, 3435),
    "10k-3950": (10_000, 3950),
    "47k-3950": (47_000, 3950),
    "100k-3950": (100_000, 3950),
    "100k-4250": (100_000, 4250),
}
STEPS = 65_536
LOWEST, HIGHEST = -6_000, 12_500  # what the service takes, in hundredths of a degree
SERIES_OHM = 10_000
ZERO_KELVIN, ROOM_KELVIN = 273.15, 298.15


def curve(ohm: int, b_kelvin: int) -> bytes:
    """One curve, little-endian: the B equation for a divider with a series resistor."""
    values = array("h", (hundredths(step, ohm, b_kelvin) for step in range(STEPS)))
    if sys.byteorder == "big":
        values.byteswap()
    return values.tobytes()


def hundredths(step: int, ohm: int, b_kelvin: int) -> int:
    """The temperature, in hundredths of a degree, for one value of the converter."""
    measured = SERIES_OHM * (step + 0.5) / (STEPS - step - 0.5)
    inverse = 1 / ROOM_KELVIN + math.log(measured / ohm) / b_kelvin
    # Near either end the equation leaves physics: the inverse falls below zero there.
    kelvin = 1 / inverse if inverse > 0 else math.inf
    return round(max(LOWEST, min(HIGHEST, (kelvin - ZERO_KELVIN) * 100)))
