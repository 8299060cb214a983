"""Speaks HTTP/1.1 with the service over one connection; small, because it starts often."""

import json
import socket

SECONDS_MAX = 8
ANSWER_BYTES_MAX = 64 * 1024


class Trouble(Exception):
    """The service did not answer as it should; the message is one line."""


class Service:
    """One connection to http://HOST:PORT."""

    def __init__(self, address: str) -> None:
        scheme, _, rest = address.partition("://")
        self._host, _, port = rest.rstrip("/").rpartition(":")
        if scheme != "http" or not self._host or not port.isdigit():
            raise Trouble(f"service address: expected http://HOST:PORT, found {address!r}")
        try:
            self._socket = socket.create_connection((self._host, int(port)), SECONDS_MAX)
        except OSError as error:
            raise Trouble(f"service {address}: {error.strerror or error}") from None
        self._file = self._socket.makefile("rb")

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self._file.close()
        self._socket.close()

    def get(self, path: str) -> dict:
        """The JSON at a path. Raises `Trouble` for any status but 200."""
        return self._ask("GET", path, b"", (200,))

    def post(self, path: str, content: dict) -> dict:
        """Send JSON. Raises `Trouble` for any status but 200 and 201."""
        return self._ask("POST", path, json.dumps(content).encode(), (200, 201))

    def _ask(self, method: str, path: str, body: bytes, good: tuple) -> dict:
        head = f"{method} {path} HTTP/1.1\r\nHost: {self._host}\r\nContent-Length: {len(body)}\r\n"
        try:
            self._socket.sendall(head.encode() + b"Content-Type: application/json\r\n\r\n" + body)
            status, content = self._answer()
        except (OSError, ValueError, IndexError) as error:
            raise Trouble(f"{method} {path}: no answer: {error}") from None
        if status not in good:
            raise Trouble(f"{method} {path}: {status}: {_reason(content)}")
        return content

    def _answer(self) -> tuple:
        status = int(self._file.readline(1024).split(b" ")[1])
        length = 0
        while line := self._file.readline(1024).strip():
            name, _, value = line.partition(b":")
            if name.lower() == b"content-length":
                length = int(value)
        if length > ANSWER_BYTES_MAX:
            raise ValueError(f"{length} bytes are too many")
        return status, json.loads(self._file.read(length))


def _reason(content: dict) -> str:
    error = content.get("error")
    if not isinstance(error, dict):
        return "no reason given"
    return f"{error.get('code')}: expected {error.get('expected')}, found {error.get('found')}"
