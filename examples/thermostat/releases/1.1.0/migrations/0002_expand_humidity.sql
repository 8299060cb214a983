-- Devices report humidity and ask for the band that is comfortable. The service of 1.0.0 names
-- the columns it writes, so it does not notice.

ALTER TABLE telemetry ADD COLUMN humidity DOUBLE PRECISION;

CREATE TABLE comfort (
    device TEXT PRIMARY KEY,
    humidity_low BIGINT NOT NULL,
    humidity_high BIGINT NOT NULL
);
