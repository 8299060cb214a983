-- Secrets: ciphertext only. A data key is wrapped to age recipients; a value is never changed.
CREATE TABLE IF NOT EXISTS secret_keys (
    environment    TEXT NOT NULL,
    epoch          BIGINT NOT NULL,
    wrapped        BYTEA NOT NULL,
    recipients     TEXT NOT NULL,
    seal           BYTEA NOT NULL,
    created_at_ms  BIGINT NOT NULL,
    PRIMARY KEY (environment, epoch)
);
CREATE TABLE IF NOT EXISTS secret_values (
    environment    TEXT NOT NULL,
    name           TEXT NOT NULL,
    version        BIGINT NOT NULL,
    epoch          BIGINT NOT NULL,
    ciphertext     BYTEA NOT NULL,
    fingerprint    TEXT NOT NULL,
    seal           BYTEA NOT NULL,
    created_at_ms  BIGINT NOT NULL,
    PRIMARY KEY (environment, name, version)
);
