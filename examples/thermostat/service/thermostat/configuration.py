"""Reads the configuration and the secrets, once, at start.

The configuration is JSON: the environment's values and "database", the address of a SQLite file
(a path, `sqlite:PATH` or `sqlite:///PATH`). The secrets are JSON: name to text. A value missing
here is an error at start, not later in the middle of a request.
"""

from __future__ import annotations

import json
from dataclasses import dataclass, field
from pathlib import Path


class Unusable(Exception):
    """The service cannot start with what it was given; the message says what to change."""


@dataclass(frozen=True)
class Configuration:
    """Checked values. `session_key` is never printed."""

    database: Path
    greeting: str
    sample_seconds: int
    session_key: bytes = field(repr=False)


def read(configuration: Path, secrets: Path) -> Configuration:
    """Read both files. Raises `Unusable`."""
    values = _object(configuration)
    merged = {**values, **_mapping(values.get("values", {}), f"{configuration}: values")}
    key = _object(secrets).get("session_key")
    if not isinstance(key, str) or len(key) < 16:
        raise Unusable(f"{secrets}: session_key: expected a text of at least 16 characters")
    seconds = merged.get("sample_seconds", 60)
    if not isinstance(seconds, int) or isinstance(seconds, bool) or not 1 <= seconds <= 3600:
        raise Unusable(f"{configuration}: sample_seconds: expected 1 to 3600, found {seconds!r}")
    return Configuration(
        database=database_path(merged.get("database")),
        greeting=str(merged.get("greeting", "")),
        sample_seconds=seconds,
        session_key=key.encode(),
    )


def database_path(address: object) -> Path:
    """The file behind a database address. Raises `Unusable` for anything but SQLite."""
    if not isinstance(address, str) or not address:
        raise Unusable(f"database: expected the path of a SQLite file, found {address!r}")
    if address.startswith(("postgres:", "postgresql:")) or "dbname=" in address:
        raise Unusable(
            "database: expected the path of a SQLite file, found a PostgreSQL address; "
            "this example keeps to the standard library: declare engine: sqlite, "
            "or add a PostgreSQL driver to the service"
        )
    if address.startswith("sqlite:"):
        address = address.removeprefix("sqlite:").replace("///", "/", 1)
    return Path(address)


def _object(path: Path) -> dict[str, object]:
    try:
        content = json.loads(path.read_bytes())
    except OSError as error:
        raise Unusable(f"{path}: cannot be read: {error.strerror}") from None
    except ValueError:
        # The parser's own message may quote the content, and this may be the secrets' file.
        raise Unusable(f"{path}: expected a JSON object") from None
    return _mapping(content, str(path))


def _mapping(content: object, where: str) -> dict[str, object]:
    if not isinstance(content, dict):
        raise Unusable(f"{where}: expected a JSON object")
    return content
