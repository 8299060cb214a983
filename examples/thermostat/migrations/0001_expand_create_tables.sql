-- The first tables. Plain SQL that SQLite and PostgreSQL both take.

-- calibration_milli: what the device's sensor reads too little, in thousandths of a degree.
-- (No comment inside a table: SQLite keeps the text, and cannot drop a column after one.)
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
    PRIMARY KEY (device, sequence)
);

CREATE TABLE setpoint (
    device TEXT PRIMARY KEY,
    celsius DOUBLE PRECISION NOT NULL,
    changed_ms BIGINT NOT NULL
);
