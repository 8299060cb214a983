-- name: put
INSERT INTO device_paces (environment, deployment, terms, record, done)
VALUES (:environment, :deployment, :terms, '{}', 0)
ON CONFLICT (environment, deployment) DO UPDATE SET done = 0

-- name: rollouts
SELECT environment, deployment FROM device_paces WHERE done = 0 ORDER BY environment, deployment

-- name: find
SELECT p.terms, p.record, r.status FROM device_paces p JOIN device_rollouts r
    ON r.environment = p.environment AND r.deployment = p.deployment
WHERE p.environment = :environment AND p.deployment = :deployment

-- name: keep
UPDATE device_paces SET record = :record, done = :done
WHERE environment = :environment AND deployment = :deployment

-- name: hold_wave
INSERT INTO device_holds (action, environment, deployment, held, again, due_ms)
SELECT action, environment, deployment, 'turn', 0, 0 FROM device_actions
WHERE environment = :environment AND deployment = :deployment AND state = 'assigned'
    AND wave IN (:wave, :via)
ON CONFLICT (action) DO NOTHING

-- name: hold
INSERT INTO device_holds (action, environment, deployment, held, again, due_ms)
VALUES (:action, :environment, :deployment, :held, :again, :due_ms)
ON CONFLICT (action) DO UPDATE SET held = EXCLUDED.held, again = EXCLUDED.again,
    due_ms = EXCLUDED.due_ms

-- name: pause
INSERT INTO device_holds (action, environment, deployment, held, again, due_ms)
SELECT action, environment, deployment, 'paused', 0, 0 FROM device_actions
WHERE environment = :environment AND deployment = :deployment AND kind <> 'return'
    AND state = 'assigned'
ON CONFLICT (action) DO UPDATE SET held = 'paused', due_ms = 0,
    again = CASE WHEN device_holds.again = 0 THEN 1 ELSE device_holds.again END
    WHERE device_holds.held = ''

-- name: stop_clocks
UPDATE device_actions SET deadline_ms = :never_ms
WHERE action IN (SELECT action FROM device_holds WHERE environment = :environment
    AND deployment = :deployment AND held = 'paused')

-- name: touch_paused
UPDATE device_heads SET change = :change
WHERE number IN (SELECT a.number FROM device_holds h JOIN device_actions a ON a.action = h.action
        WHERE h.environment = :environment AND h.deployment = :deployment AND h.held = 'paused')
    AND action IN (SELECT action FROM device_holds
        WHERE environment = :environment AND deployment = :deployment AND held = 'paused')

-- name: resume
UPDATE device_holds SET held = 'turn', due_ms = 0
WHERE environment = :environment AND deployment = :deployment AND held = 'paused'

-- name: waiting
SELECT h.action, a.number, a.state, h.again, d.attributes FROM device_holds h
    JOIN device_actions a ON a.action = h.action JOIN devices d ON d.number = a.number
WHERE h.environment = :environment AND h.deployment = :deployment AND h.held <> ''
    AND h.again = :again AND h.due_ms <= :now_ms
ORDER BY h.due_ms, h.action LIMIT :limit

-- name: closing
SELECT h.action, a.number, a.state, h.again, d.attributes FROM device_holds h
    JOIN device_actions a ON a.action = h.action JOIN devices d ON d.number = a.number
WHERE h.environment = :environment AND h.deployment = :deployment AND h.held = ''
    AND h.due_ms <= :now_ms
ORDER BY h.due_ms LIMIT :limit

-- name: first_held
SELECT action FROM device_holds
WHERE environment = :environment AND deployment = :deployment
    AND (held <> '' OR due_ms < :never_ms) LIMIT 1

-- name: begun
SELECT COUNT(*) FROM device_actions WHERE environment = :environment
    AND deployment = :deployment AND kind <> 'return'
    AND state IN ('offered', 'downloading', 'installing', 'reported')

-- name: let_begin
SELECT COUNT(*) FROM device_holds h JOIN device_actions a ON a.action = h.action
WHERE h.environment = :environment AND h.deployment = :deployment AND h.held = ''
    AND a.state = 'assigned'

-- name: not_begun
SELECT device, action FROM device_actions
WHERE environment = :environment AND deployment = :deployment AND kind <> 'return'
    AND state = 'assigned'
ORDER BY action LIMIT :limit

-- name: sweep
DELETE FROM device_holds WHERE environment = :environment AND deployment = :deployment
    AND held = '' AND again < 2
    AND action IN (SELECT h.action FROM device_holds h JOIN device_actions a ON a.action = h.action
        WHERE h.environment = :environment AND h.deployment = :deployment AND h.held = ''
            AND a.state <> 'assigned')

-- name: open
SELECT action FROM device_actions
WHERE environment = :environment AND deployment = :deployment AND kind = 'update'
    AND state IN ('assigned', 'offered', 'downloading', 'installing') LIMIT 1

-- name: touch_bound
UPDATE device_heads SET change = :change
WHERE number IN (SELECT number FROM device_actions
    WHERE environment = :environment AND deployment = :deployment AND kind = 'update'
        AND state IN ('assigned', 'offered', 'downloading', 'installing')
        AND assigned_ms > :after_ms AND assigned_ms <= :until_ms)

-- name: held
SELECT held, COUNT(*), MIN(due_ms) FROM device_holds
WHERE environment = :environment AND deployment = :deployment AND held <> ''
GROUP BY held ORDER BY held

-- name: held_action
SELECT held, due_ms FROM device_holds WHERE action = :action AND held <> ''

-- name: drop
DELETE FROM device_holds WHERE action = :action

-- name: deadline
UPDATE device_actions SET deadline_ms = :deadline_ms WHERE action = :action

-- name: touch
UPDATE device_heads SET change = :change WHERE number = :number

-- name: attempts
SELECT COUNT(*) FROM device_actions
WHERE number = :number AND environment = :environment AND deployment = :deployment
    AND firmware = :firmware
    AND kind <> 'return'

-- name: repeat
SELECT a.release, f.record FROM device_actions a JOIN device_firmware f ON f.digest = a.firmware
WHERE a.action = :action

-- name: reopen
UPDATE device_paces SET done = 0 WHERE environment = :environment AND deployment = :deployment
