"""Sends a reading with version 1 of the API."""

import sensor


def send(service, device, folder, health):
    """Send the newest reading, corrected by the calibration that the service keeps."""
    fitted = sensor.hardware(folder)
    setpoint = service.get(f"/v1/setpoint/{device}")
    correction = service.get(f"/v1/calibration/{device}")["milli_celsius"]
    milli = sensor.milli_celsius(fitted, [fitted["readings"][-1][0]])[0] + correction
    reading = {
        "device": device,
        "sequence": sensor.next_sequence(folder),
        "temperature": milli / 1000,
        "room": fitted["room"],
    }
    service.post("/v1/telemetry", reading)
    return {"sequence": reading["sequence"], "heating": milli < 1000 * setpoint["celsius"]}
