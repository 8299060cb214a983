-- name: head
SELECT size, root FROM journal_head WHERE one = 1

-- name: move_head
UPDATE journal_head SET size = :size, root = :root WHERE one = 1 AND size = :old

-- name: insert_entry
INSERT INTO entries (idx, stream, n, kind, time_ms, raw)
VALUES (:idx, :stream, :n, :kind, :time_ms, :raw)

-- name: insert_state
INSERT INTO entry_states (idx, content) VALUES (:idx, :content)
ON CONFLICT (idx) DO UPDATE SET content = EXCLUDED.content

-- name: mend_state
INSERT INTO entry_states (idx, content) VALUES (:idx, :content) ON CONFLICT DO NOTHING

-- name: insert_checkpoint
INSERT INTO checkpoints (size, note) VALUES (:size, :note) ON CONFLICT DO NOTHING

-- name: newest_checkpoint
SELECT size, note FROM checkpoints ORDER BY size DESC LIMIT 1

-- name: leaves_from
SELECT idx, raw, stream, n, kind, time_ms FROM entries WHERE idx >= :first
ORDER BY idx LIMIT :limit

-- name: bytes_from
SELECT idx, raw FROM entries WHERE idx >= :first ORDER BY idx LIMIT :limit

-- name: leaves_and_states_from
SELECT e.idx, raw, stream, n, kind, time_ms,
    CASE WHEN LENGTH(content) <= :size_bytes_max THEN content END
FROM entries e LEFT JOIN entry_states s ON s.idx = e.idx WHERE e.idx >= :first
ORDER BY e.idx LIMIT :limit

-- name: entries_from
SELECT idx, raw FROM entries WHERE idx >= :first AND stream IS NOT NULL ORDER BY idx LIMIT :limit

-- name: stream_oldest
SELECT idx, raw FROM entries WHERE stream = :stream AND n >= :first ORDER BY n LIMIT :limit

-- name: stream_newest
SELECT idx, raw FROM entries WHERE stream = :stream AND n >= :first ORDER BY n DESC LIMIT :limit

-- name: entry_at
SELECT idx, raw FROM entries WHERE stream = :stream AND time_ms <= :time_ms
ORDER BY time_ms DESC, n DESC LIMIT 1

-- name: state
SELECT content FROM entry_states WHERE idx = :idx

-- name: states_from
SELECT idx, content FROM entry_states WHERE idx >= :first ORDER BY idx LIMIT :limit

-- name: streams
SELECT DISTINCT stream FROM entries WHERE stream IS NOT NULL ORDER BY stream

-- name: checkpoints_after
SELECT size, note FROM checkpoints WHERE size > :size ORDER BY size LIMIT :limit

-- name: entries_before
SELECT idx, raw FROM entries WHERE idx < :before AND stream IS NOT NULL
ORDER BY idx DESC LIMIT :limit

-- name: leaf_time
SELECT time_ms FROM entries WHERE idx = :idx

-- name: checkpoint_upto
SELECT size, note FROM checkpoints WHERE size <= :size ORDER BY size DESC LIMIT 1

-- name: entry_below
SELECT idx, raw FROM entries WHERE stream = :stream AND time_ms <= :time_ms AND idx < :below
ORDER BY time_ms DESC, n DESC LIMIT 1

-- name: insert_payload
INSERT INTO payloads (commitment, salt, content) VALUES (:commitment, :salt, :content)
ON CONFLICT DO NOTHING

-- name: payload
SELECT salt, content FROM payloads WHERE commitment = :commitment

-- name: delete_payload
DELETE FROM payloads WHERE commitment = :commitment
