-- Firmware 1.2 has the comfort band in its image; only firmware 1.1 asks for it. So this waits
-- until the devices have moved, and after it neither firmware 1.1 nor the service of 1.1.0 works.

DROP TABLE comfort;
