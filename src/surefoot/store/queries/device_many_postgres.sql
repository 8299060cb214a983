-- name: insert_device
INSERT INTO devices (number, environment, device, hardware, token_hash, enrolled_ms, attributes,
    attributes_ms, wants_attributes, action, installed, runs, removed, change)
SELECT number, environment, device, hardware, decode(token_hash, 'base64'), enrolled_ms, '{}',
    0, 1, 0, 0, '', 0, change
FROM json_to_recordset(:rows::json) AS r (number BIGINT, environment TEXT, device TEXT,
    hardware TEXT, token_hash TEXT, enrolled_ms BIGINT, change BIGINT)
ON CONFLICT DO NOTHING

-- name: device
SELECT r.place, d.number, d.hardware, d.attributes, d.attributes_ms, d.wants_attributes, c.action,
    d.installed, d.runs, COALESCE(t.standing, ''), COALESCE(t.profile, ''),
    COALESCE(t.profile_by, ''),
    COALESCE(t.auto_confirm, '')
FROM json_to_recordset(:rows::json) AS r (place BIGINT, environment TEXT, device TEXT)
    JOIN devices d ON d.environment = r.environment AND d.device = r.device AND d.removed = 0
    JOIN device_heads c ON c.number = d.number
    LEFT JOIN device_traits t ON t.number = d.number

-- name: action
SELECT r.place, a.action, a.number, a.deployment, a.wave, a.kind, a.firmware, a.version, a.state,
    a.cancelling, a.progress, a.reason, a.deadline_ms, COALESCE(e.consent, ''),
    COALESCE(e.strength, ''), COALESCE(p.attribute, ''), COALESCE(h.held, ''),
    COALESCE(h.again, 0)
FROM json_to_recordset(:rows::json) AS r (place BIGINT, action BIGINT, number BIGINT)
    JOIN device_actions a ON a.action = r.action AND a.number = r.number
    LEFT JOIN device_action_traits e ON e.action = a.action
    LEFT JOIN device_action_parts p ON p.action = a.action
    LEFT JOIN device_holds h ON h.action = a.action

-- name: update_device
UPDATE devices AS d SET attributes = r.attributes, attributes_ms = r.attributes_ms,
    wants_attributes = r.wants_attributes, installed = r.installed, runs = r.runs
FROM json_to_recordset(:rows::json) AS r (number BIGINT, attributes TEXT, attributes_ms BIGINT,
    wants_attributes BIGINT, installed BIGINT, runs TEXT)
WHERE d.number = r.number

-- name: point
UPDATE device_heads AS c SET action = r.action, change = r.change
FROM json_to_recordset(:rows::json) AS r (number BIGINT, action BIGINT, change BIGINT)
WHERE c.number = r.number

-- name: insert_seen
INSERT INTO device_seen (number, seen_ms)
SELECT number, seen_ms FROM json_to_recordset(:rows::json) AS r (number BIGINT, seen_ms BIGINT)
ON CONFLICT (number) DO UPDATE SET seen_ms = EXCLUDED.seen_ms

-- name: insert_action
INSERT INTO device_actions (action, number, environment, device, deployment, wave, kind, release,
    firmware, version, state, cancelling, progress, reason, assigned_ms, changed_ms, deadline_ms)
SELECT action, number, environment, device, deployment, wave, kind, release,
    firmware, version, state, 0, 0, reason, time_ms, time_ms, deadline_ms
FROM json_to_recordset(:rows::json) AS r (action BIGINT, number BIGINT, environment TEXT,
    device TEXT, deployment BIGINT, wave TEXT, kind TEXT, release TEXT, firmware TEXT,
    version TEXT, state TEXT, reason TEXT, time_ms BIGINT, deadline_ms BIGINT)

-- name: update_action
UPDATE device_actions AS a SET state = r.state, cancelling = r.cancelling, progress = r.progress,
    reason = r.reason, changed_ms = r.time_ms
FROM json_to_recordset(:rows::json) AS r (action BIGINT, state TEXT, cancelling BIGINT,
    progress BIGINT, reason TEXT, time_ms BIGINT)
WHERE a.action = r.action

-- name: insert_report
INSERT INTO device_reports (report, environment, number, action, deployment, wave, from_state,
    to_state, ran, runs, reason, time_ms, body)
SELECT report, environment, number, action, deployment, wave, from_state,
    to_state, ran, runs, reason, time_ms, decode(body, 'base64')
FROM json_to_recordset(:rows::json) AS r (report BIGINT, environment TEXT, number BIGINT,
    action BIGINT, deployment BIGINT, wave TEXT, from_state TEXT, to_state TEXT, ran TEXT,
    runs TEXT, reason TEXT, time_ms BIGINT, body TEXT)

-- name: tags
SELECT r.place, d.number, COALESCE(g.tags, '')
FROM json_to_recordset(:rows::json) AS r (place BIGINT, environment TEXT, device TEXT)
    JOIN devices d ON d.environment = r.environment AND d.device = r.device AND d.removed = 0
    LEFT JOIN device_tags g ON g.number = d.number

-- name: put_tags
INSERT INTO device_tags (number, tags)
SELECT number, tags FROM json_to_recordset(:rows::json) AS r (number BIGINT, tags TEXT)
ON CONFLICT (number) DO UPDATE SET tags = excluded.tags

-- name: tally
INSERT INTO device_tallies (environment, deployment, wave, state, count)
SELECT environment, deployment, wave, state, count
FROM json_to_recordset(:rows::json) AS r (environment TEXT, deployment BIGINT, wave TEXT,
    state TEXT, count BIGINT)
ON CONFLICT (environment, deployment, wave, state)
DO UPDATE SET count = device_tallies.count + EXCLUDED.count

-- name: put_tag_name
INSERT INTO device_tag_names (environment, tag, device, number)
SELECT environment, tag, device, number
FROM json_to_recordset(:rows::json) AS r (environment TEXT, tag TEXT, device TEXT, number BIGINT)
ON CONFLICT DO NOTHING

-- name: drop_tag_name
DELETE FROM device_tag_names n
USING json_to_recordset(:rows::json) AS r (environment TEXT, tag TEXT, device TEXT, number BIGINT)
WHERE n.environment = r.environment AND n.tag = r.tag AND n.device = r.device
    AND n.number = r.number
