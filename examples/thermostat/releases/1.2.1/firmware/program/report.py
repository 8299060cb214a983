"""Sends a reading with version 3 of the API: the mean over one minute."""

import panel
import sensor

CONVERTER_MAX = 65_535


def send(service, device, folder, health):
    """Send what was measured in the last minute, which may be several readings."""
    fitted = sensor.hardware(folder)
    setpoint = service.get(f"/v3/setpoint/{device}")
    newest = fitted["readings"][-max(1, 60 // setpoint["sample_seconds"]) :]
    steps = [step for step, _ in newest]
    milli = sensor.milli_celsius(fitted, steps)
    humidity = round(100 * newest[-1][1] / CONVERTER_MAX, 1)
    temperature, unit = mean(milli)
    reading = {
        "device": device,
        "sequence": sensor.next_sequence(folder),
        "temperature": temperature,
        "unit": unit,
        "humidity": humidity,
        "readings": len(newest),
        "room": fitted["room"],
    }
    service.post("/v3/telemetry", reading)
    heating = milli[-1] < 1000 * setpoint["celsius"]
    return {
        "sequence": reading["sequence"],
        "heating": heating,
        "comfortable": panel.comfortable(humidity),
    }


def mean(milli):
    """The mean of the readings, as a number in degrees Celsius."""
    return round(sum(milli) / len(milli)) / 1000, "celsius"
