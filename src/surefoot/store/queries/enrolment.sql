-- name: insert_code
INSERT INTO enrolment_codes (code_hash, name, environment, hardware, device, expires_ms, tries,
    withdrawn, used_by, used_ms, token_hash, number)
VALUES (:code_hash, :name, :environment, :hardware, :device, :expires_ms, 0, 0, '', 0,
    :token_hash, 0)

-- name: code
SELECT environment, hardware, device, expires_ms, tries, withdrawn, used_by, used_ms, token_hash,
    number
FROM enrolment_codes WHERE code_hash = :code_hash

-- name: codes
SELECT name, hardware, device, expires_ms, tries, withdrawn, used_by, used_ms
FROM enrolment_codes WHERE environment = :environment AND name > :after
ORDER BY name LIMIT :limit

-- name: open_codes
SELECT name FROM enrolment_codes
WHERE environment = :environment AND used_ms = 0 AND withdrawn = 0 AND expires_ms > :now_ms
ORDER BY name

-- name: count_codes
SELECT COUNT(*) FROM enrolment_codes
WHERE environment = :environment AND used_ms = 0 AND withdrawn = 0 AND expires_ms > :now_ms

-- name: drop_old_codes
DELETE FROM enrolment_codes WHERE environment = :environment AND expires_ms < :before_ms

-- name: withdraw_code
UPDATE enrolment_codes SET withdrawn = 1
WHERE environment = :environment AND name = :name AND used_ms = 0

-- name: use_code
UPDATE enrolment_codes SET used_by = :used_by, used_ms = :used_ms, token_hash = :token_hash,
    number = :number
WHERE code_hash = :code_hash AND used_ms = 0 AND withdrawn = 0

-- name: misuse_code
UPDATE enrolment_codes SET tries = tries + 1 WHERE code_hash = :code_hash AND used_ms = 0

-- name: device_token
SELECT number, token_hash FROM devices
WHERE environment = :environment AND device = :device AND removed = 0

-- name: drop_codes
DELETE FROM enrolment_codes WHERE environment = :environment

-- name: drop_authorities
DELETE FROM device_authorities WHERE environment = :environment

-- name: put_authorities
INSERT INTO device_authorities (environment, certificates, required)
VALUES (:environment, :certificates, :required)

-- name: authorities
SELECT environment, certificates, required FROM device_authorities ORDER BY environment

-- name: bind
INSERT INTO device_certificates (number, fingerprint)
SELECT number, :fingerprint FROM devices
WHERE environment = :environment AND device = :device AND removed = 0
ON CONFLICT (number) DO UPDATE SET fingerprint = excluded.fingerprint

-- name: credential
SELECT COALESCE(t.standing, ''), COALESCE(c.fingerprint, '')
FROM devices d LEFT JOIN device_traits t ON t.number = d.number
    LEFT JOIN device_certificates c ON c.number = d.number
WHERE d.environment = :environment AND d.device = :device AND d.removed = 0

-- name: bind_new
INSERT INTO device_certificates (number, fingerprint)
SELECT number, :fingerprint FROM devices WHERE number = :number
