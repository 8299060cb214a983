"""Processes as the kernel shows them: who is who after a restart of ours.

Keeps: a process is named by pid, start time and boot id together, so a reused pid is never taken
for the old process; a zombie counts as dead; signals go through a pidfd.
Does not: start processes. Source: proc(5), pidfd_open(2).
"""

from __future__ import annotations

import os
import select
import signal
import socket
import struct
from pathlib import Path

import msgspec

_PROC = Path("/proc")


class Identity(msgspec.Struct, frozen=True, kw_only=True):
    """One process, for ever. `started` is in clock ticks since boot."""

    pid: int
    started: int
    boot: str


def boot_id() -> str:
    """The kernel's name for this boot."""
    return (_PROC / "sys/kernel/random/boot_id").read_text().strip()


def identity_of(pid: int, *, dead_too: bool = False) -> Identity | None:
    """The identity of a living process, None when it is gone, or a zombie unless `dead_too`."""
    fields = _stat(pid)
    if fields is None or (fields[0] in ("Z", "X") and not dead_too):
        return None
    return Identity(pid=pid, started=int(fields[19]), boot=boot_id())


def is_alive(identity: Identity) -> bool:
    """True while exactly this process lives."""
    return identity_of(identity.pid) == identity


def session_of(pid: int) -> int:
    """The session the process belongs to, -1 when it is gone."""
    fields = _stat(pid)
    return int(fields[3]) if fields else -1


def _stat(pid: int) -> list[str] | None:
    try:
        text = (_PROC / str(pid) / "stat").read_text()
    except (FileNotFoundError, ProcessLookupError):
        return None
    # The name in parentheses may hold anything, so count from its end.
    return text.rpartition(")")[2].split()


def command_of(pid: int) -> list[str]:
    """The words the process was started with; empty when it is gone."""
    try:
        content = (_PROC / str(pid) / "cmdline").read_bytes()
    except (FileNotFoundError, ProcessLookupError):
        return []
    return content.rstrip(b"\0").decode(errors="replace").split("\0") if content else []


def resident_bytes(pid: int) -> int:
    """Resident memory, 0 when the process is gone."""
    try:
        pages = (_PROC / str(pid) / "statm").read_text().split()[1]
    except (FileNotFoundError, ProcessLookupError):
        return 0
    return int(pages) * os.sysconf("SC_PAGE_SIZE")


def open_files_limit(pid: int) -> int:
    """The soft limit of open files, 0 when it is unlimited or the process is gone."""
    try:
        text = (_PROC / str(pid) / "limits").read_text()
    except (FileNotFoundError, ProcessLookupError):
        return 0
    for line in text.splitlines():
        if line.startswith("Max open files"):
            word = line.split()[3]
            return int(word) if word.isdigit() else 0
    return 0


def marked(mark: bytes) -> list[int]:
    """Every process of ours whose environment holds the mark as one whole entry."""
    found = []
    for entry in _PROC.iterdir():
        if not entry.name.isdigit():
            continue
        try:
            environment = (entry / "environ").read_bytes()
        except OSError:
            # Another user's process, or one that ended while we looked: not one of ours.
            continue
        if mark in environment.split(b"\0"):
            found.append(int(entry.name))
    return found


def send(identity: Identity, number: signal.Signals) -> bool:
    """Signal exactly this process; False when it is gone already."""
    try:
        descriptor = os.pidfd_open(identity.pid)
    except ProcessLookupError:
        return False
    try:
        if not is_alive(identity):
            return False
        signal.pidfd_send_signal(descriptor, number)
    except ProcessLookupError:
        return False
    finally:
        os.close(descriptor)
    return True


def end(identity: Identity, grace_seconds: float) -> None:
    """Terminate, wait, kill. For processes that nobody supervises any more."""
    try:
        descriptor = os.pidfd_open(identity.pid)
    except ProcessLookupError:
        return
    try:
        for number, wait in ((signal.SIGTERM, grace_seconds), (signal.SIGKILL, 5.0)):
            if not send(identity, number):
                return
            waiting = select.poll()
            waiting.register(descriptor, select.POLLIN)
            if waiting.poll(wait * 1000):
                return
    finally:
        os.close(descriptor)


def connect_unix(folder: Path, name: str, timeout_seconds: float) -> socket.socket:
    """Connect to a socket in a folder of any path length. Raises `OSError`."""
    descriptor = os.open(folder, os.O_PATH | os.O_DIRECTORY)
    try:
        connection = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        try:
            # With a timeout of its own the socket would not wait for a full backlog to empty.
            wait = struct.pack("ll", int(timeout_seconds) + 1, 0)
            connection.setsockopt(socket.SOL_SOCKET, socket.SO_SNDTIMEO, wait)
            # A socket's address holds 107 bytes; a folder of ours may be longer.
            connection.connect(f"/proc/self/fd/{descriptor}/{name}")
            connection.settimeout(timeout_seconds)
        except BaseException:
            connection.close()
            raise
        return connection
    finally:
        os.close(descriptor)


def listener_pid(folder: Path, name: str) -> int:
    """The pid of the process that listens on a unix socket, 0 when nobody does."""
    try:
        connection = connect_unix(folder, name, 2.0)
    except OSError:
        return 0
    with connection:
        credentials = connection.getsockopt(socket.SOL_SOCKET, socket.SO_PEERCRED, 12)
    return int(struct.unpack("3i", credentials)[0])
