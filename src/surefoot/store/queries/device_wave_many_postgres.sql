-- name: take
INSERT INTO device_wave (turn, number, device, runs, said, form)
SELECT turn, number, device, runs, said, form
FROM json_to_recordset(:rows::json) AS r (turn BIGINT, number BIGINT, device TEXT, runs TEXT,
    said TEXT, form BIGINT)
