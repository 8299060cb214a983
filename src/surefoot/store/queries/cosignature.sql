-- name: add
INSERT INTO cosignatures (size, key, time_s, line) VALUES (:size, :key, :time_s, :line)
ON CONFLICT DO NOTHING

-- name: lines
SELECT line FROM cosignatures WHERE size = :size ORDER BY time_s, key

-- name: keyed
SELECT key, time_s, line FROM cosignatures WHERE size = :size ORDER BY time_s, key

-- name: newest
SELECT size, time_s FROM cosignatures WHERE key = :key ORDER BY size DESC LIMIT 1

-- name: first
SELECT MIN(time_s) FROM cosignatures WHERE key = :key

-- name: sizes_upto
SELECT DISTINCT size FROM cosignatures WHERE size <= :size ORDER BY size DESC LIMIT :limit

-- name: sizes_after
SELECT DISTINCT size FROM cosignatures WHERE size > :size ORDER BY size LIMIT :limit
