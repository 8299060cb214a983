-- name: add_key
INSERT INTO secret_keys (environment, epoch, wrapped, recipients, seal, created_at_ms)
VALUES (:environment, :epoch, :wrapped, :recipients, :seal, :created_at_ms)
ON CONFLICT DO NOTHING

-- name: rewrap_key
UPDATE secret_keys SET wrapped = :wrapped, recipients = :recipients, seal = :seal
WHERE environment = :environment AND epoch = :epoch AND seal = :old_seal

-- name: keys
SELECT environment, epoch, wrapped, recipients, seal, created_at_ms
FROM secret_keys WHERE environment = :environment ORDER BY epoch

-- name: add_value
INSERT INTO secret_values
    (environment, name, version, epoch, ciphertext, fingerprint, seal, created_at_ms)
VALUES (:environment, :name, :version, :epoch, :ciphertext, :fingerprint, :seal, :created_at_ms)
ON CONFLICT DO NOTHING

-- name: value
SELECT environment, name, version, epoch, ciphertext, fingerprint, seal, created_at_ms
FROM secret_values WHERE environment = :environment AND name = :name AND version = :version

-- name: values
SELECT environment, name, version, epoch, ciphertext, fingerprint, seal, created_at_ms
FROM secret_values WHERE environment = :environment ORDER BY name, version

-- name: environments
SELECT DISTINCT environment FROM secret_keys ORDER BY environment
