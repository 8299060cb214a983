"""Files that commands read and write, with errors that say what to do.

Keeps: what is read is bounded; what is written is new.
"""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Any

from surefoot.core.errors import Failed, Refused

_BYTES_MAX = 16 * 1024 * 1024


def read(file: Path) -> bytes:
    """The content; `-` is standard input. Raises `Refused("file.path.unknown")`."""
    try:
        if str(file) == "-":
            content = sys.stdin.buffer.read(_BYTES_MAX + 1)
        else:
            with file.open("rb") as opened:
                content = opened.read(_BYTES_MAX + 1)
    except OSError as error:
        raise Refused(
            "file.path.unknown",
            f"file {file}",
            expected="a file that can be read",
            found=error.strerror or str(error),
            remedy="name another file",
        ) from None
    if len(content) > _BYTES_MAX:
        raise Refused(
            "file.size.input", f"file {file}", expected=f"at most {_BYTES_MAX} bytes", found="more"
        )
    return content


def read_json(file: Path) -> Any:
    """The value in a JSON file. Raises `Refused("file.json.input")`."""
    try:
        return json.loads(read(file))
    except ValueError as error:
        raise Refused(
            "file.json.input",
            f"file {file}",
            expected="JSON",
            found=str(error)[:200],
            remedy="correct the file",
        ) from None


def write_new(file: Path, content: bytes) -> None:
    """Write a file that must not exist. Raises `Refused("file.new.exists")`."""
    try:
        with file.open("xb") as opened:
            opened.write(content)
    except FileExistsError:
        raise Refused(
            "file.new.exists",
            f"file {file}",
            expected="a name that is not taken",
            found="a file",
            remedy="choose another name",
        ) from None
    except OSError as error:
        raise Failed(
            "file.write.failed",
            f"file {file}",
            expected="a file that can be written",
            found=error.strerror or str(error),
            remedy="choose another place",
        ) from None
