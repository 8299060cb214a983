"""The keeper's control socket: JSON lines on a unix socket that only its owner may open.

Each line is one request with a member `do`; each answer is one line, either the result or
`{"error": record}`. Requests on one connection are answered in order.
"""

from __future__ import annotations

import asyncio
import json
import os
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any

from surefoot.core.errors import Failed, Refused, SurefootError, from_record
from surefoot.targets.keeper.proc import connect_unix

NAME = "control.sock"
LINE_BYTES_MAX = 8 * 1024 * 1024
Answer = Callable[[dict[str, Any]], Awaitable[dict[str, Any]]]


async def serve(answer: Answer) -> asyncio.Server:
    """Listen in the working directory."""
    Path(NAME).unlink(missing_ok=True)
    before = os.umask(0o177)
    try:
        return await asyncio.start_unix_server(
            lambda reader, writer: _talk(reader, writer, answer), NAME, limit=LINE_BYTES_MAX
        )
    finally:
        os.umask(before)


async def _talk(reader: asyncio.StreamReader, writer: asyncio.StreamWriter, answer: Answer) -> None:
    try:
        while line := await reader.readline():
            writer.write(json.dumps(await _one(line, answer)).encode() + b"\n")
            await writer.drain()
    except (ConnectionError, ValueError):
        # The asker is gone, or sent a line beyond the bound: nobody is left to tell.
        pass
    finally:
        writer.close()


async def _one(line: bytes, answer: Answer) -> dict[str, Any]:
    try:
        request = json.loads(line)
        return await answer(dict(request))
    except SurefootError as error:
        return {"error": error.record()}
    except (TypeError, ValueError) as error:
        # The message may quote the request, and a request may hold a secret.
        wrong = Refused(
            "target.keeper.input", "keeper", expected="a JSON object", found=type(error).__name__
        )
        return {"error": wrong.record()}


def ask(folder: Path, request: dict[str, Any], timeout_seconds: float = 30.0) -> dict[str, Any]:
    """Ask the keeper of a component. Raises its error, or `Failed` when it does not answer."""
    try:
        with connect_unix(folder, NAME, timeout_seconds) as connection:
            connection.sendall(json.dumps(request).encode() + b"\n")
            with connection.makefile("rb") as answers:
                line = answers.readline(LINE_BYTES_MAX)
        result: dict[str, Any] = json.loads(line)
    except (OSError, ValueError) as trouble:
        raise Failed(
            "target.keeper.silent",
            f"keeper of {folder.name}",
            expected="an answer on its control socket",
            found=type(trouble).__name__,
            remedy="apply the step again: it brings the keeper back on the same port",
        ) from None
    if "error" in result:
        raise from_record(result["error"])
    return result
