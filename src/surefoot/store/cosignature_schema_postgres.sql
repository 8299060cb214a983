-- Cosignatures of checkpoints, by size and by the cosigner's key in its one-line form; verified
-- before they are stored.
CREATE TABLE IF NOT EXISTS cosignatures (
    size    BIGINT NOT NULL,
    key     TEXT NOT NULL,
    time_s  BIGINT NOT NULL,
    line    TEXT NOT NULL,
    PRIMARY KEY (size, key)
);
CREATE INDEX IF NOT EXISTS cosignatures_by_key ON cosignatures (key, size);
