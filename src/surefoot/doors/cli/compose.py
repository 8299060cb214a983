"""The one bridge to the composition root, imported only by the commands that need it.

Does not: cost the other commands anything.
"""

from __future__ import annotations

import importlib
from pathlib import Path
from typing import Any

from surefoot.core.errors import Refused


def load(name: str = "") -> Any:
    """The composition root, or one of its modules."""
    return importlib.import_module(f"surefoot.compose.{name}" if name else "surefoot.compose")


def data_folder(text: str) -> Path:
    """The folder that `--data` names, absolute. Raises `Refused("folder.data.input")` for none."""
    if not text:
        raise Refused(
            "folder.data.input",
            "data folder",
            expected="--data FOLDER",
            found="none",
            remedy="name the folder that surefoot init made",
        )
    # Builds, targets and keepers run in folders of their own: a relative path would mean others.
    return Path(text).absolute()
