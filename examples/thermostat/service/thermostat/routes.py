"""Which endpoint answers which path. A `*` in a path stands for one device's name."""

from thermostat import api_v1, calibration

ROUTES = {
    ("POST", "/v1/telemetry"): api_v1.post_telemetry,
    ("GET", "/v1/setpoint/*"): api_v1.get_setpoint,
    ("PUT", "/v1/setpoint/*"): api_v1.put_setpoint,
    ("GET", "/v1/calibration/*"): calibration.get,
}
