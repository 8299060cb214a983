"""The ASGI application of a witness: one path that takes checkpoints.

Keeps: a body is bounded in size and in the time it may take; so many requests at once and no more.
Does not: ask who sends; a checkpoint speaks by its signature.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable
from typing import Protocol

import anyio
from anyio import to_thread
from starlette.applications import Starlette
from starlette.requests import ClientDisconnect, Request
from starlette.responses import Response
from starlette.routing import Route

from surefoot.core.errors import SurefootError
from surefoot.trust.witnessing import REQUEST_BYTES_MAX

_LOG = logging.getLogger("surefoot.witness")
_BODY_SECONDS = 10.0
_AT_ONCE_MAX = 16


class Answering(Protocol):
    """An answer of a witness."""

    @property
    def status(self) -> int:
        """The HTTP status."""

    @property
    def text(self) -> str:
        """The body."""

    @property
    def media(self) -> str:
        """Its type."""


class _TooLarge(Exception):
    """A body beyond its bound."""


def witness_app(
    add_checkpoint: Callable[[bytes], Answering], body_seconds: float = _BODY_SECONDS
) -> Starlette:
    """The application; `add_checkpoint` gets a whole body and is called in a thread."""
    running = anyio.CapacityLimiter(_AT_ONCE_MAX)

    async def add(incoming: Request) -> Response:
        try:
            async with asyncio.timeout(body_seconds):
                body = await _body(incoming)
        except _TooLarge:
            return _plain(413, f"at most {REQUEST_BYTES_MAX} bytes")
        except TimeoutError:
            return _plain(408, f"the body must be here within {body_seconds:g} seconds")
        except ClientDisconnect:
            return Response(status_code=400)
        if running.borrowed_tokens >= running.total_tokens:
            return _plain(503, "too many requests at once; repeat in a moment")
        try:
            answer = await to_thread.run_sync(add_checkpoint, body, limiter=running)
        except SurefootError as error:
            _LOG.error("%s", error)
            return _plain(500, "the witness cannot write down what it sees")
        # Said by hand: the framework would add a charset, and the type is one exact text.
        return Response(answer.text, answer.status, {"content-type": answer.media})

    return Starlette(routes=[Route("/add-checkpoint", add, methods=["POST"])])


async def _body(incoming: Request) -> bytes:
    parts, size = [], 0
    async for part in incoming.stream():
        size += len(part)
        if size > REQUEST_BYTES_MAX:
            raise _TooLarge
        parts.append(part)
    return b"".join(parts)


def _plain(status: int, text: str) -> Response:
    return Response(f"{text}\n", status, media_type="text/plain")
