"""The tables and columns this build needs. It may find more: an expand step came first."""

NEEDED: dict[str, tuple[str, ...]] = {
    "device": ("device", "first_seen_ms", "calibration_milli"),
    "telemetry": ("device", "sequence", "temperature", "room", "received_ms"),
    "setpoint": ("device", "celsius", "changed_ms"),
}
