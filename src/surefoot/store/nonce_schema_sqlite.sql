-- Nonces of signed commands, kept until their time is too old to be accepted.
CREATE TABLE IF NOT EXISTS nonces (
    nonce    TEXT PRIMARY KEY,
    time_ms  INTEGER NOT NULL
);
CREATE INDEX IF NOT EXISTS nonces_by_time ON nonces (time_ms);
