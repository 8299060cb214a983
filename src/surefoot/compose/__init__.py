"""The composition root: the only place that names concrete classes and puts them together.

A data folder holds `settings.json`, `keys/` (log, builder, installation, runner identities),
`store/` (SQLite), `blobs/`, `checkpoint/` (the last checkpoint, outside the database), `targets/`,
`builds/` and `drafts/`. Keeps: private keys 0600, folders 0700; one process per folder on SQLite.
"""

from __future__ import annotations

from surefoot.compose.folder import (
    FounderKey,
    Settings,
    checkpoint_path,
    initialise,
    load_settings,
    log_key,
    open_log,
    open_store,
)
from surefoot.compose.installation import Installation, opened

__all__ = [
    "FounderKey",
    "Installation",
    "Settings",
    "checkpoint_path",
    "initialise",
    "load_settings",
    "log_key",
    "open_log",
    "open_store",
    "opened",
]
