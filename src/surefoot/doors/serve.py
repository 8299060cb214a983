"""The server process: sockets bound before anything else starts, served until a signal ends it.

Keeps: a port in use, or a name that cannot be resolved, is refused before any work; the Unix socket
is the owner's alone (mode 0600); SIGTERM and SIGINT finish open requests for a few seconds and then
end cleanly; log lines are one JSON object each.
Does not: build the applications, or hold the data folder's lock.
"""

from __future__ import annotations

import asyncio
import contextlib
import fcntl
import json
import logging
import os
import signal
import socket
import ssl
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any, Literal, NamedTuple

import uvicorn

from surefoot.core.errors import Failed, Refused

_BACKLOG = 1024
_GRACE_SECONDS = 5
_KEEP_ALIVE_SECONDS = 75
_HEAD_BYTES_MAX = 32 * 1024
_SOCKET_PATH_BYTES_MAX = 107
_OWN_FIELDS = frozenset(logging.makeLogRecord({}).__dict__) | {
    "message",
    "asctime",
    "color_message",
}


class Listener(NamedTuple):
    """One application on one bound socket, and the address it is announced by.

    `parser` h11 bounds a request's head; httptools, or a protocol class made of it, is faster and
    does not.
    """

    name: str
    application: Any
    socket: socket.socket
    address: str
    parser: Literal["h11", "httptools"] | type[asyncio.Protocol] = "h11"
    lifespan: Literal["on", "off"] = "off"
    connections_max: int | None = None
    tls: ssl.SSLContext | None = None


def bind_tcp(text: str, scheme: str = "http") -> tuple[socket.socket, str]:
    """A listening socket on `HOST:PORT` and its URL. Port 0 takes a free one.

    Raises `Refused` for a bad form, `Failed("server.listen.taken")` when it cannot be had.
    """
    host, separator, port = text.rpartition(":")
    if not separator or not port.isdigit() or int(port) > 65_535:
        raise Refused(
            "server.listen.input",
            f"address {text[:80]!r}",
            expected="HOST:PORT, like 127.0.0.1:8420",
            found=text[:80],
            remedy="correct --listen or --devices",
        )
    bare = host.strip("[]")
    family = socket.AF_INET6 if ":" in bare else socket.AF_INET
    bound = socket.socket(family, socket.SOCK_STREAM)
    bound.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    try:
        bound.bind((bare, int(port)))
        bound.listen(_BACKLOG)
    except OSError as error:
        bound.close()
        raise _taken(text, error) from None
    bound.setblocking(False)
    return bound, f"{scheme}://{host}:{bound.getsockname()[1]}"


@contextlib.contextmanager
def hold_path(path: Path) -> Iterator[None]:
    """Hold a socket's path against other servers, which may share the folder, by a file beside it.

    The kernel gives it back when the process ends, however it ends. Raises
    `Failed("server.listen.taken")`.
    """
    try:
        handle = os.open(f"{path}.lock", os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    except OSError as error:
        raise _taken(str(path), error) from None
    try:
        fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        os.close(handle)
        raise Failed(
            "server.listen.taken",
            f"address {path}",
            expected="a socket that no other server has",
            found="another server's",
            remedy="name another with --socket",
        ) from None
    try:
        yield
    finally:
        os.close(handle)


def bind_unix(path: Path) -> tuple[socket.socket, str]:
    """A listening socket at a path, for its owner alone, and its address.

    The caller holds the path (`hold_path`): a file already there is left from a server that died.
    Raises `Failed("server.listen.taken")`, `Refused` for a path the system cannot hold.
    """
    if len(os.fsencode(path)) > _SOCKET_PATH_BYTES_MAX:
        raise Refused(
            "server.socket.input",
            f"socket {path}",
            expected=f"a path of at most {_SOCKET_PATH_BYTES_MAX} bytes",
            found=f"{len(os.fsencode(path))} bytes",
            remedy="use a data folder with a shorter path, or name a socket with --socket",
        )
    bound = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    path.unlink(missing_ok=True)
    before = os.umask(0o177)
    try:
        bound.bind(os.fspath(path))
        bound.listen(_BACKLOG)
    except OSError as error:
        bound.close()
        raise _taken(str(path), error) from None
    finally:
        os.umask(before)
    bound.setblocking(False)
    return bound, f"unix:{path}"


def serve(listeners: Sequence[Listener], on_ready: Callable[[], None]) -> None:
    """Answer until SIGTERM or SIGINT. `on_ready` is called once all listeners answer."""
    with asyncio.Runner(loop_factory=_loop_factory()) as runner:
        runner.run(_serve(listeners, on_ready))


async def _serve(listeners: Sequence[Listener], on_ready: Callable[[], None]) -> None:
    servers = [_Server(_config(listener)) for listener in listeners]
    loop = asyncio.get_running_loop()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, _stop, servers)
    tasks = [
        asyncio.create_task(server.serve(sockets=[listener.socket]))
        for server, listener in zip(servers, listeners, strict=True)
    ]
    while not all(server.started for server in servers):
        done = [task for task in tasks if task.done()]
        if done:
            _stop(servers)
            await asyncio.gather(*tasks)
            raise Failed("server.start", "server", expected="listeners", found="one ended early")
        await asyncio.sleep(0.01)
    on_ready()
    await asyncio.gather(*tasks)


class _Server(uvicorn.Server):
    """One of several in the process: signals are the process's affair."""

    @contextlib.contextmanager
    def capture_signals(self) -> Iterator[None]:
        yield


def _stop(servers: Sequence[uvicorn.Server]) -> None:
    for server in servers:
        server.should_exit = True


def _config(listener: Listener) -> uvicorn.Config:
    config = uvicorn.Config(
        listener.application,
        http=listener.parser,
        ws="none",
        lifespan=listener.lifespan,
        log_config=None,
        access_log=False,
        server_header=False,
        proxy_headers=False,
        timeout_graceful_shutdown=_GRACE_SECONDS,
        timeout_keep_alive=_KEEP_ALIVE_SECONDS,
        h11_max_incomplete_event_size=_HEAD_BYTES_MAX,
        limit_concurrency=listener.connections_max,
    )
    if listener.tls is not None:
        config.load()  # it would make a context of its own from files, and only from files
        config.ssl = listener.tls
    return config


def _loop_factory() -> Callable[[], asyncio.AbstractEventLoop]:
    def none(*_: Any) -> None:
        """A configuration must name an application; this one only picks the loop."""

    chosen = uvicorn.Config(none, loop="auto", log_config=None).get_loop_factory()
    return chosen or asyncio.new_event_loop


def _taken(address: str, error: OSError) -> Failed:
    return Failed(
        "server.listen.taken",
        f"address {address}",
        expected="an address that is free and this machine's",
        found=error.strerror or str(error),
        remedy="stop what listens there, or choose another address",
    )


class LineFormatter(logging.Formatter):
    """Each record as one JSON line: time, level, room, event, and the fields given with it."""

    def format(self, record: logging.LogRecord) -> str:
        """The line."""
        line: dict[str, object] = {
            "time": self.formatTime(record, "%Y-%m-%dT%H:%M:%S") + f".{int(record.msecs):03d}Z",
            "level": record.levelname.lower(),
            "room": record.name,
            "event": record.getMessage(),
        }
        line |= {k: v for k, v in record.__dict__.items() if k not in _OWN_FIELDS}
        if record.exc_info:
            line["stack"] = self.formatException(record.exc_info)
        return json.dumps(line, default=str, ensure_ascii=False)


def log_to_standard_error(level: str) -> None:
    """Send the log of the whole process there, one JSON object a line, in UTC."""
    formatter = LineFormatter()
    formatter.converter = time.gmtime
    stream = logging.StreamHandler(sys.stderr)
    stream.setFormatter(formatter)
    root = logging.getLogger()
    root.handlers[:] = [stream]
    root.setLevel(level.upper())
    logging.getLogger("uvicorn").setLevel(logging.WARNING)
