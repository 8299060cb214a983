"""Start a keeper: `python -m surefoot.targets.keeper FOLDER LISTENER`.

The command returns when the keeper has bound its socket and answers; the keeper goes on detached,
in a session of its own. Exit status 0: it runs (or ran already); 4: the record of the error is on
standard output. One keeper a folder: a lock on `keeper.lock` is held for its whole life.
"""

from __future__ import annotations

import asyncio
import fcntl
import json
import os
import resource
import signal
import sys
import time

import uvloop

from surefoot.core.errors import SurefootError
from surefoot.targets.keeper import control
from surefoot.targets.keeper.keeper import Keeper
from surefoot.targets.keeper.limits import Limits


def main(words: list[str]) -> int:
    """Fork the keeper off and wait until it is ready."""
    folder, listener = words
    os.chdir(folder)
    reading, writing = os.pipe()
    if os.fork():
        os.close(writing)
        with os.fdopen(reading) as answer:
            text = answer.read()
        sys.stdout.write(text)
        return 0 if text.startswith("ready") else 4
    os.close(reading)
    os.setsid()
    _leave_terminal()
    try:
        uvloop.run(_keep(listener, writing))
    except SurefootError as error:
        os.write(writing, json.dumps(error.record()).encode())
        return 4
    return 0


def _leave_terminal() -> None:
    """Nothing of the caller's stays open, and as many connections as the machine allows."""
    nothing = os.open(os.devnull, os.O_RDWR)
    log = os.open("keeper.log", os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600)
    for number, source in ((0, nothing), (1, log), (2, log)):
        os.dup2(source, number)
    os.close(nothing)
    os.close(log)
    os.umask(0o077)
    _, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))


async def _keep(listener: str, writing: int) -> None:
    lock = os.open("keeper.lock", os.O_RDWR | os.O_CREAT, 0o600)
    try:
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        os.write(writing, b"ready already\n")
        return
    limits = Limits(**json.loads(os.environ.get("SUREFOOT_KEEPER_LIMITS", "{}")))
    keeper = Keeper(lambda: time.time_ns() // 1_000_000, limits)
    await keeper.begin(listener)
    loop = asyncio.get_running_loop()
    loop.add_signal_handler(signal.SIGTERM, keeper.done.set)
    server = await control.serve(keeper.answer)
    os.write(writing, b"ready\n")
    os.close(writing)
    await keeper.run()
    server.close()


if __name__ == "__main__":
    raise SystemExit(main(sys.argv[1:]))
