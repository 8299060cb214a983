-- Devices may send the mean of several readings; the column says of how many.

ALTER TABLE telemetry ADD COLUMN readings BIGINT;
