"""The log's side of add-checkpoint: one witness over one connection that is kept open.

Keeps: one request at a time; what is read is bounded, and so is each wait. Does not: believe an
answer; whoever asks verifies the lines. Source: c2sp.org/tlog-witness.
"""

from __future__ import annotations

import contextlib
import http.client
import threading
from collections.abc import Mapping
from urllib.parse import urlsplit

import msgspec

from surefoot.core.errors import Corrupt, Failed, SurefootError
from surefoot.trust.note import NotANote, parse_checkpoint, split_note
from surefoot.trust.quorum import TrustPolicy
from surefoot.trust.witnessing import AddCheckpoint, parse_size

CODE = "journal.witness.failed"
_REPLY_BYTES_MAX = 64 * 1024


class Reply(msgspec.Struct, frozen=True):
    """Status and body of an answer."""

    status: int
    content: bytes


class WitnessSize(msgspec.Struct, frozen=True, kw_only=True):
    """The newest size that a witness cosigned, -1 when it did not say; `error` says why."""

    size: int = -1
    error: str = ""


class WitnessClient:
    """Asks one witness; not for several threads at once."""

    def __init__(self, name: str, url: str, timeout_seconds: float = 10.0) -> None:
        """Raises `Failed` for an address that is none."""
        self._name = name
        self._connection, self._path = _connection(name, url, timeout_seconds)

    def add_checkpoint(self, body: bytes) -> Reply:
        """Send a body; the answer. A connection that went stale is made once more.

        Raises `Failed("journal.witness.failed")` when none comes.
        """
        fresh = self._connection.sock is None
        try:
            return self._exchange(body)
        except (OSError, http.client.HTTPException) as error:
            if fresh:
                raise failed(self._name, "an answer", _said(error)) from None
        try:
            return self._exchange(body)
        except (OSError, http.client.HTTPException) as error:
            raise failed(self._name, "an answer", _said(error)) from None

    def close(self) -> None:
        """End the connection."""
        self._connection.close()

    def _exchange(self, body: bytes) -> Reply:
        try:
            self._connection.request("POST", self._path, body, {"content-type": "text/plain"})
            with contextlib.closing(self._connection.getresponse()) as answer:
                content = answer.read(_REPLY_BYTES_MAX + 1)
            if len(content) > _REPLY_BYTES_MAX:
                raise http.client.HTTPException("an answer without end")
            return Reply(answer.status, content)
        except BaseException:
            self._connection.close()
            raise


def witness_sizes(
    policy: TrustPolicy, origin: str, note: str, *, timeout_seconds: float = 5.0
) -> Mapping[str, WitnessSize]:
    """What each witness of a policy that has an address cosigned last of this log, by name.

    `note` is a checkpoint that the log signed, of this origin: a witness answers nobody else. All
    are asked at once with an old size of 0; a witness that never saw the log cosigns it.
    """
    found: dict[str, WitnessSize] = {}
    try:
        text, _ = split_note(note)
        checkpoint = parse_checkpoint(text)
    except NotANote:
        return found
    if checkpoint.origin != origin:
        return found
    body = AddCheckpoint(old=0, proof=(), note=note).body()

    def ask(name: str, url: str) -> None:
        found[name] = _size_of(name, url, body, checkpoint.size, timeout_seconds)

    asked = {name: witness.url for name, witness in policy.witnesses.items() if witness.url}
    threads = [threading.Thread(target=ask, args=item, daemon=True) for item in asked.items()]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(timeout=timeout_seconds + 1)
    silent = WitnessSize(error="no answer in time")
    return {name: found.get(name, silent) for name in asked}


def failed(name: str, expected: str, found: str) -> Failed:
    """A witness that did not answer as agreed."""
    return Failed(
        CODE,
        f"witness {name}",
        expected=expected,
        found=found[:200],
        remedy="check that it runs, its address in witness.policy, and that it trusts this log",
    )


def witness_ahead(name: str, size: int, cosigned: int) -> Corrupt:
    """A witness saw more of this log than is here."""
    return Corrupt(
        "journal.witness.ahead",
        f"witness {name}",
        expected=f"a cosigned tree of at most {size} leaves",
        found=f"{cosigned} leaves: the last {cosigned - size} are missing here",
        remedy="an older copy was put back, or another signs with this key: "
        "find what is missing with surefoot journal recover",
    )


def _size_of(name: str, url: str, body: bytes, size: int, timeout_seconds: float) -> WitnessSize:
    try:
        client = WitnessClient(name, url, timeout_seconds)
        with contextlib.closing(client):
            reply = client.add_checkpoint(body)
    except SurefootError as error:
        return WitnessSize(error=str(error))
    if reply.status == 200:
        return WitnessSize(size=size)
    said = parse_size(reply.content) if reply.status == 409 else None
    if said is None:
        return WitnessSize(error=str(failed(name, "a size", f"status {reply.status}")))
    return WitnessSize(size=said)


def _connection(name: str, url: str, seconds: float) -> tuple[http.client.HTTPConnection, str]:
    try:
        parts = urlsplit(url)
        host, port = parts.hostname, parts.port
    except ValueError:
        raise failed(name, "an address", url) from None
    plain = parts.scheme in ("http", "https") and host and not (parts.query or parts.fragment)
    if not plain or host is None or parts.username is not None or not url.isascii():
        raise failed(name, "an address like https://witness.example.com/prefix", url)
    path = parts.path.rstrip("/") + "/add-checkpoint"
    if parts.scheme == "https":
        return http.client.HTTPSConnection(host, port, timeout=seconds), path
    return http.client.HTTPConnection(host, port, timeout=seconds), path


def _said(error: Exception) -> str:
    reason = error.strerror if isinstance(error, OSError) else ""
    return reason or str(error) or type(error).__name__
