"""One generation of the service: its process, kept running under the claim that started it.

Keeps: no shell; a session of its own, so that it outlives the keeper; an environment of five
names; limits set before the program begins; secrets only in an anonymous memory file.
The process is recorded durably right after its start. A crash between the two leaves a process
without record; it carries a mark in its environment, and the next keeper ends it by that mark.
Does not: decide which generation is live.
"""

from __future__ import annotations

import asyncio
import contextlib
import fcntl
import os
import resource
import shutil
import signal
import socket
import subprocess
from collections.abc import Callable
from pathlib import Path

import msgspec

from surefoot.store.durable import write_durably
from surefoot.targets.keeper import proc
from surefoot.targets.keeper.back import Upstream

MARK = "SUREFOOT_GENERATION"
OUTPUT_BYTES_MAX = 16 * 1024 * 1024
_PAUSE_MAX_SECONDS = 10.0
_STEADY_SECONDS = 60.0
_ABSOLUTE_SOCKET_MAX = 100


class Spec(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """How a generation runs. The command may hold {listen} {config} {secrets} {port}."""

    generation: str
    command: tuple[str, ...]
    listen: str = "unix"
    memory_mib: int = 0
    open_files: int = 0
    search_path: str = "/usr/local/bin:/usr/bin:/bin"
    secret_names: tuple[str, ...] = ()


class Record(msgspec.Struct, frozen=True, kw_only=True):
    """What is on disk about a running process; `words` put concrete text for placeholders."""

    identity: proc.Identity
    address: str
    words: dict[str, str]
    seen: tuple[str, ...]


class Generation:
    """A process and its supervision. `report` takes an event's name and its figures."""

    def __init__(
        self, folder: Path, spec: Spec, report: Callable[[str, dict[str, object]], None]
    ) -> None:
        self.folder = folder
        self.spec = spec
        self.secrets: bytes | None = None if spec.secret_names else b"{}"
        self.record: Record | None = None
        self.upstream: Upstream | None = None
        self.keep = False
        self.restarts = 0
        self.ended = asyncio.Event()
        self.ended.set()
        self.exit_status: int | None = None
        self._report = report
        self._process: subprocess.Popen[bytes] | None = None
        self._pidfd = -1
        self._memory = -1
        self._began = 0.0
        self._pause = 0.1
        self._timer: asyncio.TimerHandle | None = None

    @property
    def running(self) -> bool:
        """True while the process lives."""
        return not self.ended.is_set()

    def adopt(self) -> None:
        """Take over a process that an earlier keeper started and that still lives."""
        try:
            record = msgspec.json.decode((self.folder / "process.json").read_bytes(), type=Record)
        except FileNotFoundError:
            record = None
        mark = f"{MARK}={self.folder.resolve()}".encode()
        for pid in proc.marked(mark):
            identity = proc.identity_of(pid)
            ours = record is not None and proc.session_of(pid) == record.identity.pid
            if identity is not None and not ours:
                self._report("orphan-ended", {"generation": self.spec.generation, "pid": pid})
                proc.end(identity, 2.0)
        if record is not None and proc.is_alive(record.identity):
            self._watch(record)
            self._report("adopted", {"generation": self.spec.generation})

    def start(self) -> None:
        """Start the process. Raises `OSError` when the program cannot be run."""
        assert self.secrets is not None
        words, address = self._words()
        command = [_render(word, words) for word in self.spec.command]
        if address.startswith("unix:"):
            (self.folder / "service.sock").unlink(missing_ok=True)
        with open(self.folder / "output.log", "ab") as output:
            self._process = subprocess.Popen(
                command,
                cwd=self.folder / "artifact",
                env=self._environment(),
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=output,
                start_new_session=True,
                pass_fds=(self._memory,),
                preexec_fn=self._limit,
            )
        identity = proc.identity_of(self._process.pid, dead_too=True)
        assert identity is not None, "our own child is there until we wait for it"
        seen = tuple(proc.command_of(identity.pid))
        self._watch(Record(identity=identity, address=address, words=words, seen=seen))
        self.save()

    def settle(self) -> None:
        """Note the command line as it is now: after any wrapper has become the program."""
        if self.record is not None and self.running:
            seen = tuple(proc.command_of(self.record.identity.pid))
            self.record = msgspec.structs.replace(self.record, seen=seen)
            self.save()

    def save(self) -> None:
        """Write the process's record durably."""
        assert self.record is not None
        write_durably(self.folder / "process.json", msgspec.json.encode(self.record))

    def _words(self) -> tuple[dict[str, str], str]:
        self._remember_secrets()
        words = {
            "{config}": str((self.folder / "configuration.json").resolve()),
            "{secrets}": f"/proc/self/fd/{self._memory}",
        }
        if self.spec.listen == "tcp":
            port = str(_free_port())
            words |= {"{listen}": f"127.0.0.1:{port}", "{port}": port}
            return words, f"tcp:127.0.0.1:{port}"
        path = str((self.folder / "service.sock").resolve())
        if len(path.encode()) > _ABSOLUTE_SOCKET_MAX:
            path = "../service.sock"
        words["{listen}"] = f"unix:{path}"
        return words, f"unix:{self.folder}/service.sock"

    def _remember_secrets(self) -> None:
        """Keep the secrets in a sealed memory file, under one number for all restarts."""
        if self._memory < 0:
            self._memory = os.memfd_create("secrets", os.MFD_CLOEXEC | os.MFD_ALLOW_SEALING)
            os.write(self._memory, self.secrets or b"{}")
            _seal(self._memory)
        os.lseek(self._memory, 0, os.SEEK_SET)

    def give_secrets(self, secrets: bytes) -> None:
        """Hold other secrets from the next start on."""
        if secrets != self.secrets and self._memory >= 0:
            os.close(self._memory)
            self._memory = -1
        self.secrets = secrets

    def _environment(self) -> dict[str, str]:
        state = self.folder.resolve().parent.parent / "data"
        state.mkdir(mode=0o700, exist_ok=True)
        return {
            "PATH": self.spec.search_path,
            "LANG": "C.UTF-8",
            "STATE_DIRECTORY": str(state),
            "PYTHONDONTWRITEBYTECODE": "1",
            MARK: str(self.folder.resolve()),
        }

    def _limit(self) -> None:
        """In the child, before the program: limits, no core file, signals as at a log-in."""
        resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
        if self.spec.open_files:
            resource.setrlimit(resource.RLIMIT_NOFILE, (self.spec.open_files,) * 2)
        if self.spec.memory_mib:
            # Resident memory is watched; this only stops a runaway between two looks. It counts
            # the stacks of all threads in full, hence the factor.
            size = self.spec.memory_mib * 1024 * 1024 * 8
            resource.setrlimit(resource.RLIMIT_DATA, (size, size))
        os.umask(0o077)

    def _watch(self, record: Record) -> None:
        self.record = record
        self.exit_status = None
        try:
            self._pidfd = os.pidfd_open(record.identity.pid)
        except ProcessLookupError:
            self._reap()
            return
        loop = asyncio.get_running_loop()
        self._began = loop.time()
        self.ended.clear()
        if self.upstream is None:
            self.upstream = Upstream(record.address)
        self.upstream.up(record.address)
        loop.add_reader(self._pidfd, self._on_exit)

    def _on_exit(self) -> None:
        loop = asyncio.get_running_loop()
        loop.remove_reader(self._pidfd)
        os.close(self._pidfd)
        self._pidfd = -1
        assert self.record is not None
        with contextlib.suppress(ProcessLookupError, PermissionError):
            # Its children, while the number of its group cannot have been given away.
            os.killpg(self.record.identity.pid, signal.SIGKILL)
        self._reap()
        self.ended.set()
        if self.upstream is not None:
            self.upstream.down()
        if not self.keep:
            return
        if loop.time() - self._began > _STEADY_SECONDS:
            self._pause = 0.1
        figures: dict[str, object] = {
            "generation": self.spec.generation,
            "pid": self.record.identity.pid,
            "pause_ms": round(self._pause * 1000),
        }
        if self.exit_status is not None:
            figures["exit_status"] = self.exit_status
        self._report("crashed", figures)
        self._timer = loop.call_later(self._pause, self.restart)
        self._pause = min(self._pause * 2, _PAUSE_MAX_SECONDS)

    def _reap(self) -> None:
        if self._process is not None:
            self.exit_status = self._process.wait()
            self._process = None

    def restart(self) -> None:
        """Start again after a crash, if it is still wanted and the secrets are held."""
        self._timer = None
        if self.running or not self.keep:
            return
        if self.secrets is None:
            self._report("waits-for-secrets", {"generation": self.spec.generation})
            return
        loop = asyncio.get_running_loop()
        try:
            self.start()
        except OSError as trouble:
            figures: dict[str, object] = {"generation": self.spec.generation}
            self._report("restart-failed", figures | {"reason": str(trouble.strerror)})
            self._timer = loop.call_later(_PAUSE_MAX_SECONDS, self.restart)
            return
        self.restarts += 1
        self._report("restarted", {"generation": self.spec.generation, "restarts": self.restarts})

    async def stop(self, grace_seconds: float) -> None:
        """Terminate, wait for the grace, kill. Harmless when it is dead already."""
        self.keep = False
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
        if self.upstream is not None:
            self.upstream.retire()
        for number, wait in ((signal.SIGTERM, grace_seconds), (signal.SIGKILL, 5.0)):
            if not self.running or self.record is None:
                break
            proc.send(self.record.identity, number)
            try:
                await asyncio.wait_for(self.ended.wait(), wait)
            except TimeoutError:
                continue
        (self.folder / "service.sock").unlink(missing_ok=True)
        (self.folder / "process.json").unlink(missing_ok=True)

    def look_after(self) -> None:
        """The regular look: memory within its limit, output within its size."""
        if self.record is None or not self.running:
            return
        limit = self.spec.memory_mib * 1024 * 1024
        resident = proc.resident_bytes(self.record.identity.pid)
        if limit and resident > limit:
            figures: dict[str, object] = {"generation": self.spec.generation}
            self._report("memory-exceeded", figures | {"resident_bytes": resident})
            proc.send(self.record.identity, signal.SIGKILL)
        output = self.folder / "output.log"
        if output.stat().st_size > OUTPUT_BYTES_MAX:
            # The process appends, so it goes on at the new end.
            shutil.copyfile(output, self.folder / "output.1.log")
            os.truncate(output, 0)


def _render(word: str, words: dict[str, str]) -> str:
    for placeholder, text in words.items():
        word = word.replace(placeholder, text)
    return word


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port


def _seal(descriptor: int) -> None:
    """Nobody changes the memory file any more."""
    seals = fcntl.F_SEAL_SEAL | fcntl.F_SEAL_SHRINK | fcntl.F_SEAL_GROW | fcntl.F_SEAL_WRITE
    fcntl.fcntl(descriptor, fcntl.F_ADD_SEALS, seals)
