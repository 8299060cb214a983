-- A wave's rows made where they are kept: `device_wave` holds what differs from device to device,
-- for one transaction. `said` is `runs` as JSON; `form` says which of two texts a report has.

-- name: begin
CREATE TEMPORARY TABLE IF NOT EXISTS device_wave (
    turn   BIGINT NOT NULL,
    number  BIGINT NOT NULL,
    device  TEXT NOT NULL,
    runs    TEXT NOT NULL,
    said    TEXT NOT NULL,
    form    BIGINT NOT NULL
) ON COMMIT DROP

-- name: actions
INSERT INTO device_actions (action, number, environment, device, deployment, wave, kind, release,
    firmware, version, state, cancelling, progress, reason, assigned_ms, changed_ms, deadline_ms)
SELECT CAST(:action AS BIGINT) + turn, number, CAST(:environment AS TEXT), device,
    CAST(:deployment AS BIGINT), CAST(:wave AS TEXT), CAST(:kind AS TEXT), CAST(:release AS TEXT),
    CAST(:firmware AS TEXT), CAST(:version AS TEXT), CAST(:state AS TEXT), 0, 0,
    CAST(:reason AS TEXT), CAST(:time_ms AS BIGINT), CAST(:time_ms AS BIGINT),
    CAST(:deadline_ms AS BIGINT)
FROM device_wave

-- name: traits
INSERT INTO device_action_traits (action, consent, strength)
SELECT CAST(:action AS BIGINT) + turn, CAST(:consent AS TEXT), CAST(:strength AS TEXT)
FROM device_wave WHERE form = :form

-- name: parts
INSERT INTO device_action_parts (action, attribute)
SELECT CAST(:action AS BIGINT) + turn, CAST(:attribute AS TEXT) FROM device_wave

-- name: reports
INSERT INTO device_reports (report, environment, number, action, deployment, wave, from_state,
    to_state, ran, runs, reason, time_ms, body)
SELECT CAST(:report AS BIGINT) + turn, CAST(:environment AS TEXT), number,
    CAST(:action AS BIGINT) + turn, CAST(:deployment AS BIGINT), CAST(:wave AS TEXT), '',
    CAST(:state AS TEXT), runs, runs, CAST(:reason AS TEXT), CAST(:time_ms AS BIGINT),
    convert_to(CAST(:before_action AS TEXT) || (CAST(:action AS BIGINT) + turn)
        || CAST(:before_device AS TEXT) || device || CAST(:before_ran AS TEXT) || said
        || CAST(:before_report AS TEXT) || (CAST(:report AS BIGINT) + turn)
        || CAST(:before_runs AS TEXT) || said || CAST(:rest AS TEXT), 'UTF8')
FROM device_wave WHERE form = :form

-- name: point
UPDATE device_heads AS h SET action = CAST(:action AS BIGINT) + w.turn, change = :change
FROM device_wave w WHERE w.number = h.number

-- name: end
DROP TABLE device_wave
