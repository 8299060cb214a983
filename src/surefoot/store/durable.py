"""Small files that a crash leaves whole, the old content or the new; and a folder of one's own.

Keeps: content first, then the name, then the folder that holds the name. Does not: notice two
writers of one file; whoever writes holds what makes it the only one.
"""

from __future__ import annotations

import fcntl
import os
from pathlib import Path

from surefoot.core.errors import Refused

_LOCK_NAME = "lock"


def write_durably(path: Path, content: bytes, mode: int = 0o600) -> None:
    """Replace a file's content; on return it survives a power cut."""
    path.parent.mkdir(parents=True, exist_ok=True)
    beside = path.with_name(f".{path.name}.{os.getpid()}.new")
    descriptor = os.open(beside, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, mode)
    try:
        with os.fdopen(descriptor, "wb") as file:
            file.write(content)
            file.flush()
            os.fsync(file.fileno())
        os.replace(beside, path)
    except BaseException:
        beside.unlink(missing_ok=True)
        raise
    sync_folder(path.parent)


def sync_folder(folder: Path) -> None:
    """Make renames and new names in a folder durable."""
    descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def lock_folder(
    folder: Path, code: str = "store.directory.locked", subject: str = "data directory"
) -> int:
    """Take the folder's lock, which the kernel gives back when the process ends, however it ends.

    Returns its open file; close that to give it up. Raises `Refused(code)` when another has it.
    """
    handle = os.open(folder / _LOCK_NAME, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    try:
        fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError:
        holder = os.pread(handle, 20, 0).decode("ascii", "replace").strip() or "unknown"
        os.close(handle)
        raise Refused(
            code,
            f"{subject} {folder}",
            expected="no other process on it",
            found=f"process {holder} has it open",
            remedy="use the running one, or stop it first",
        ) from None
    os.ftruncate(handle, 0)
    os.pwrite(handle, f"{os.getpid()}\n".encode(), 0)
    return handle
