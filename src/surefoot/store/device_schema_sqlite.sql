-- Devices: registry, actions, reports and their batches. `device_numbers` hands out numbers that
-- are never used twice; every writer takes its row `lock` first, so numbers appear in order.
CREATE TABLE IF NOT EXISTS device_numbers (
    name   TEXT PRIMARY KEY,
    value  INTEGER NOT NULL
);
INSERT INTO device_numbers (name, value)
VALUES ('lock', 0), ('device', 0), ('action', 0), ('report', 0), ('change', 0)
ON CONFLICT DO NOTHING;

CREATE TABLE IF NOT EXISTS devices (
    number           INTEGER PRIMARY KEY,
    environment      TEXT NOT NULL,
    device           TEXT NOT NULL,
    hardware         TEXT NOT NULL,
    token_hash       BLOB NOT NULL,
    enrolled_ms      INTEGER NOT NULL,
    attributes       TEXT NOT NULL,
    attributes_ms    INTEGER NOT NULL,
    wants_attributes INTEGER NOT NULL,
    action           INTEGER NOT NULL,
    installed        INTEGER NOT NULL,
    runs             TEXT NOT NULL,
    removed          INTEGER NOT NULL,
    change           INTEGER NOT NULL
);
CREATE UNIQUE INDEX IF NOT EXISTS devices_by_name ON devices (environment, device)
    WHERE removed = 0;
CREATE INDEX IF NOT EXISTS devices_by_version ON devices (environment, runs, device)
    WHERE removed = 0;
CREATE INDEX IF NOT EXISTS devices_by_hardware ON devices (environment, hardware, device)
    WHERE removed = 0;
DROP INDEX IF EXISTS devices_by_change;
DROP INDEX IF EXISTS devices_in_order;

-- What a wave changes of a device: rows so small that a hundred thousand anywhere among a million
-- are few pages. `devices` keeps what it had when it came.
CREATE TABLE IF NOT EXISTS device_heads (
    number  INTEGER PRIMARY KEY,
    action  INTEGER NOT NULL,
    change  INTEGER NOT NULL
);
INSERT INTO device_heads (number, action, change)
SELECT d.number, d.action, d.change
FROM (SELECT 1 AS one WHERE NOT EXISTS (SELECT 1 FROM device_heads)) first CROSS JOIN devices d;
CREATE INDEX IF NOT EXISTS device_heads_in_order ON device_heads (change, number);

CREATE TABLE IF NOT EXISTS device_firmware (
    digest  TEXT PRIMARY KEY,
    record  TEXT NOT NULL
);

CREATE TABLE IF NOT EXISTS device_actions (
    action       INTEGER PRIMARY KEY,
    number       INTEGER NOT NULL,
    environment  TEXT NOT NULL,
    device       TEXT NOT NULL,
    deployment   INTEGER NOT NULL,
    wave         TEXT NOT NULL,
    kind         TEXT NOT NULL,
    release      TEXT NOT NULL,
    firmware     TEXT NOT NULL,
    version      TEXT NOT NULL,
    state        TEXT NOT NULL,
    cancelling   INTEGER NOT NULL,
    progress     INTEGER NOT NULL,
    reason       TEXT NOT NULL,
    assigned_ms  INTEGER NOT NULL,
    changed_ms   INTEGER NOT NULL,
    deadline_ms  INTEGER NOT NULL
);
DROP INDEX IF EXISTS device_actions_by_deployment;
DROP INDEX IF EXISTS device_actions_by_state;
DROP INDEX IF EXISTS device_actions_under_way;
CREATE INDEX IF NOT EXISTS device_actions_in_state
    ON device_actions (environment, deployment, state, device, number);
CREATE INDEX IF NOT EXISTS device_actions_by_device ON device_actions (number, action);
-- What a device may run although it has not shown it: few rows among all that were assigned.
CREATE INDEX IF NOT EXISTS device_actions_begun ON device_actions (environment, number)
    WHERE state NOT IN ('assigned', 'verified', 'returned');
-- Nor is one that a device told of without going on: it may have begun all the same.
CREATE INDEX IF NOT EXISTS device_actions_told_of ON device_actions (environment, number)
    WHERE state = 'assigned' AND progress > 0;
CREATE INDEX IF NOT EXISTS device_actions_due ON device_actions (deadline_ms)
    WHERE state IN ('assigned', 'offered', 'downloading', 'installing', 'reported');

-- How many of a rollout's actions are in each state, kept by whoever changes one.
CREATE TABLE IF NOT EXISTS device_tallies (
    environment  TEXT NOT NULL,
    deployment   INTEGER NOT NULL,
    wave         TEXT NOT NULL,
    state        TEXT NOT NULL,
    count        INTEGER NOT NULL,
    PRIMARY KEY (environment, deployment, wave, state)
);
INSERT INTO device_tallies (environment, deployment, wave, state, count)
SELECT environment, deployment, wave, state, COUNT(*)
FROM (SELECT 1 AS one WHERE NOT EXISTS (SELECT 1 FROM device_tallies)) first
    CROSS JOIN device_actions
GROUP BY environment, deployment, wave, state;

CREATE TABLE IF NOT EXISTS device_reports (
    report       INTEGER PRIMARY KEY,
    environment  TEXT NOT NULL,
    number       INTEGER NOT NULL,
    action       INTEGER NOT NULL,
    deployment   INTEGER NOT NULL,
    wave         TEXT NOT NULL,
    from_state   TEXT NOT NULL,
    to_state     TEXT NOT NULL,
    ran          TEXT NOT NULL,
    runs         TEXT NOT NULL,
    reason       TEXT NOT NULL,
    time_ms      INTEGER NOT NULL,
    body         BLOB NOT NULL
);
CREATE INDEX IF NOT EXISTS device_reports_by_environment ON device_reports (environment, report);
CREATE INDEX IF NOT EXISTS device_reports_by_device ON device_reports (number, report);

CREATE TABLE IF NOT EXISTS device_batches (
    environment   TEXT NOT NULL,
    first_report  INTEGER NOT NULL,
    last_report   INTEGER NOT NULL,
    deployment    INTEGER NOT NULL,
    record        TEXT NOT NULL,
    journal_index INTEGER NOT NULL,
    PRIMARY KEY (environment, first_report)
);
CREATE INDEX IF NOT EXISTS device_batches_by_deployment
    ON device_batches (environment, deployment, last_report);

CREATE TABLE IF NOT EXISTS device_seen (
    number   INTEGER PRIMARY KEY,
    seen_ms  INTEGER NOT NULL
);

CREATE TABLE IF NOT EXISTS device_rollouts (
    environment  TEXT NOT NULL,
    deployment   INTEGER NOT NULL,
    release      TEXT NOT NULL,
    firmware     TEXT NOT NULL,
    version      TEXT NOT NULL,
    status       TEXT NOT NULL,
    started_ms   INTEGER NOT NULL,
    PRIMARY KEY (environment, deployment)
);

CREATE TABLE IF NOT EXISTS device_fences (
    environment  TEXT PRIMARY KEY,
    fence        INTEGER NOT NULL
);

-- The step of a wave with the proof of its claim: the door verifies it before it offers.
CREATE TABLE IF NOT EXISTS device_claims (
    environment  TEXT NOT NULL,
    deployment   INTEGER NOT NULL,
    wave         TEXT NOT NULL,
    record       BLOB NOT NULL,
    PRIMARY KEY (environment, deployment, wave)
);

CREATE TABLE IF NOT EXISTS device_receipts (
    environment  TEXT NOT NULL,
    operation    TEXT NOT NULL,
    outcome      TEXT NOT NULL,
    PRIMARY KEY (environment, operation)
);

-- What came later to devices and actions; one without a row here has the defaults: all empty.
CREATE TABLE IF NOT EXISTS device_traits (
    number        INTEGER PRIMARY KEY,
    standing      TEXT NOT NULL,
    profile       TEXT NOT NULL,
    profile_by    TEXT NOT NULL,
    auto_confirm  TEXT NOT NULL
);
CREATE INDEX IF NOT EXISTS device_traits_by_standing ON device_traits (standing)
    WHERE standing <> '';

-- What people call a device: sorted, a space between two.
CREATE TABLE IF NOT EXISTS device_tags (
    number  INTEGER PRIMARY KEY,
    tags    TEXT NOT NULL
);

-- The devices of a tag, by name.
CREATE TABLE IF NOT EXISTS device_tag_names (
    environment  TEXT NOT NULL,
    tag          TEXT NOT NULL,
    device       TEXT NOT NULL,
    number       INTEGER NOT NULL,
    PRIMARY KEY (environment, tag, device, number)
);
INSERT INTO device_tag_names (environment, tag, device, number)
SELECT d.environment, t.value, d.device, d.number
FROM (SELECT 1 AS one WHERE NOT EXISTS (SELECT 1 FROM device_tag_names)) first
    CROSS JOIN device_tags g JOIN devices d ON d.number = g.number
    JOIN json_each('["' || replace(g.tags, ' ', '","') || '"]') AS t
WHERE g.tags <> '';

CREATE TABLE IF NOT EXISTS device_action_traits (
    action    INTEGER PRIMARY KEY,
    consent   TEXT NOT NULL,
    strength  TEXT NOT NULL
);

-- Actions about a part of its own; without a row here: the image that the usual names tell.
CREATE TABLE IF NOT EXISTS device_action_parts (
    action     INTEGER PRIMARY KEY,
    attribute  TEXT NOT NULL
);

CREATE TABLE IF NOT EXISTS device_routes (
    environment  TEXT NOT NULL,
    deployment   INTEGER NOT NULL,
    kind         TEXT NOT NULL,
    record       TEXT NOT NULL,
    PRIMARY KEY (environment, deployment, kind)
);

-- Actions that wait for their turn (`held` says why; without a row: may begin), and those let begin
-- that may be held again at `due_ms`. `again`: 0 not counted yet, 1 let begin before, 2 another
-- attempt after a failure.
CREATE TABLE IF NOT EXISTS device_holds (
    action       INTEGER PRIMARY KEY,
    environment  TEXT NOT NULL,
    deployment   INTEGER NOT NULL,
    held         TEXT NOT NULL,
    again        INTEGER NOT NULL,
    due_ms       INTEGER NOT NULL
);
CREATE INDEX IF NOT EXISTS device_holds_waiting
    ON device_holds (environment, deployment, again, due_ms, action) WHERE held <> '';
CREATE INDEX IF NOT EXISTS device_holds_begun
    ON device_holds (environment, deployment, due_ms) WHERE held = '';

-- By what a rollout's devices are paced, and how far that is.
CREATE TABLE IF NOT EXISTS device_paces (
    environment  TEXT NOT NULL,
    deployment   INTEGER NOT NULL,
    terms        TEXT NOT NULL,
    record       TEXT NOT NULL,
    done         INTEGER NOT NULL,
    PRIMARY KEY (environment, deployment)
);

-- The newest rollout whose last wave was assigned, and how far changed devices were looked at
-- since.
CREATE TABLE IF NOT EXISTS device_newcomers (
    environment  TEXT PRIMARY KEY,
    deployment   INTEGER NOT NULL,
    wave         TEXT NOT NULL,
    targeting    TEXT NOT NULL,
    change       INTEGER NOT NULL,
    number       INTEGER NOT NULL
);

CREATE TABLE IF NOT EXISTS device_gateways (
    environment  TEXT PRIMARY KEY,
    token_hash   BLOB NOT NULL
);
