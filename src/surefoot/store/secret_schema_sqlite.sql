-- Secrets: ciphertext only. A data key is wrapped to age recipients; a value is never changed.
CREATE TABLE IF NOT EXISTS secret_keys (
    environment    TEXT NOT NULL,
    epoch          INTEGER NOT NULL,
    wrapped        BLOB NOT NULL,
    recipients     TEXT NOT NULL,
    seal           BLOB NOT NULL,
    created_at_ms  INTEGER NOT NULL,
    PRIMARY KEY (environment, epoch)
);
CREATE TABLE IF NOT EXISTS secret_values (
    environment    TEXT NOT NULL,
    name           TEXT NOT NULL,
    version        INTEGER NOT NULL,
    epoch          INTEGER NOT NULL,
    ciphertext     BLOB NOT NULL,
    fingerprint    TEXT NOT NULL,
    seal           BLOB NOT NULL,
    created_at_ms  INTEGER NOT NULL,
    PRIMARY KEY (environment, name, version)
);
