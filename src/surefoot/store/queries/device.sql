-- name: lock
UPDATE device_numbers SET value = value + 1 WHERE name = 'lock'

-- name: take_numbers
UPDATE device_numbers SET value = value + :count WHERE name = :name RETURNING value

-- name: raise_number
UPDATE device_numbers SET value = :value WHERE name = :name AND value < :value

-- name: insert_device
INSERT INTO devices (number, environment, device, hardware, token_hash, enrolled_ms, attributes,
    attributes_ms, wants_attributes, action, installed, runs, removed, change)
VALUES (:number, :environment, :device, :hardware, :token_hash, :enrolled_ms, '{}',
    0, 1, 0, 0, '', 0, :change)
ON CONFLICT DO NOTHING

-- name: insert_heads
INSERT INTO device_heads (number, action, change)
SELECT number, 0, change FROM devices WHERE number >= :number

-- name: count_from
SELECT COUNT(*) FROM devices WHERE number >= :number

-- name: device
SELECT d.number, d.hardware, d.attributes, d.attributes_ms, d.wants_attributes, c.action,
    d.installed, d.runs, COALESCE(t.standing, ''), COALESCE(t.profile, ''),
    COALESCE(t.profile_by, ''),
    COALESCE(t.auto_confirm, '')
FROM devices d JOIN device_heads c ON c.number = d.number
    LEFT JOIN device_traits t ON t.number = d.number
WHERE d.environment = :environment AND d.device = :device AND d.removed = 0

-- name: update_device
UPDATE devices SET attributes = :attributes, attributes_ms = :attributes_ms,
    wants_attributes = :wants_attributes, installed = :installed, runs = :runs
WHERE number = :number

-- name: set_token
UPDATE devices SET token_hash = :token_hash
WHERE environment = :environment AND device = :device AND removed = 0

-- name: touch
UPDATE device_heads SET change = :change
WHERE number IN (SELECT number FROM devices
    WHERE environment = :environment AND device = :device AND removed = 0)

-- name: touch_all
UPDATE device_heads SET change = :change
WHERE number IN (SELECT number FROM devices WHERE environment = :environment AND removed = 0)

-- name: remove_environment
UPDATE devices SET removed = 1 WHERE environment = :environment AND removed = 0

-- name: changed
SELECT c.change, d.number, d.environment, d.device, d.token_hash, d.wants_attributes, d.installed,
    d.removed, c.action, COALESCE(a.state, ''), COALESCE(a.cancelling, 0),
    COALESCE(a.deployment, 0), COALESCE(a.wave, ''), COALESCE(a.firmware, ''),
    COALESCE(e.consent, ''), COALESCE(t.standing, ''), COALESCE(t.profile, ''),
    COALESCE(t.profile_by, ''), COALESCE(h.held, ''), COALESCE(a.kind, ''),
    COALESCE(a.assigned_ms, 0)
FROM (SELECT number, action, change FROM device_heads
        WHERE (change, number) > (:change, :number) ORDER BY change, number LIMIT :limit) c
    JOIN devices d ON d.number = c.number
    LEFT JOIN device_actions a ON a.action = c.action
    LEFT JOIN device_action_traits e ON e.action = c.action
    LEFT JOIN device_traits t ON t.number = c.number
    LEFT JOIN device_holds h ON h.action = c.action
ORDER BY c.change, c.number

-- name: newest_change
SELECT value FROM device_numbers WHERE name = 'change'

-- name: page
SELECT d.device, d.hardware, d.runs, d.attributes, d.enrolled_ms, COALESCE(s.seen_ms, 0),
    c.action, COALESCE(a.version, ''), COALESCE(a.state, ''), COALESCE(a.reason, ''),
    COALESCE(a.deployment, 0), COALESCE(a.wave, ''), COALESCE(e.consent, ''),
    COALESCE(e.strength, ''), COALESCE(t.standing, ''), COALESCE(t.profile, ''),
    COALESCE(t.profile_by, ''), COALESCE(a.firmware, ''),
    CASE WHEN COALESCE(t.auto_confirm, '') = '' THEN 0 ELSE 1 END, COALESCE(g.tags, '')
FROM devices d JOIN device_heads c ON c.number = d.number
    LEFT JOIN device_actions a ON a.action = c.action
    LEFT JOIN device_seen s ON s.number = d.number
    LEFT JOIN device_action_traits e ON e.action = c.action
    LEFT JOIN device_traits t ON t.number = d.number
    LEFT JOIN device_tags g ON g.number = d.number
WHERE d.environment = :environment AND d.removed = 0 AND d.device > :after
ORDER BY d.device LIMIT :limit

-- name: summary
SELECT d.device, d.hardware, d.runs, d.attributes, d.enrolled_ms, COALESCE(s.seen_ms, 0),
    c.action, COALESCE(a.version, ''), COALESCE(a.state, ''), COALESCE(a.reason, ''),
    COALESCE(a.deployment, 0), COALESCE(a.wave, ''), COALESCE(e.consent, ''),
    COALESCE(e.strength, ''), COALESCE(t.standing, ''), COALESCE(t.profile, ''),
    COALESCE(t.profile_by, ''), COALESCE(a.firmware, ''),
    CASE WHEN COALESCE(t.auto_confirm, '') = '' THEN 0 ELSE 1 END, COALESCE(g.tags, '')
FROM devices d JOIN device_heads c ON c.number = d.number
    LEFT JOIN device_actions a ON a.action = c.action
    LEFT JOIN device_seen s ON s.number = d.number
    LEFT JOIN device_action_traits e ON e.action = c.action
    LEFT JOIN device_traits t ON t.number = d.number
    LEFT JOIN device_tags g ON g.number = d.number
WHERE d.environment = :environment AND d.removed = 0 AND d.device = :device

-- name: timeline
SELECT r.body FROM device_reports r JOIN devices d ON d.number = r.number
WHERE d.environment = :environment AND d.device = :device AND d.removed = 0
    AND r.report < :before
ORDER BY r.report DESC LIMIT :limit

-- name: runs
SELECT runs, COUNT(*) FROM devices WHERE environment = :environment AND removed = 0
GROUP BY runs ORDER BY runs

-- name: states
SELECT wave, state, count FROM device_tallies
WHERE environment = :environment AND deployment = :deployment AND count <> 0
ORDER BY wave, state

-- name: tally
INSERT INTO device_tallies (environment, deployment, wave, state, count)
VALUES (:environment, :deployment, :wave, :state, :count)
ON CONFLICT (environment, deployment, wave, state)
DO UPDATE SET count = device_tallies.count + EXCLUDED.count

-- name: insert_seen
INSERT INTO device_seen (number, seen_ms) VALUES (:number, :seen_ms)
ON CONFLICT (number) DO UPDATE SET seen_ms = EXCLUDED.seen_ms

-- name: insert_firmware
INSERT INTO device_firmware (digest, record) VALUES (:digest, :record)
ON CONFLICT (digest) DO UPDATE SET record = EXCLUDED.record

-- name: firmware
SELECT record FROM device_firmware WHERE digest = :digest

-- name: action
SELECT a.action, a.number, a.deployment, a.wave, a.kind, a.firmware, a.version, a.state,
    a.cancelling, a.progress, a.reason, a.deadline_ms, COALESCE(e.consent, ''),
    COALESCE(e.strength, ''), COALESCE(p.attribute, ''), COALESCE(h.held, ''),
    COALESCE(h.again, 0)
FROM device_actions a LEFT JOIN device_action_traits e ON e.action = a.action
    LEFT JOIN device_action_parts p ON p.action = a.action
    LEFT JOIN device_holds h ON h.action = a.action
WHERE a.action = :action AND a.number = :number

-- name: put_traits
INSERT INTO device_traits (number, standing, profile, profile_by, auto_confirm)
VALUES (:number, :standing, :profile, :profile_by, :auto_confirm)
ON CONFLICT (number) DO UPDATE SET standing = EXCLUDED.standing, profile = EXCLUDED.profile,
    profile_by = EXCLUDED.profile_by, auto_confirm = EXCLUDED.auto_confirm

-- name: put_action_traits
INSERT INTO device_action_traits (action, consent, strength)
VALUES (:action, :consent, :strength)
ON CONFLICT (action) DO UPDATE SET consent = EXCLUDED.consent, strength = EXCLUDED.strength

-- name: auto_confirm
SELECT COALESCE(t.auto_confirm, '') FROM devices d LEFT JOIN device_traits t ON t.number = d.number
WHERE d.number = :number

-- name: released
SELECT DISTINCT f.record FROM device_rollouts r JOIN device_firmware f ON f.digest = r.firmware
WHERE r.environment = :environment AND r.version = :version

-- name: offer
SELECT a.state, f.record, a.assigned_ms, CASE WHEN a.kind = 'update' THEN p.terms END, a.kind
FROM device_actions a JOIN device_firmware f ON f.digest = a.firmware
    LEFT JOIN device_paces p ON p.environment = a.environment AND p.deployment = a.deployment
WHERE a.action = :action AND a.number = :number

-- name: kind
SELECT kind FROM device_actions WHERE action = :action

-- name: messages
SELECT reason FROM device_reports WHERE number = :number AND action = :action AND reason <> ''
ORDER BY report DESC LIMIT :limit

-- name: insert_action
INSERT INTO device_actions (action, number, environment, device, deployment, wave, kind, release,
    firmware, version, state, cancelling, progress, reason, assigned_ms, changed_ms, deadline_ms)
VALUES (:action, :number, :environment, :device, :deployment, :wave, :kind, :release,
    :firmware, :version, :state, 0, 0, :reason, :time_ms, :time_ms, :deadline_ms)

-- name: update_action
UPDATE device_actions SET state = :state, cancelling = :cancelling, progress = :progress,
    reason = :reason, changed_ms = :time_ms
WHERE action = :action

-- name: insert_report
INSERT INTO device_reports (report, environment, number, action, deployment, wave, from_state,
    to_state, ran, runs, reason, time_ms, body)
VALUES (:report, :environment, :number, :action, :deployment, :wave, :from_state,
    :to_state, :ran, :runs, :reason, :time_ms, :body)

-- name: point
UPDATE device_heads SET action = :action, change = :change WHERE number = :number

-- name: pending
SELECT number FROM device_actions
WHERE state IN ('assigned', 'offered', 'downloading', 'installing', 'reported')
    AND environment || '' = :environment

-- name: count
SELECT COUNT(*) FROM devices WHERE environment = :environment AND removed = 0

-- name: assignable
SELECT d.number, d.device, d.runs, COALESCE(t.auto_confirm, ''), d.hardware,
    CASE WHEN :whole = 1 OR d.runs IN (:version, '') THEN d.attributes ELSE '{}' END,
    COALESCE(t.standing, ''), COALESCE(t.profile, '')
FROM devices d LEFT JOIN device_traits t ON t.number = d.number
WHERE d.environment = :environment AND d.removed = 0

-- name: assignable_seen
SELECT d.number, d.device, d.runs, COALESCE(t.auto_confirm, ''), d.hardware,
    CASE WHEN :whole = 1 OR d.runs IN (:version, '') THEN d.attributes ELSE '{}' END,
    COALESCE(t.standing, ''), COALESCE(t.profile, ''), COALESCE(s.seen_ms, 0)
FROM devices d LEFT JOIN device_traits t ON t.number = d.number
    LEFT JOIN device_seen s ON s.number = d.number
WHERE d.environment = :environment AND d.removed = 0

-- name: candidates
SELECT d.number, d.device, d.hardware, d.attributes, d.attributes_ms, d.wants_attributes, c.action,
    d.installed, d.runs, COALESCE(t.standing, ''), COALESCE(t.profile, ''),
    COALESCE(t.profile_by, ''),
    COALESCE(t.auto_confirm, '')
FROM devices d JOIN device_heads c ON c.number = d.number
    LEFT JOIN device_traits t ON t.number = d.number
WHERE d.environment = :environment AND d.removed = 0

-- name: given
SELECT number FROM device_actions WHERE environment = :environment AND deployment = :deployment

-- name: begun
SELECT a.number, COALESCE(p.attribute, ''), a.version
FROM device_actions a JOIN devices d ON d.number = a.number
    LEFT JOIN device_action_parts p ON p.action = a.action
WHERE a.environment = :environment AND d.removed = 0
    AND a.state NOT IN ('assigned', 'verified', 'returned')
    AND (a.state IN ('offered', 'downloading', 'installing', 'reported')
        OR (a.state IN ('failed', 'timed_out', 'unknown') AND a.progress > 0
            AND (d.runs = '' OR (p.attribute <> '' AND a.changed_ms >= d.attributes_ms))))
UNION ALL
SELECT a.number, COALESCE(p.attribute, ''), a.version
FROM device_actions a JOIN devices d ON d.number = a.number
    LEFT JOIN device_action_parts p ON p.action = a.action
WHERE a.environment = :environment AND d.removed = 0 AND a.state = 'assigned' AND a.progress > 0

-- name: insert_part
INSERT INTO device_action_parts (action, attribute) VALUES (:action, :attribute)

-- name: insert_route
INSERT INTO device_routes (environment, deployment, kind, record)
VALUES (:environment, :deployment, :kind, :record)
ON CONFLICT (environment, deployment, kind) DO NOTHING

-- name: route
SELECT p.record, r.status FROM device_routes p JOIN device_rollouts r
    ON r.environment = p.environment AND r.deployment = p.deployment
WHERE p.environment = :environment AND p.deployment = :deployment AND p.kind = :kind

-- name: in_rollout
SELECT device, action, state, kind FROM device_actions
WHERE environment = :environment AND deployment = :deployment ORDER BY action

-- name: due
SELECT environment, device, number, action FROM device_actions
WHERE state IN ('assigned', 'offered', 'downloading', 'installing', 'reported')
    AND deadline_ms <= :now_ms
ORDER BY deadline_ms LIMIT :limit

-- name: start_rollout
INSERT INTO device_rollouts (environment, deployment, release, firmware, version, status,
    started_ms)
VALUES (:environment, :deployment, :release, :firmware, :version, 'running', :now_ms)
ON CONFLICT (environment, deployment) DO NOTHING

-- name: insert_claim
INSERT INTO device_claims (environment, deployment, wave, record)
VALUES (:environment, :deployment, :wave, :record)
ON CONFLICT (environment, deployment, wave) DO NOTHING

-- name: claim
SELECT record FROM device_claims
WHERE environment = :environment AND deployment = :deployment AND wave = :wave

-- name: end_rollout
UPDATE device_rollouts SET status = :status
WHERE environment = :environment AND deployment = :deployment

-- name: newest_rollouts
SELECT deployment, release, firmware, version, status FROM device_rollouts
WHERE environment = :environment ORDER BY deployment DESC LIMIT :limit

-- name: raise_fence
INSERT INTO device_fences (environment, fence) VALUES (:environment, :fence)
ON CONFLICT (environment) DO UPDATE SET fence = EXCLUDED.fence

-- name: fence
SELECT fence FROM device_fences WHERE environment = :environment

-- name: insert_receipt
INSERT INTO device_receipts (environment, operation, outcome)
VALUES (:environment, :operation, :outcome)

-- name: receipt
SELECT outcome FROM device_receipts WHERE environment = :environment AND operation = :operation

-- name: receipts
SELECT operation, outcome FROM device_receipts WHERE environment = :environment ORDER BY operation

-- name: newest_batch
SELECT record, journal_index FROM device_batches
WHERE environment = :environment ORDER BY last_report DESC LIMIT 1

-- name: newest_batch_of
SELECT record, journal_index FROM device_batches
WHERE environment = :environment AND deployment = :deployment ORDER BY last_report DESC LIMIT 1

-- name: unsealed
SELECT report, deployment, wave, from_state, to_state, ran, runs, body FROM device_reports
WHERE environment = :environment AND report > :after ORDER BY report LIMIT :limit

-- name: others
SELECT COUNT(*) FROM device_reports
WHERE report > :after AND report <= :last AND environment <> :environment

-- name: insert_batch
INSERT INTO device_batches (environment, first_report, last_report, deployment, record,
    journal_index)
VALUES (:environment, :first_report, :last_report, :deployment, :record, -1)
ON CONFLICT DO NOTHING

-- name: mark_batch
UPDATE device_batches SET journal_index = :journal_index
WHERE environment = :environment AND first_report = :first_report AND journal_index = -1

-- name: gateways
SELECT environment, token_hash FROM device_gateways

-- name: put_gateway
INSERT INTO device_gateways (environment, token_hash) VALUES (:environment, :token_hash)

-- name: drop_gateway
DELETE FROM device_gateways WHERE environment = :environment

-- name: waiting
SELECT COUNT(*) FROM device_traits t CROSS JOIN devices d
WHERE d.number = t.number AND d.environment = :environment AND d.removed = 0
    AND t.standing = 'pending' AND t.standing <> ''

-- name: tags
SELECT d.number, COALESCE(g.tags, '')
FROM devices d LEFT JOIN device_tags g ON g.number = d.number
WHERE d.environment = :environment AND d.device = :device AND d.removed = 0

-- name: all_tags
SELECT g.number, g.tags FROM device_tags g JOIN devices d ON d.number = g.number
WHERE d.environment = :environment AND d.removed = 0 AND g.tags <> ''

-- name: put_tags
INSERT INTO device_tags (number, tags) VALUES (:number, :tags)
ON CONFLICT (number) DO UPDATE SET tags = excluded.tags

-- name: put_tag_name
INSERT INTO device_tag_names (environment, tag, device, number)
VALUES (:environment, :tag, :device, :number)
ON CONFLICT DO NOTHING

-- name: drop_tag_name
DELETE FROM device_tag_names
WHERE environment = :environment AND tag = :tag AND device = :device AND number = :number
