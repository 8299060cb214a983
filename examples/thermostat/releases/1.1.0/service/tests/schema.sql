-- The tables this build needs, for its own tests. The migrations make the real ones; the
-- repository's tests compare the two.
CREATE TABLE device (
    device TEXT PRIMARY KEY,
    first_seen_ms BIGINT NOT NULL,
    calibration_milli BIGINT NOT NULL DEFAULT 0
);
CREATE TABLE telemetry (
    device TEXT NOT NULL,
    sequence BIGINT NOT NULL,
    temperature DOUBLE PRECISION NOT NULL,
    room TEXT NOT NULL,
    received_ms BIGINT NOT NULL,
    humidity DOUBLE PRECISION,
    PRIMARY KEY (device, sequence)
);
CREATE TABLE setpoint (
    device TEXT PRIMARY KEY,
    celsius DOUBLE PRECISION NOT NULL,
    changed_ms BIGINT NOT NULL
);
CREATE TABLE comfort (
    device TEXT PRIMARY KEY,
    humidity_low BIGINT NOT NULL,
    humidity_high BIGINT NOT NULL
);
