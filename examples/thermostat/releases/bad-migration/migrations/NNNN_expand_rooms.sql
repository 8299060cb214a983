-- A table of rooms, filled from what the devices reported.

CREATE TABLE room (
    name TEXT PRIMARY KEY,
    first_reading_ms BIGINT NOT NULL
);

INSERT INTO room (name, first_reading_ms)
SELECT room, received_ms FROM telemetry;
