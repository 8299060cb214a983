"""Reads files of an export, from a folder or from any static web server.

Keeps: every read is bounded; no redirect is followed; what is not there is None, everything else
that goes wrong is `Failed("auditor.source.failed")`. Does not: believe or keep what it read.
"""

from __future__ import annotations

import http.client
from collections.abc import Callable
from pathlib import Path
from urllib.parse import urlsplit

from surefoot.core.errors import Failed, Refused

Fetch = Callable[[str, int], bytes | None]
"""The content at a path of the export, of at most so many bytes; None when there is none."""

_SECONDS = 30


def fetch_from(source: str) -> Fetch:
    """Reads from a folder or from an `http://` or `https://` address.

    Raises `Refused("auditor.source.input")`.
    """
    if "://" not in source:
        return _Folder(Path(source)).fetch
    parts = urlsplit(source)
    try:
        port = parts.port
    except ValueError:
        port = -1
    if parts.scheme not in ("http", "https") or not parts.hostname or port == -1 or parts.query:
        raise Refused(
            "auditor.source.input",
            f"source {source[:80]!r}",
            expected="a folder, or http://host/path or https://host/path",
            found=source[:80],
            remedy="name where the log's export is served",
        )
    return _Web(parts.scheme, parts.hostname, port, parts.path.rstrip("/")).fetch


class _Folder:
    """An export's folder."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder

    def fetch(self, path: str, size_bytes_max: int) -> bytes | None:
        """Read a file."""
        try:
            with (self._folder / path).open("rb") as file:
                return _bounded(path, file.read(size_bytes_max + 1), size_bytes_max)
        except (FileNotFoundError, NotADirectoryError):
            return None
        except OSError as error:
            raise _failed(path, error.strerror or str(error)) from error


class _Web:
    """A web server; one connection is kept open."""

    def __init__(self, scheme: str, host: str, port: int | None, prefix: str) -> None:
        kind = http.client.HTTPSConnection if scheme == "https" else http.client.HTTPConnection
        self._connection = kind(host, port, timeout=_SECONDS)
        self._prefix = prefix

    def fetch(self, path: str, size_bytes_max: int) -> bytes | None:
        """GET a file; asked once more when the server had closed the connection meanwhile."""
        try:
            status, content = self._get(path, size_bytes_max)
        except (OSError, http.client.HTTPException):
            self._connection.close()
            try:
                status, content = self._get(path, size_bytes_max)
            except (OSError, http.client.HTTPException) as error:
                self._connection.close()
                raise _failed(path, str(error) or type(error).__name__) from error
        if status == 404:
            return None
        if status != 200:
            raise _failed(path, f"status {status}")
        return _bounded(path, content, size_bytes_max)

    def _get(self, path: str, size_bytes_max: int) -> tuple[int, bytes]:
        self._connection.request("GET", f"{self._prefix}/{path}")
        response = self._connection.getresponse()
        content = response.read(size_bytes_max + 1)
        if not response.isclosed():
            self._connection.close()  # a longer body is not read to its end
        return response.status, content


def _bounded(path: str, content: bytes, size_bytes_max: int) -> bytes:
    if len(content) > size_bytes_max:
        raise _failed(path, f"more than {size_bytes_max} bytes")
    return content


def _failed(path: str, found: str) -> Failed:
    return Failed(
        "auditor.source.failed",
        f"export file {path}",
        expected="a file of an export",
        found=found[:200],
        remedy="look whether the log's export is served, then run again; nothing was signed",
    )
