"""Runs build and test commands apart from everything else, and looks at the declared tools.

Keeps: a command gets its own folders, a minimal environment, limits and a deadline; where the
system allows it, it has neither network nor lasting processes, can write nowhere else, and does not
see the installation's folder, where keys, drafts and other environments are; which isolation was
in force is told, never assumed; what a command says is bounded.
Does not: protect the machine where the system allows none of that (see
`docs/explanation/build-once.md`), or decide anything about what was built.
"""

from __future__ import annotations

import contextlib
import functools
import json
import os
import selectors
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from pathlib import Path

import msgspec

from surefoot.core.errors import Failed
from surefoot.supply.order import Tool
from surefoot.trust.digest import digest_of_chunks

PATH = "/usr/local/bin:/usr/bin:/bin"
LOG_BYTES_MAX = 1024 * 1024
_PRIVATE = ("/home", "/root", "/run")

_JAIL = Path(__file__).with_name("jail.py")
_TOOL_TIMEOUT_SECONDS = 60
_PROBE_TIMEOUT_SECONDS = 60
_SAY_EVERY_SECONDS = 5.0
_LOOK_EVERY_SECONDS = 0.2
_CHUNK_BYTES = 64 * 1024
_FILE_BYTES_MAX = 2 * 1024 * 1024 * 1024
_DATA_BYTES_MAX = 8 * 1024 * 1024 * 1024
_OPEN_FILES_MAX = 4096


class Isolation(msgspec.Struct, frozen=True):
    """What keeps a command apart. `network` is "none" or "shared", `processes` and `files` "own"
    or "shared"; `words` are put before the command."""

    network: str
    processes: str
    files: str = "shared"
    words: tuple[str, ...] = ()

    def record(self) -> dict[str, str]:
        """What was in force, for the provenance."""
        return {"network": self.network, "processes": self.processes, "files": self.files}


class Fence(msgspec.Struct, frozen=True):
    """Files of a command: the one folder it may write in, and folders it must not see."""

    keep: str = ""
    hide: tuple[str, ...] = ()

    def word(self) -> str:
        """As the jail reads it."""
        return json.dumps({"keep": self.keep, "hide": self.hide})


class Result(msgspec.Struct, frozen=True):
    """How a command ended. `log` holds the first and the last part of what it said."""

    exit_status: int
    log: bytes
    milliseconds: int
    timed_out: bool


_OWN = ("--net", "--pid", "--fork", "--kill-child", "--mount-proc")
_USER = "--map-root-user"
# Best first; the last needs nothing and keeps nothing apart.
_ISOLATIONS = (
    Isolation("none", "own", "own", ("unshare", *_OWN)),
    Isolation("none", "own", "own", ("unshare", _USER, *_OWN)),
    Isolation("none", "own", "shared", ("unshare", *_OWN)),
    Isolation("none", "own", "shared", ("unshare", _USER, *_OWN)),
    Isolation("none", "shared", "shared", ("unshare", "--net")),
    Isolation("none", "shared", "shared", ("unshare", _USER, "--net")),
    Isolation("shared", "shared"),
)
_NO_FENCE = Fence()


@functools.cache
def isolation() -> Isolation:
    """The best isolation this machine allows, found by trying."""
    for candidate in _ISOLATIONS[:-1]:
        done = run(["true"], Path("/"), {"PATH": PATH}, _PROBE_TIMEOUT_SECONDS, candidate)
        if done.exit_status == 0:
            return candidate
    return _ISOLATIONS[-1]


def private_folders(tools: Iterable[str]) -> tuple[str, ...]:
    """Folders of people, and of sockets: hidden, but where a tool on the path is really there."""
    found = [shutil.which(name, path=PATH) for name in tools]
    places = [Path(place).resolve() for place in found if place]
    return tuple(
        folder
        for folder in _PRIVATE
        if not any(place.is_relative_to(Path(folder).resolve()) for place in places)
    )


def run(
    command: Sequence[str],
    folder: Path,
    environment: Mapping[str, str],
    timeout_seconds: int,
    apart: Isolation,
    say: Callable[[str], None] = lambda _: None,
    fence: Fence = _NO_FENCE,
) -> Result:
    """Run a command in a folder until its end or the deadline, and end all it started.

    A command that cannot be started ends with status 127. `say` hears every few seconds. The
    fence holds where the isolation has files of its own.
    """
    limits = (
        f"cpu_seconds={timeout_seconds},file_bytes={_FILE_BYTES_MAX},data_bytes={_DATA_BYTES_MAX},"
        f"open_files={_OPEN_FILES_MAX},core_bytes=0"
    )
    loopback = "up" if apart.network == "none" else "as-is"
    files = fence.word() if apart.files == "own" else ""
    jail = [sys.executable, "-I", "-S", str(_JAIL), limits, loopback, files]
    started = time.monotonic()
    log = _Log()
    try:
        process = subprocess.Popen(
            [*apart.words, *jail, *command],
            cwd=folder,
            env=dict(environment),
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            start_new_session=True,
        )
    except FileNotFoundError as error:
        return Result(127, str(error).encode(), 0, False)
    try:
        timed_out = _follow(process, log, started, timeout_seconds, say)
    finally:
        _end(process)
    milliseconds = int((time.monotonic() - started) * 1000)
    return Result(process.returncode, log.bytes(), milliseconds, timed_out)


def tool(name: str, path: str, apart: Isolation) -> Tool:
    """A tool as it stands on this machine. Raises `Failed` when it is missing or silent."""
    place = shutil.which(name, path=path)
    if place is None:
        raise Failed("build.tool.missing", name, expected=f"a program on {path}", found="none")
    environment = {"PATH": path, "LANG": "C.UTF-8", "HOME": "/nonexistent"}
    for word in ("--version", "version"):
        done = run([place, word], Path("/"), environment, _TOOL_TIMEOUT_SECONDS, apart)
        said = done.log.decode(errors="replace").strip()
        if done.exit_status == 0 and said:
            version = "".join(c for c in said.splitlines()[0][:200] if c.isascii())
            with open(place, "rb") as content:
                chunks = iter(lambda: content.read(_CHUNK_BYTES), b"")
                return Tool(name, version, digest_of_chunks(chunks))
    raise Failed(
        "build.tool.silent", name, expected="a version from --version or version", found="none"
    )


class _Log:
    """Keeps the first and the last half of what is written, and counts the rest."""

    def __init__(self) -> None:
        self._head = bytearray()
        self._tail = bytearray()
        self._dropped_bytes = 0

    def add(self, chunk: bytes) -> None:
        half = LOG_BYTES_MAX // 2
        room = max(0, half - len(self._head))
        self._head += chunk[:room]
        self._tail += chunk[room:]
        if len(self._tail) > half:
            over = len(self._tail) - half
            self._dropped_bytes += over
            del self._tail[:over]

    def bytes(self) -> bytes:
        gap = f"\n[{self._dropped_bytes} bytes left out]\n".encode() if self._dropped_bytes else b""
        return bytes(self._head) + gap + bytes(self._tail)


def _follow(
    process: subprocess.Popen[bytes],
    log: _Log,
    started: float,
    timeout_seconds: int,
    say: Callable[[str], None],
) -> bool:
    """Read until the command ends. Returns whether the deadline came first."""
    assert process.stdout is not None
    said_at = started
    with selectors.DefaultSelector() as selector:
        selector.register(process.stdout, selectors.EVENT_READ)
        open_pipe = True
        while True:
            now = time.monotonic()
            if now - started > timeout_seconds:
                return True
            if now - said_at >= _SAY_EVERY_SECONDS:
                said_at = now
                say(f"{int(now - started)} s")
            ready = selector.select(_LOOK_EVERY_SECONDS) if open_pipe else []
            if ready:
                chunk = os.read(process.stdout.fileno(), _CHUNK_BYTES)
                log.add(chunk)
                open_pipe = bool(chunk)
            elif process.poll() is not None:
                # Ended, and silent: what still holds the pipe open is a leftover.
                return False
            elif not open_pipe:
                time.sleep(_LOOK_EVERY_SECONDS / 10)


def _end(process: subprocess.Popen[bytes]) -> None:
    # The whole session, also after a good end: a build leaves no process behind.
    with contextlib.suppress(ProcessLookupError):
        os.killpg(process.pid, signal.SIGKILL)
    process.wait()
    if process.stdout is not None:
        process.stdout.close()
