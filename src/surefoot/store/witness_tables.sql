-- A witness's own file: of each log the newest tree it cosigned, and when, in seconds.
CREATE TABLE IF NOT EXISTS witnessed (
    origin  TEXT PRIMARY KEY,
    size    INTEGER NOT NULL,
    root    TEXT NOT NULL,
    time_s  INTEGER NOT NULL
) WITHOUT ROWID;
