"""A tiny update server for tests of the example's device program: DDI on the standard library.

Keeps what each device reported; can be told to cut a download off half-way. Holds no rule of its
own: a test assigns a deployment and reads what came back.
"""

from __future__ import annotations

import hashlib
import json
import threading
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any


@dataclass
class Seen:
    """What the server knows of one device."""

    action: dict[str, Any] | None = None
    cancel: str = ""
    attributes: dict[str, str] = field(default_factory=dict)
    asks_attributes: bool = True
    polls: int = 0
    feedback: list[tuple[str, dict[str, Any]]] = field(default_factory=list)
    ranges: list[str] = field(default_factory=list)

    def closed(self) -> list[tuple[str, str, str]]:
        """(action, finished, details) of each end that was reported."""
        return [
            (action, body["status"]["result"]["finished"], " | ".join(body["status"]["details"]))
            for action, body in self.feedback
            if body["status"]["execution"] == "closed"
        ]


class UpdateServer(ThreadingHTTPServer):
    """Serves until `stop`; every device's token is `token-NAME`."""

    daemon_threads = True
    request_queue_size = 128

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), _Door)
        self.devices: dict[str, Seen] = {}
        self.images: dict[str, bytes] = {}
        self.cut_next = False
        self.lock = threading.Lock()
        self.address = f"http://127.0.0.1:{self.server_port}"
        self._thread = threading.Thread(target=self.serve_forever, args=(0.05,))
        self._thread.start()

    def seen(self, name: str) -> Seen:
        """A device's record."""
        with self.lock:
            return self.devices.setdefault(name, Seen())

    def deploy(self, name: str, action: int, image: Path, version: str, sha256: str = "") -> None:
        """Offer an image; a wrong `sha256` may be announced."""
        content = image.read_bytes()
        self.images[str(action)] = content
        link = f"{self.address}/DEFAULT/controller/v1/{name}/softwaremodules/1/artifacts/{action}"
        hashes = {"sha256": sha256 or hashlib.sha256(content).hexdigest()}
        artifact = {"filename": "firmware.img", "size": len(content), "hashes": hashes}
        artifact["_links"] = {"download-http": {"href": link}}
        chunk = {"part": "os", "version": version, "name": "firmware", "artifacts": [artifact]}
        deployment = {"download": "forced", "update": "forced", "chunks": [chunk]}
        self.seen(name).action = {"id": str(action), "deployment": deployment}

    def stop(self) -> None:
        """End the thread and close the socket."""
        self.shutdown()
        self._thread.join()
        self.server_close()


class _Door(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    timeout = 20
    wbufsize = -1
    server: UpdateServer

    def handle(self) -> None:
        try:
            super().handle()
        except OSError:
            self.close_connection = True  # the device was killed, or the download was cut

    def do_GET(self) -> None:
        name, rest = self._place()
        seen = self.server.seen(name)
        base = f"{self.server.address}/DEFAULT/controller/v1/{name}"
        if rest[:1] == ["softwaremodules"]:
            self._download(seen, self.server.images[rest[-1]])
        elif rest[:1] == ["deploymentBase"]:
            self._send(200, seen.action or {})
        elif rest[:1] == ["cancelAction"]:
            self._send(200, {"id": seen.cancel, "cancelAction": {"stopId": seen.cancel}})
        elif self.headers["Authorization"] != f"TargetToken token-{name}":
            self._send(401, {})
        else:
            seen.polls += 1
            self._send(
                200, {"config": {"polling": {"sleep": "00:00:01"}}, "_links": _links(seen, base)}
            )

    def do_PUT(self) -> None:
        seen = self.server.seen(self._place()[0])
        seen.attributes = self._body()["data"]
        seen.asks_attributes = False
        self._send(200, None)

    def do_POST(self) -> None:
        name, rest = self._place()
        seen, body = self.server.seen(name), self._body()
        seen.feedback.append((rest[1], body))
        if body["status"]["execution"] == "closed":
            seen.action, seen.cancel, seen.asks_attributes = None, "", True
        self._send(200, None)

    def _download(self, seen: Seen, content: bytes) -> None:
        asked = self.headers.get("Range", "")
        seen.ranges.append(asked)
        start = int(asked.removeprefix("bytes=").rstrip("-")) if asked else 0
        self.send_response(206 if asked else 200)
        self.send_header("Content-Length", str(len(content) - start))
        self.end_headers()
        if self.server.cut_next:
            self.server.cut_next = False
            self.wfile.write(content[start : start + len(content) // 2])
            self.wfile.flush()
            self.close_connection = True
            return
        self.wfile.write(content[start:])

    def _place(self) -> tuple[str, list[str]]:
        words = self.path.partition("?")[0].split("/")
        return words[4], words[5:]

    def _body(self) -> dict[str, Any]:
        content: dict[str, Any] = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
        return content

    def _send(self, status: int, content: object) -> None:
        body = b"" if content is None else json.dumps(content).encode()
        self.send_response(status)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_: object) -> None:
        """Tests read what devices reported, not a log."""


def _links(seen: Seen, base: str) -> dict[str, dict[str, str]]:
    links = {}
    if seen.asks_attributes:
        links["configData"] = {"href": f"{base}/configData"}
    if seen.cancel:
        links["cancelAction"] = {"href": f"{base}/cancelAction/{seen.cancel}"}
    elif seen.action:
        links["deploymentBase"] = {"href": f"{base}/deploymentBase/{seen.action['id']}?c=1"}
    return links
