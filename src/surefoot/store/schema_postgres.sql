-- The journal's tables and the leases. Every leaf of the tree is one row of `entries`; a seal has
-- no stream. Tree nodes are not stored: they are computed from the leaves at start.
CREATE TABLE IF NOT EXISTS entries (
    idx      BIGINT PRIMARY KEY,
    stream   TEXT,
    n        BIGINT,
    kind     TEXT NOT NULL,
    time_ms  BIGINT NOT NULL,
    raw      BYTEA NOT NULL
);
CREATE UNIQUE INDEX IF NOT EXISTS entries_by_stream ON entries (stream, n) WHERE stream IS NOT NULL;
CREATE INDEX IF NOT EXISTS entries_by_stream_time ON entries (stream, time_ms, n)
    WHERE stream IS NOT NULL;

-- The state of the entry's stream after it. By position and not by digest: rows in the order in
-- which they come cost a third of the writes, and a verification reads them with the entries.
CREATE TABLE IF NOT EXISTS entry_states (
    idx      BIGINT PRIMARY KEY,
    content  BYTEA NOT NULL
);

CREATE TABLE IF NOT EXISTS journal_head (
    one      SMALLINT PRIMARY KEY CHECK (one = 1),
    size     BIGINT NOT NULL,
    root     TEXT NOT NULL
);
INSERT INTO journal_head (one, size, root) VALUES (1, 0, '') ON CONFLICT DO NOTHING;

CREATE TABLE IF NOT EXISTS checkpoints (
    size     BIGINT PRIMARY KEY,
    note     TEXT NOT NULL
);

-- Words behind the commitments in entries; a row is deleted when they have to be forgotten.
CREATE TABLE IF NOT EXISTS payloads (
    commitment  TEXT PRIMARY KEY,
    salt        BYTEA NOT NULL,
    content     TEXT NOT NULL
);

CREATE TABLE IF NOT EXISTS leases (
    name       TEXT PRIMARY KEY,
    worker     TEXT NOT NULL,
    fence      BIGINT NOT NULL,
    expires_ms BIGINT NOT NULL
);
