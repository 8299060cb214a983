-- name: put
INSERT INTO device_newcomers (environment, deployment, wave, targeting, change, number)
VALUES (:environment, :deployment, :wave, :targeting,
    (SELECT value FROM device_numbers WHERE name = 'change'), :last)
ON CONFLICT (environment) DO UPDATE SET deployment = EXCLUDED.deployment, wave = EXCLUDED.wave,
    targeting = EXCLUDED.targeting, change = EXCLUDED.change, number = EXCLUDED.number

-- name: open
SELECT n.environment, n.deployment, n.wave, n.targeting, n.change, n.number, c.value
FROM device_newcomers n JOIN device_numbers c ON c.name = 'change'
    JOIN device_rollouts r ON r.environment = n.environment AND r.deployment = n.deployment
WHERE r.status = 'complete' AND (n.change < c.value OR n.number < :last)
    AND NOT EXISTS (SELECT 1 FROM device_rollouts o
        WHERE o.environment = n.environment AND o.deployment > n.deployment)
ORDER BY n.environment

-- name: all
SELECT environment, deployment FROM device_newcomers ORDER BY environment

-- name: takes
SELECT deployment FROM device_newcomers
WHERE environment = :environment AND deployment = :deployment

-- name: close
DELETE FROM device_newcomers WHERE environment = :environment AND deployment = :deployment

-- name: not_begun
SELECT device, action FROM device_actions
WHERE environment = :environment AND deployment = :deployment AND state = 'assigned'
    AND wave IN (:wave, :via)
ORDER BY action LIMIT :limit

-- name: bound
SELECT change, number FROM device_heads WHERE (change, number) > (:change, :number)
ORDER BY change, number LIMIT 1 OFFSET :before

-- name: between
SELECT d.number, d.device, d.runs, COALESCE(t.auto_confirm, ''), d.hardware, d.attributes,
    COALESCE(t.standing, ''), COALESCE(t.profile, '')
FROM device_heads c CROSS JOIN devices d LEFT JOIN device_traits t ON t.number = d.number
WHERE (c.change, c.number) > (:change, :number)
    AND (c.change, c.number) <= (:to_change, :to_number) AND d.number = c.number
    AND d.environment || '' = :environment AND d.removed = 0 AND d.wants_attributes = 0
    AND COALESCE(t.standing, '') = ''
    AND NOT EXISTS (SELECT 1 FROM device_actions a WHERE a.number = d.number
        AND (a.deployment = :deployment
            OR a.state IN ('assigned', 'offered', 'downloading', 'installing', 'reported')))
ORDER BY d.number

-- name: begun
SELECT COALESCE(p.attribute, ''), a.version
FROM device_actions a JOIN devices d ON d.number = a.number
    LEFT JOIN device_action_parts p ON p.action = a.action
WHERE a.number = :number AND a.state IN ('failed', 'timed_out', 'unknown') AND a.progress > 0
    AND (d.runs = '' OR (p.attribute <> '' AND a.changed_ms >= d.attributes_ms))

-- name: looked
UPDATE device_newcomers SET change = :change, number = :number
WHERE environment = :environment AND deployment = :deployment

-- name: keep_claim
INSERT INTO device_claims (environment, deployment, wave, record)
SELECT environment, deployment, :newcomers, record FROM device_claims
WHERE environment = :environment AND deployment = :deployment AND wave = :wave
ON CONFLICT (environment, deployment, wave) DO NOTHING

-- name: hold
INSERT INTO device_holds (action, environment, deployment, held, again, due_ms)
SELECT action, environment, deployment, 'turn', :again, 0 FROM device_actions
WHERE environment = :environment AND deployment = :deployment AND state = 'assigned'
    AND wave IN (:wave, :via)
ON CONFLICT (action) DO NOTHING
