"""The tables and columns this build needs. It may find more: an expand step came first."""

# device.calibration_milli is not here: this build works before and after its contract step.
NEEDED: dict[str, tuple[str, ...]] = {
    "device": ("device", "first_seen_ms"),
    "telemetry": ("device", "sequence", "temperature", "room", "received_ms", "humidity"),
    "setpoint": ("device", "celsius", "changed_ms"),
    "comfort": ("device", "humidity_low", "humidity_high"),
}
