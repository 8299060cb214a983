-- Devices as pages and lists show them. `scanned` takes at most :scan devices from one index, by
-- name; the rest of the question is asked of those alone. Its twin `..._reach` says how far it got.
-- Without statistics, ranges of whole index rows, and CROSS JOIN, keep SQLite on that index;
-- PostgreSQL is kept there by the columns named alone as well.
-- `{{...}}` stands for a part, a text that several statements share.

-- part: columns
SELECT d.device, d.hardware, d.runs, d.attributes, d.enrolled_ms, COALESCE(s.seen_ms, 0),
    COALESCE(a.action, 0), COALESCE(a.version, ''), COALESCE(a.state, ''), COALESCE(a.reason, ''),
    COALESCE(a.deployment, 0), COALESCE(a.wave, ''), COALESCE(e.consent, ''),
    COALESCE(e.strength, ''), COALESCE(t.standing, ''), COALESCE(t.profile, ''),
    COALESCE(t.profile_by, ''), COALESCE(a.firmware, ''),
    CASE WHEN COALESCE(t.auto_confirm, '') = '' THEN 0 ELSE 1 END, COALESCE(g.tags, '')

-- part: narrowed
LEFT JOIN device_traits t ON t.number = c.number
    LEFT JOIN device_tags g ON g.number = c.number
WHERE d.removed = 0
    AND (:any_runs = 1 OR d.runs = :runs)
    AND (:any_hardware = 1 OR d.hardware = :hardware)
    AND (:any_standing = 1 OR COALESCE(t.standing, '') = :standing)
    AND (:any_wave = 1 OR a.wave = :wave)
ORDER BY c.device LIMIT :limit

-- part: newest
{{columns}}
FROM scanned c JOIN devices d ON d.number = c.number
    JOIN device_heads h ON h.number = c.number
    LEFT JOIN device_actions a ON a.action = h.action
    LEFT JOIN device_seen s ON s.number = c.number
    LEFT JOIN device_action_traits e ON e.action = h.action
    {{narrowed}}

-- part: scan_name
SELECT number, device FROM devices
WHERE environment = :environment AND removed = 0 AND device > :after
    AND device < :beyond
ORDER BY device LIMIT :scan

-- name: by_name
WITH scanned AS (
    {{scan_name}}
)
{{newest}}

-- name: by_name_reach
SELECT COUNT(*), MAX(device) FROM (
    {{scan_name}}
) scanned

-- part: scan_runs
SELECT number, device FROM devices
WHERE environment = :environment AND runs = :runs
    AND (environment, runs, device) > (:environment, :runs, :after)
    AND (environment, runs, device) < (:environment, :runs, :beyond) AND removed = 0
ORDER BY environment, runs, device LIMIT :scan

-- name: by_runs
WITH scanned AS (
    {{scan_runs}}
)
{{newest}}

-- name: by_runs_reach
SELECT COUNT(*), MAX(device) FROM (
    {{scan_runs}}
) scanned

-- part: scan_hardware
SELECT number, device FROM devices
WHERE environment = :environment AND hardware = :hardware
    AND (environment, hardware, device) > (:environment, :hardware, :after)
    AND (environment, hardware, device) < (:environment, :hardware, :beyond) AND removed = 0
ORDER BY environment, hardware, device LIMIT :scan

-- name: by_hardware
WITH scanned AS (
    {{scan_hardware}}
)
{{newest}}

-- name: by_hardware_reach
SELECT COUNT(*), MAX(device) FROM (
    {{scan_hardware}}
) scanned

-- part: scan_state
SELECT x.number, x.device, x.action FROM device_actions x
WHERE x.environment = :environment AND x.deployment = :deployment AND x.state = :state
    AND x.device > :after AND x.device < :beyond
    AND NOT EXISTS (SELECT 1 FROM device_actions y
        WHERE y.number = x.number AND y.action > x.action AND y.deployment = x.deployment)
ORDER BY x.device LIMIT :scan

-- name: by_state
WITH scanned AS (
    {{scan_state}}
)
{{columns}}
FROM scanned c JOIN devices d ON d.number = c.number
    LEFT JOIN device_actions a ON a.action = c.action
    LEFT JOIN device_seen s ON s.number = c.number
    LEFT JOIN device_action_traits e ON e.action = c.action
    {{narrowed}}

-- name: by_state_reach
SELECT COUNT(*), MAX(device) FROM (
    {{scan_state}}
) scanned

-- part: scan_standing
SELECT d.number, d.device
FROM device_traits t CROSS JOIN devices d
WHERE d.number = t.number AND t.standing = :standing AND t.standing <> ''
    AND d.environment = :environment
    AND d.removed = 0
    AND d.device > :after AND d.device < :beyond
ORDER BY d.device LIMIT :scan

-- name: by_standing
WITH scanned AS (
    {{scan_standing}}
)
{{newest}}

-- name: by_standing_reach
SELECT COUNT(*), MAX(device) FROM (
    {{scan_standing}}
) scanned

-- part: scan_tag
SELECT number, device FROM device_tag_names
WHERE environment = :environment AND tag = :tag AND device > :after AND device < :beyond
ORDER BY device LIMIT :scan

-- name: by_tag
WITH scanned AS (
    {{scan_tag}}
)
{{newest}}

-- name: by_tag_reach
SELECT COUNT(*), MAX(device) FROM (
    {{scan_tag}}
) scanned
