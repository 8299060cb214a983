-- Every device that is known gets the usual band; later ones get it from the service.

INSERT INTO comfort (device, humidity_low, humidity_high)
SELECT device, 40, 60 FROM device WHERE true
ON CONFLICT (device) DO NOTHING;
