"""Runs an outside program for a gate: no shell, a minimal environment, bounded in time and output.

Rules: words, never a command line; the program gets no variable of ours but PATH; it and all it
started end with the call; too much output ends it and is told, never cut silently.
Does not: judge. An exit status is only reported: tools say "fine" and mean "nothing checked".
"""

from __future__ import annotations

import os
import selectors
import signal
import subprocess
import time
from collections.abc import Mapping, Sequence
from contextlib import suppress
from pathlib import Path
from typing import IO

import msgspec

from surefoot.core.errors import Failed

OUTPUT_BYTES_MAX = 16 * 1024 * 1024
_CHUNK_BYTES = 64 * 1024
_POLL_SECONDS = 0.1


class ToolRun(msgspec.Struct, frozen=True, kw_only=True):
    """What a program did. `trouble` is empty only when it ended by itself within all bounds."""

    exit_status: int
    output: bytes
    errors: bytes
    duration_ms: int
    trouble: str = ""


def run_tool(
    words: Sequence[str],
    *,
    folder: Path,
    timeout_seconds: float,
    output_bytes_max: int = OUTPUT_BYTES_MAX,
    variables: Mapping[str, str] | None = None,
) -> ToolRun:
    """Run the program in a folder, which is also its HOME, until it ends or meets a bound.

    Raises `Failed("gate.tool.missing")` when it cannot be started.
    """
    started = time.monotonic()
    try:
        process = subprocess.Popen(
            list(words),
            cwd=folder,
            env=_environment(folder, variables or {}),
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            start_new_session=True,
        )
    except OSError as error:
        raise Failed(
            "gate.tool.missing",
            f"tool {words[0]}",
            expected="a program that can be started",
            found=error.strerror or type(error).__name__,
            remedy="install the tool on the machine that runs the gate",
        ) from None
    try:
        output, errors, trouble = _collect(process, started + timeout_seconds, output_bytes_max)
    finally:
        status = _end(process)
    if not trouble and status < 0:
        trouble = f"ended by signal {-status}"
    return ToolRun(
        exit_status=status,
        output=output,
        errors=errors,
        duration_ms=int((time.monotonic() - started) * 1000),
        trouble=trouble,
    )


def _environment(folder: Path, variables: Mapping[str, str]) -> dict[str, str]:
    return {
        "PATH": os.environ.get("PATH", os.defpath),
        "HOME": str(folder),
        "LANG": "C.UTF-8",
        "LC_ALL": "C.UTF-8",
        "TZ": "UTC",
        **variables,
    }


def _collect(
    process: subprocess.Popen[bytes], deadline: float, size_bytes_max: int
) -> tuple[bytes, bytes, str]:
    """Read both pipes until they close, the time is over, or there is too much."""
    assert process.stdout is not None and process.stderr is not None
    held: dict[IO[bytes], bytearray] = {process.stdout: bytearray(), process.stderr: bytearray()}
    trouble = ""
    with selectors.DefaultSelector() as selector:
        for pipe in held:
            os.set_blocking(pipe.fileno(), False)
            selector.register(pipe, selectors.EVENT_READ, pipe)
        while selector.get_map() and not trouble:
            if time.monotonic() > deadline:
                trouble = "did not end in time"
                break
            for key, _ in selector.select(_POLL_SECONDS):
                pipe = key.data
                chunk = os.read(pipe.fileno(), _CHUNK_BYTES)
                if not chunk:
                    selector.unregister(pipe)
                held[pipe] += chunk
            if sum(len(part) for part in held.values()) > size_bytes_max:
                trouble = f"printed more than {size_bytes_max} bytes"
    if not trouble:
        try:
            process.wait(max(0.0, deadline - time.monotonic()))
        except subprocess.TimeoutExpired:
            trouble = "did not end in time"
    return bytes(held[process.stdout]), bytes(held[process.stderr]), trouble


def _end(process: subprocess.Popen[bytes]) -> int:
    # The whole session: a child that outlives its parent would go on touching the environment.
    with suppress(ProcessLookupError, PermissionError):
        os.killpg(process.pid, signal.SIGKILL)
    status = process.wait()
    for pipe in (process.stdout, process.stderr):
        if pipe is not None:
            pipe.close()
    return status
