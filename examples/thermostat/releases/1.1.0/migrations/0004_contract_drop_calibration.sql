-- Firmware 1.1 knows its own sensor; only firmware 1.0 asks for a calibration. So this waits
-- until the devices have moved, and after it neither firmware 1.0 nor the service of 1.0.0 works.

ALTER TABLE device DROP COLUMN calibration_milli;
