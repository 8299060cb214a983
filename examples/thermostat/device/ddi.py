"""The device's side of hawkBit's Direct Device Integration (DDI, version 1), on asyncio.

Rules: one kept connection for each device, opened anew when the server has closed it; every
answer is bounded; a download resumes where it broke off and is checked against size and sha256.
Links are followed as given. Not done: TLS, redirects, several artifacts in one deployment.
"""

from __future__ import annotations

import asyncio
import hashlib
import json
import os
import time
from pathlib import Path
from urllib.parse import quote, urlsplit

SECONDS_MAX = 30
ANSWER_BYTES_MAX = 256 * 1024
IMAGE_BYTES_MAX = 64 * 1024 * 1024
RESUMES_MAX = 5
PIECE = 64 * 1024
BROKEN = (OSError, EOFError, TimeoutError, asyncio.LimitOverrunError)


class Trouble(Exception):
    """The server did not answer as agreed; `status` is 0 when it did not answer."""

    def __init__(self, message: str, status: int = 0) -> None:
        super().__init__(message)
        self.status = status


class Damaged(Trouble):
    """What was downloaded is not what was announced."""


class Server:
    """One device's view of the update server."""

    def __init__(self, address: str, tenant: str, device: str, token: str) -> None:
        self.root = f"{address.rstrip('/')}/{quote(tenant)}/controller/v1/{quote(device, safe='')}"
        self._token = token
        self._stream: tuple[asyncio.StreamReader, asyncio.StreamWriter] | None = None
        self._place = ("", 0)
        self._ends = False  # the server said that it closes after this answer

    async def poll(self) -> dict:
        """What the server wants now: `config` and `_links`."""
        return await self._json("GET", self.root)

    async def deployment(self, link: str) -> dict:
        """A deployment by its link."""
        return await self._json("GET", link)

    async def tell_attributes(self, link: str, attributes: dict[str, str]) -> None:
        """PUT configData."""
        await self._json("PUT", link, {"mode": "merge", "data": attributes})

    async def feedback(self, base: str, action: str, report: dict) -> None:
        """POST feedback for an action; `base` is deploymentBase or cancelAction."""
        body = {"id": action, "timestamp": time.time_ns() // 1_000_000, "status": report}
        await self._json("POST", f"{self.root}/{base}/{quote(action)}/feedback", body)

    async def download(self, artifact: dict, target: Path) -> None:
        """Fetch an artifact into `target`, resuming. Raises `Trouble`."""
        links, size = artifact["_links"], int(artifact["size"])
        link = (links.get("download") or links["download-http"])["href"]
        if not 0 < size <= IMAGE_BYTES_MAX:
            raise Trouble(f"artifact: expected 1 to {IMAGE_BYTES_MAX} bytes, found {size}")
        for attempt in range(RESUMES_MAX):
            try:
                await asyncio.wait_for(self._fetch(link, size, target), SECONDS_MAX * 4)
                break
            except BROKEN as error:
                await self.close()
                if attempt == RESUMES_MAX - 1:
                    raise Trouble(f"download: broken off {RESUMES_MAX} times: {error!r}") from None
                await asyncio.sleep(0.5 * 2**attempt)
        found = await asyncio.to_thread(_durable_sha256, target)
        if found != artifact["hashes"]["sha256"]:
            target.unlink()
            raise Damaged(
                f"download: expected sha256 {artifact['hashes']['sha256']}, found {found}"
            )

    async def close(self) -> None:
        """Drop the connection."""
        if self._stream is not None:
            self._stream[1].close()
            self._stream = None
        self._ends = False

    async def _fetch(self, link: str, size: int, target: Path) -> None:
        have = target.stat().st_size if target.exists() else 0
        if have == size:
            return
        if have > size:
            have = 0
        extra = {"Range": f"bytes={have}-"} if have else {}
        reader, status, headers = await self._ask("GET", link, b"", extra)
        length = int(headers.get("content-length", "0"))
        if status not in (200, 206):
            await self.close()
            raise Trouble(f"download: expected status 200 or 206, found {status}", status)
        start = have if status == 206 else 0
        if start + length != size:
            await self.close()
            raise Trouble(f"download: expected {size} bytes, found {start + length}")
        with open(target, "ab" if start else "wb") as file:
            while length:
                piece = await reader.read(min(PIECE, length))
                if not piece:
                    raise EOFError(f"{length} bytes missing")
                file.write(piece)
                length -= len(piece)

    async def _json(self, method: str, link: str, content: dict | None = None) -> dict:
        body = b"" if content is None else json.dumps(content).encode()
        try:
            async with asyncio.timeout(SECONDS_MAX):
                reader, status, headers = await self._ask(method, link, body, {})
                length = int(headers.get("content-length", "0"))
                if length > ANSWER_BYTES_MAX:
                    raise EOFError(f"an answer of {length} bytes")
                answer = await reader.readexactly(length)
        except BROKEN as error:
            await self.close()
            raise Trouble(f"{method} {urlsplit(link).path}: no answer: {error!r}") from None
        if status != 200:
            reason = answer[:300].decode(errors="replace")
            raise Trouble(f"{method} {urlsplit(link).path}: {status} {reason}", status)
        return json.loads(answer) if answer else {}

    async def _ask(
        self, method: str, link: str, body: bytes, extra: dict[str, str]
    ) -> tuple[asyncio.StreamReader, int, dict[str, str]]:
        parts = urlsplit(link)
        place = (parts.hostname or "", parts.port or 80)
        if parts.scheme != "http" or not place[0]:
            raise Trouble(f"link: expected http://HOST:PORT/..., found {link[:200]!r}")
        headers = {"Host": parts.netloc, "Authorization": f"TargetToken {self._token}"}
        headers |= {"Accept": "application/json", "Content-Length": str(len(body)), **extra}
        if body:
            headers["Content-Type"] = "application/json"
        path = parts.path + (f"?{parts.query}" if parts.query else "")
        lines = [
            f"{method} {path} HTTP/1.1",
            *(f"{name}: {value}" for name, value in headers.items()),
        ]
        request = "\r\n".join(lines).encode() + b"\r\n\r\n" + body
        kept = self._stream is not None and self._place == place
        try:
            return await self._exchange(place, request)
        except BROKEN:
            # A kept connection may have ended while it was idle. DDI's requests may be repeated.
            await self.close()
            if not kept:
                raise
        return await self._exchange(place, request)

    async def _exchange(
        self, place: tuple[str, int], request: bytes
    ) -> tuple[asyncio.StreamReader, int, dict[str, str]]:
        if self._place != place or self._ends:
            await self.close()
        if self._stream is None:
            self._stream = await asyncio.open_connection(*place, limit=PIECE)
            self._place = place
        reader, writer = self._stream
        writer.write(request)
        await writer.drain()
        head = (await reader.readuntil(b"\r\n\r\n")).decode("latin-1")
        first, *lines = head.strip().split("\r\n")
        pairs = (line.partition(":") for line in lines)
        headers = {name.lower(): value.strip() for name, _, value in pairs}
        self._ends = headers.get("connection", "").lower() == "close"
        return reader, int(first.split(" ")[1]), headers


def sleep_seconds(answer: dict) -> float:
    """The poll interval the server asks for; 60 seconds when it is missing or unreadable."""
    try:
        hours, minutes, seconds = answer["config"]["polling"]["sleep"].split(":")
        return 3600 * int(hours) + 60 * int(minutes) + int(seconds) or 60
    except (KeyError, ValueError, AttributeError, TypeError):
        return 60


def _durable_sha256(path: Path) -> str:
    with open(path, "rb") as file:
        os.fsync(file.fileno())
        return hashlib.file_digest(file, "sha256").hexdigest()
