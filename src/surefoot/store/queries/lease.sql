-- name: acquire
INSERT INTO leases (name, worker, fence, expires_ms) VALUES (:name, :worker, 1, :expires_ms)
ON CONFLICT (name) DO UPDATE
SET worker = :worker, fence = leases.fence + 1, expires_ms = :expires_ms
WHERE leases.expires_ms <= :now_ms OR leases.worker = :worker
RETURNING fence

-- name: renew
UPDATE leases SET expires_ms = :expires_ms
WHERE name = :name AND worker = :worker AND fence = :fence AND expires_ms > :now_ms

-- name: release
UPDATE leases SET expires_ms = 0 WHERE name = :name AND worker = :worker AND fence = :fence

-- name: holder
SELECT worker, fence, expires_ms FROM leases WHERE name = :name

-- name: clear
UPDATE leases SET expires_ms = 0
