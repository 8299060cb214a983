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
)

-- name: take
INSERT INTO device_wave (turn, number, device, runs, said, form)
VALUES (:turn, :number, :device, :runs, :said, :form)

-- name: actions
INSERT INTO device_actions (action, number, environment, device, deployment, wave, kind, release,
    firmware, version, state, cancelling, progress, reason, assigned_ms, changed_ms, deadline_ms)
SELECT :action + turn, number, :environment, device, :deployment, :wave, :kind, :release,
    :firmware, :version, :state, 0, 0, :reason, :time_ms, :time_ms, :deadline_ms
FROM device_wave

-- name: traits
INSERT INTO device_action_traits (action, consent, strength)
SELECT :action + turn, :consent, :strength FROM device_wave WHERE form = :form

-- name: parts
INSERT INTO device_action_parts (action, attribute)
SELECT :action + turn, :attribute FROM device_wave

-- name: reports
INSERT INTO device_reports (report, environment, number, action, deployment, wave, from_state,
    to_state, ran, runs, reason, time_ms, body)
SELECT :report + turn, :environment, number, :action + turn, :deployment, :wave, '',
    :state, runs, runs, :reason, :time_ms,
    CAST(:before_action || (:action + turn) || :before_device || device || :before_ran || said
        || :before_report || (:report + turn) || :before_runs || said || :rest AS BLOB)
FROM device_wave WHERE form = :form

-- name: point
UPDATE device_heads SET action = :action + w.turn, change = :change
FROM device_wave w WHERE w.number = device_heads.number

-- name: end
DROP TABLE device_wave
