"""The front's log says which request came, and nothing that opens a session."""

from __future__ import annotations

import asyncio
import logging
from typing import Any

import pytest

from surefoot.doors.front import Front
from surefoot.doors.session import Sessions


async def _pages(scope: Any, receive: Any, send: Any) -> None:
    await send({"type": "http.response.start", "status": 404, "headers": []})
    await send({"type": "http.response.body", "body": b""})


async def _nothing(*_: Any) -> Any:
    return {"type": "http.request"}


@pytest.mark.parametrize("method", ["GET", "HEAD", "POST"])
def test_a_login_links_token_is_not_logged(method: str, caplog: pytest.LogCaptureFixture) -> None:
    """Only GET spends it: what another method leaves in the log would still open a session."""
    caplog.set_level(logging.INFO, "surefoot.request")
    sessions = Sessions(now_ms=lambda: 0, token=bytes, person_of_key=lambda key: ("ann", ""))
    token = sessions.invite("ann", "key")
    front = Front(_pages, _pages, sessions, token=bytes)
    scope = {"type": "http", "method": method, "path": f"/login/{token}"}
    asyncio.run(front(scope, _nothing, _nothing))
    paths = [record.path for record in caplog.records if hasattr(record, "path")]
    assert paths == ["/login/..."]
