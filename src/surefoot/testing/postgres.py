"""A PostgreSQL server of one's own for tests: in a folder, on a free port of the loopback.

Keeps: never runs as root (the server refuses that); ends with `stop`. Does not: install anything.
"""

from __future__ import annotations

import os
import pwd
import shutil
import socket
import subprocess
import tempfile
from pathlib import Path

_OWNERS = ("postgres", "nobody")
_SECONDS = 60


def find_binaries() -> Path | None:
    """The folder with initdb and pg_ctl, or None when PostgreSQL is not installed."""
    on_path = shutil.which("initdb")
    folders = [Path(on_path).resolve().parent] if on_path else []
    folders += sorted(Path("/usr/lib/postgresql").glob("*/bin"), reverse=True)
    return next((f for f in folders if (f / "pg_ctl").exists() and (f / "psql").exists()), None)


class PostgresServer:
    """A running server. `fsync` is off unless asked for: its data is thrown away."""

    def __init__(self, folder: Path, port: int, binaries: Path) -> None:
        self._folder = folder
        self._data = folder / "data"
        self._port = port
        self._binaries = binaries

    @classmethod
    def start(cls, folder: Path, *, fsync: bool = False, buffers: str = "16MB") -> PostgresServer:
        """Create a cluster for the folder (made if missing), or take the one kept, and start it.

        Raises `RuntimeError` with the tool's own words when it does not start.
        """
        binaries = find_binaries()
        if binaries is None:
            raise RuntimeError("PostgreSQL is not installed: no initdb on the path")
        folder.mkdir(parents=True, exist_ok=True)
        server = cls(_cluster(folder), _free_port(), binaries)
        if not server._data.exists():
            server._run(
                "initdb", "-D", str(server._data), "-U", "surefoot", "-A", "trust", "-E", "UTF8"
            )
        options = (
            f"-c listen_addresses=127.0.0.1 -c port={server._port} -c unix_socket_directories="
            f" -c fsync={'on' if fsync else 'off'} -c max_connections=60"
            f" -c shared_buffers={buffers}"
        )
        log = str(server._folder / "log")
        server._run("pg_ctl", "-D", str(server._data), "-o", options, "-l", log, "-w", "start")
        return server

    def dsn(self, database: str = "postgres") -> str:
        """Connection string of a database on this server."""
        return f"postgresql://surefoot@127.0.0.1:{self._port}/{database}"

    def create_database(self, name: str) -> str:
        """Create an empty database and return its connection string."""
        self._run(
            "psql", "-q", "-h", "127.0.0.1", "-p", str(self._port), "-U", "surefoot", "-d",
            "postgres", "-c", f'CREATE DATABASE "{name}"',
        )  # fmt: skip
        return self.dsn(name)

    def stop(self, *, keep: bool = False) -> None:
        """Stop at once, as a crash would; the data go too, unless kept for the next start."""
        self._run("pg_ctl", "-D", str(self._data), "-m", "immediate", "-w", "stop")
        if not keep:
            shutil.rmtree(self._folder)

    def _run(self, program: str, *arguments: str) -> None:
        owner = _owner() if os.getuid() == 0 else None
        done = subprocess.run(
            [str(self._binaries / program), *arguments],
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE if program != "pg_ctl" else subprocess.DEVNULL,
            stderr=subprocess.PIPE if program != "pg_ctl" else subprocess.DEVNULL,
            user=None if owner is None else owner.pw_uid,
            group=None if owner is None else owner.pw_gid,
            extra_groups=None if owner is None else [],
            cwd=self._folder,
            timeout=_SECONDS,
            check=False,
        )
        if done.returncode:
            words = (done.stderr or b"").decode("utf-8", "replace")
            raise RuntimeError(f"{program} ended with {done.returncode}: {words[-1000:]}")


def _cluster(folder: Path) -> Path:
    """Where the cluster lives: in the folder, or, since the server refuses to run as root, in a
    temporary folder of its owner that the folder points to. Test folders may close at any time."""
    if os.getuid() != 0:
        return folder
    link = folder / "cluster"
    if not link.exists():
        link.unlink(missing_ok=True)
        own = Path(tempfile.mkdtemp(prefix="surefoot-postgres-"))
        os.chown(own, _owner().pw_uid, _owner().pw_gid)
        link.symlink_to(own)
    return link.resolve()


def _owner() -> pwd.struct_passwd:
    for name in _OWNERS:
        try:
            return pwd.getpwnam(name)
        except KeyError:
            continue
    raise RuntimeError(f"no user among {_OWNERS} to run PostgreSQL as")


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port
