"""Which server and which key: from the options, else the environment, else the settings file.

Keeps: the settings file holds names and paths, never a key or a secret; it is written whole.
Does not: talk to the server.
"""

from __future__ import annotations

import argparse
import json
import os
from pathlib import Path
from typing import Any, NamedTuple

from surefoot.core.errors import Refused

_SIZE_MAX = 64 * 1024
_NAMES = ("server", "key", "installation")


class Settings(NamedTuple):
    """`installation` is pinned by `surefoot use`; empty means: ask the server."""

    server: str
    key: str
    installation: str


def path() -> Path:
    """Where the settings are: SUREFOOT_CONFIG, else under the person's configuration folder."""
    named = os.environ.get("SUREFOOT_CONFIG")
    if named:
        return Path(named)
    base = os.environ.get("XDG_CONFIG_HOME") or os.path.expanduser("~/.config")
    return Path(base) / "surefoot" / "config.json"


def resolve(options: argparse.Namespace) -> Settings:
    """The settings for this run. Raises `Refused("settings.file.input")` for a broken file."""
    kept = load(path())
    server = options.server or os.environ.get("SUREFOOT_SERVER", "") or kept["server"]
    key = options.key or os.environ.get("SUREFOOT_KEY", "") or kept["key"]
    same = server == kept["server"]
    return Settings(server, key, kept["installation"] if same else "")


def load(file: Path) -> dict[str, str]:
    """The settings in a file; empty ones when there is none."""
    empty = dict.fromkeys(_NAMES, "")
    try:
        content = file.read_bytes()[: _SIZE_MAX + 1]
        value: Any = json.loads(content)
    except FileNotFoundError:
        return empty
    except (OSError, ValueError) as error:
        raise _broken(file, str(error)) from None
    if not isinstance(value, dict) or len(content) > _SIZE_MAX:
        raise _broken(file, "something else")
    wrong = [k for k, v in value.items() if k not in _NAMES or not isinstance(v, str)]
    if wrong:
        raise _broken(file, f"member {wrong[0]!r}")
    return empty | value


def save(file: Path, settings: Settings) -> None:
    """Write the settings; a crash leaves the old file or the new one."""
    file.parent.mkdir(parents=True, exist_ok=True)
    fresh = file.with_suffix(".new")
    fresh.write_text(json.dumps(settings._asdict(), indent=2) + "\n", encoding="utf-8")
    fresh.replace(file)


def _broken(file: Path, found: str) -> Refused:
    return Refused(
        "settings.file.input",
        f"settings {file}",
        expected=f"a JSON object with texts {', '.join(_NAMES)}",
        found=found[:200],
        remedy="correct it, or remove it and run: surefoot use --server URL --key FILE",
    )
