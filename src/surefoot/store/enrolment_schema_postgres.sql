-- How devices come to speak: one-time codes, the certificate of a device that is bound to one, and
-- whose certificates an environment believes. `tries` are uses of a code that did not fit.
CREATE TABLE IF NOT EXISTS enrolment_codes (
    code_hash    BYTEA PRIMARY KEY,
    name         TEXT NOT NULL,
    environment  TEXT NOT NULL,
    hardware     TEXT NOT NULL,
    device       TEXT NOT NULL,
    expires_ms   BIGINT NOT NULL,
    tries        INTEGER NOT NULL,
    withdrawn    INTEGER NOT NULL,
    used_by      TEXT NOT NULL,
    used_ms      BIGINT NOT NULL,
    token_hash   BYTEA NOT NULL,
    number       BIGINT NOT NULL
);
CREATE INDEX IF NOT EXISTS enrolment_codes_by_environment ON enrolment_codes (environment, name);

CREATE TABLE IF NOT EXISTS device_certificates (
    number       BIGINT PRIMARY KEY,
    fingerprint  TEXT NOT NULL
);

CREATE TABLE IF NOT EXISTS device_authorities (
    environment  TEXT PRIMARY KEY,
    certificates TEXT NOT NULL,
    required     INTEGER NOT NULL
);
