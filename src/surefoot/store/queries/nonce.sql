-- name: take
INSERT INTO nonces (nonce, time_ms) VALUES (:nonce, :time_ms) ON CONFLICT (nonce) DO NOTHING

-- name: forget
DELETE FROM nonces WHERE time_ms < :before_ms
