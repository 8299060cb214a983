"""The thermostat service: devices post telemetry and read set points, over HTTP."""
