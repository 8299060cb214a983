"""Starting a component's keeper, and ending everything that belongs to one.

Keeps: a keeper is known by the lock it holds for its whole life, so none is started twice; what
a killed keeper left running is found by the mark in its environment.
"""

from __future__ import annotations

import fcntl
import os
import subprocess
import sys
import time
from pathlib import Path

import msgspec

from surefoot.core.errors import Failed, SurefootError, from_record
from surefoot.targets.keeper import control, proc
from surefoot.targets.keeper.generation import MARK
from surefoot.targets.process_files import Place
from surefoot.targets.process_look import read_record

STOP_SECONDS = 5.0
KEEPER_SECONDS = 30.0


def start_keeper(folder: Path, listener: str) -> None:
    """Start a detached keeper and wait until it is bound. Raises its error, or `Failed`."""
    environment = {
        name: os.environ[name]
        for name in ("PATH", "PYTHONPATH", "SUREFOOT_KEEPER_LIMITS")
        if name in os.environ
    }
    command = [sys.executable, "-P", "-m", "surefoot.targets.keeper", str(folder), listener]
    try:
        ended = subprocess.run(
            command,
            env=environment,
            stdin=subprocess.DEVNULL,
            capture_output=True,
            timeout=KEEPER_SECONDS,
            start_new_session=True,
            check=False,
        )
    except subprocess.TimeoutExpired:
        raise _keeper_failed(folder, "no word from it") from None
    if ended.returncode == 0:
        return
    try:
        record = msgspec.json.decode(ended.stdout, type=dict[str, str])
    except msgspec.DecodeError:
        raise _keeper_failed(folder, f"exit status {ended.returncode}") from None
    raise from_record(record)


def _keeper_failed(folder: Path, found: str) -> SurefootError:
    return Failed(
        "target.keeper.failed",
        f"keeper of {folder.name}",
        expected="a keeper that listens",
        found=found,
        remedy="see keeper.log beside it",
    )


def is_kept(folder: Path) -> bool:
    """True while a keeper holds the component's lock."""
    try:
        descriptor = os.open(folder / "keeper.lock", os.O_RDWR)
    except FileNotFoundError:
        return False
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return True
    finally:
        os.close(descriptor)
    return False


def end_all(folder: Path) -> None:
    """Stop everything a component runs; also what a killed keeper left running."""
    if is_kept(folder):
        control.ask(folder, {"do": "shutdown", "stop": True}, KEEPER_SECONDS)
        until = time.monotonic() + KEEPER_SECONDS
        while is_kept(folder) and time.monotonic() < until:
            time.sleep(0.02)
    for generation in (folder / "generations").glob("*"):
        mark = f"{MARK}={generation.resolve()}".encode()
        for pid in proc.marked(mark):
            identity = proc.identity_of(pid)
            if identity is not None:
                proc.end(identity, STOP_SECONDS)


def foreign_listener(place: Place) -> proc.Identity | None:
    """A process that listens on a generation's socket without being it."""
    pid = proc.listener_pid(place.folder, "service.sock")
    record = read_record(place.folder)
    if not pid or (record is not None and proc.session_of(pid) == record.identity.pid):
        return None
    return proc.identity_of(pid)
