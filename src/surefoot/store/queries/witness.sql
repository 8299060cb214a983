-- name: newest
SELECT size, root, time_s FROM witnessed WHERE origin = :origin

-- name: put
INSERT INTO witnessed (origin, size, root, time_s) VALUES (:origin, :size, :root, :time_s)
ON CONFLICT (origin) DO UPDATE
SET size = excluded.size, root = excluded.root, time_s = excluded.time_s

-- name: every
SELECT origin, size, root, time_s FROM witnessed ORDER BY origin
