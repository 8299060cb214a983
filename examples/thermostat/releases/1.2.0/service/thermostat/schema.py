"""The tables and columns this build needs. It may find more: an expand step came first."""

TELEMETRY = ("device", "sequence", "temperature", "room", "received_ms", "humidity", "readings")

# The table comfort is not here: this build works before and after its contract step.
NEEDED: dict[str, tuple[str, ...]] = {
    "device": ("device", "first_seen_ms"),
    "telemetry": TELEMETRY,
    "setpoint": ("device", "celsius", "changed_ms"),
}
