"""The stage: a folder with people's keys, a product's repository, and the processes of a run.

Keeps: every process started here is ended here, by its id; every command is run as a user would,
with the person's own key; nothing outside the folder is touched.
"""

from __future__ import annotations

import contextlib
import json
import os
import re
import shutil
import signal
import subprocess
import sys
import time
from collections import deque
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

from surefoot.core.errors import render
from surefoot.demo.voice import Voice

Answer = dict[str, Any]

SUREFOOT = (sys.executable, "-m", "surefoot")

# Of a build's progress, what is worth a line of its own; the rest passes by.
_WORTH_A_LINE = re.compile(r": (built|\d+ of \d+ tests|pass,|fail,|inconclusive|error|tests gave)")
_LONG_DIGEST = re.compile(r"(?:sha256:)?\b([0-9a-f]{12})[0-9a-f]{52}\b")


class Unexpected(Exception):
    """Something did not come out as the demonstration promises."""


def short_digests(text: str) -> str:
    """Each digest by its beginning, enough to recognise it."""
    return _LONG_DIGEST.sub(r"\1", text)


def end_on_signals() -> None:
    """SIGTERM and a closed terminal end the demonstration as Ctrl-C does: in order."""
    for number in (signal.SIGTERM, signal.SIGHUP):
        signal.signal(number, signal.default_int_handler)


class Stage:
    """See the module."""

    def __init__(self, folder: Path, product: Path, voice: Voice) -> None:
        self.folder = folder
        self.product = product
        self.voice = voice
        self.data = folder / "data"
        self.repository = folder / "product"
        self.keys = folder / "keys"
        self.logs = folder / "logs"
        self.address = ""
        self.devices_address = ""
        self.fleets: dict[str, str] = {}
        self.moment = ""
        self._processes: dict[str, subprocess.Popen[bytes]] = {}
        for made in (self.keys, self.logs):
            made.mkdir(parents=True)

    # -- commands ---------------------------------------------------------------------------------

    def run(self, who: str, *words: str, status: int = 0, stdin: str = "") -> Answer:
        """Run a command as a person and return its JSON; its exit status must be as expected."""
        done = self.start(who, *words, stdin=stdin)
        if done.returncode != status:
            record = self._answer(done.stderr)
            if status == 0 and "code" in record:
                raise Unexpected(f"surefoot {' '.join(words[:2])}: {render(record)}")
            raise Unexpected(
                f"surefoot {' '.join(words)}: exit {done.returncode}, expected {status}\n"
                f"{done.stdout[-2000:]}{done.stderr[-2000:]}"
            )
        return self._answer(done.stdout if status == 0 else done.stderr or done.stdout)

    def start(self, who: str, *words: str, stdin: str = "") -> subprocess.CompletedProcess[str]:
        """Run a command to its end, whatever that is."""
        return subprocess.run(
            [*SUREFOOT, *words, "-o", "json"],
            capture_output=True,
            text=True,
            input=stdin,
            env=self._variables(who),
            timeout=300,
            check=False,
        )

    def follow(self, who: str, *words: str) -> None:
        """Run a command that takes its time, and tell its progress as it comes."""
        last: deque[str] = deque(maxlen=1)
        with subprocess.Popen(
            [*SUREFOOT, *words],
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            stdin=subprocess.DEVNULL,
            text=True,
            env=self._variables(who),
        ) as process:
            assert process.stdout is not None
            for line in filter(None, map(str.strip, process.stdout)):
                last.append(line)
                short = short_digests(line)[:200]
                if _WORTH_A_LINE.search(short):
                    self.voice.note(short)
                else:
                    self.voice.passing(short)
        if process.returncode:
            said = last[0] if last else f"exit {process.returncode}"
            raise Unexpected(f"surefoot {' '.join(words[:2])}: {said}")

    def _variables(self, who: str) -> dict[str, str]:
        return {
            "PATH": os.environ.get("PATH", ""),
            "HOME": str(self.folder / "home"),
            "SUREFOOT_SERVER": f"unix:{self.data / 'surefoot.sock'}",
            "SUREFOOT_KEY": str(self.keys / who) if who else "",
            "LANG": "C.UTF-8",
        }

    def _answer(self, text: str) -> Answer:
        """The last JSON object of the output: what comes before it is progress."""
        with contextlib.suppress(ValueError):
            found: Answer = json.loads(text)
            return found
        for line in reversed(text.strip().splitlines()):
            with contextlib.suppress(ValueError):
                parsed: Answer = json.loads(line)
                if isinstance(parsed, dict):
                    return parsed
        return {}

    def refused(self, who: str, *words: str, code: str) -> Answer:
        """Run a command that must be refused with this code; returns the error's record."""
        record = self.run(who, *words, status=3)
        if not str(record.get("code", "")).startswith(code):
            raise Unexpected(f"surefoot {' '.join(words)}: refused with {record}, not {code}")
        return record

    # -- git --------------------------------------------------------------------------------------

    def git(self, who: str, *words: str, sign: bool = True) -> str:
        """Run git in the product's repository as a person, signing with their key."""
        chosen = ["-c", f"user.name={who}", "-c", f"user.email={who}@example.test"]
        if sign:
            chosen += [
                "-c", "gpg.format=ssh",
                "-c", f"user.signingkey={self.keys / who}.pub",
                "-c", "commit.gpgsign=true",
                "-c", "tag.gpgsign=true",
            ]  # fmt: skip
        done = subprocess.run(
            ["git", *chosen, *words],
            cwd=self.repository,
            capture_output=True,
            text=True,
            check=False,
            env={
                "PATH": os.environ.get("PATH", ""),
                "HOME": str(self.folder / "home"),
                "GIT_CONFIG_NOSYSTEM": "1",
            },
        )
        if done.returncode:
            raise Unexpected(f"git {' '.join(words)}: {done.stderr}")
        return done.stdout.strip()

    def overlay(self, release: str) -> None:
        """Bring the checkout to a later release of the example."""
        script = self.product / "releases" / "apply.py"
        self.tool([str(script), release, "--into", str(self.repository)])

    def tool(self, words: Sequence[str], status: int = 0) -> str:
        """Run one of the example's own programs to its end."""
        done = subprocess.run(
            [sys.executable, *words], capture_output=True, text=True, check=False, timeout=300
        )
        if done.returncode != status:
            raise Unexpected(f"{words[0]}: exit {done.returncode}\n{done.stdout}{done.stderr}")
        return done.stdout

    # -- processes --------------------------------------------------------------------------------

    def spawn(self, name: str, words: Sequence[str], **variables: str) -> subprocess.Popen[bytes]:
        """Start a process in the background with its output in the logs folder."""
        with (self.logs / f"{name}.log").open("ab") as log:
            process = subprocess.Popen(
                list(words),
                stdout=subprocess.DEVNULL if name != "server" else subprocess.PIPE,
                stderr=log,
                env={**os.environ, **variables},
                start_new_session=True,
            )
        self._processes[name] = process
        return process

    def start_server(self, **variables: str) -> None:
        """Start the control plane and wait until it answers."""
        listen = self.address.removeprefix("http://") or "127.0.0.1:0"
        devices = self.devices_address.removeprefix("http://") or "127.0.0.1:0"
        words = (
            *SUREFOOT, "server", "run", "--data", str(self.data), "--listen", listen,
            "--devices", devices, "-o", "json",
        )  # fmt: skip
        process = self.spawn("server", words, **variables)
        assert process.stdout is not None
        line = process.stdout.readline()
        if not line:
            raise Unexpected(f"the server did not start: {self.tail('server')}")
        ready = json.loads(line)
        addresses = ready.get("addresses", ready)
        self.address = str(addresses["api"])
        self.devices_address = str(addresses["devices"])

    def tail(self, name: str) -> str:
        """The end of a process's log."""
        path = self.logs / f"{name}.log"
        return path.read_text(errors="replace")[-2000:] if path.exists() else ""

    def is_running(self, name: str) -> bool:
        """Whether a process started here still runs."""
        process = self._processes.get(name)
        return process is not None and process.poll() is None

    def stop(self, name: str, number: int = signal.SIGTERM) -> int:
        """End a process by its id and return its status."""
        process = self._processes.pop(name)
        with contextlib.suppress(ProcessLookupError):
            process.send_signal(number)
        try:
            status = process.wait(timeout=300)
        except subprocess.TimeoutExpired:
            process.kill()
            status = process.wait()
        if process.stdout is not None:
            process.stdout.close()
        return status

    def close(self) -> None:
        """End everything started here, the services under their keepers included."""
        for name in list(self._processes):
            if name != "server":
                self.stop(name)
        if "server" in self._processes:
            self.stop("server")
        self._end_keepers()

    def _end_keepers(self) -> None:
        """Services outlive the control plane on purpose; the demonstration takes its own away."""
        for process in self.keepers():
            with contextlib.suppress(ProcessLookupError):
                os.kill(process, signal.SIGTERM)
        deadline = time.monotonic() + 60
        while self.keepers() and time.monotonic() < deadline:
            time.sleep(0.05)
        for process in self.keepers():
            with contextlib.suppress(ProcessLookupError):
                os.kill(process, signal.SIGKILL)

    def keepers(self) -> list[int]:
        """Ids of processes whose command line or folder lies in this stage's data folder."""
        return [pid for pid, words in processes() if str(self.data) in words and pid != os.getpid()]

    # -- waiting ----------------------------------------------------------------------------------

    def wait(self, what: str, found: Callable[[], Any], seconds: float = 180.0) -> Any:
        """Ask until something is found, or complain."""
        deadline = time.monotonic() + seconds
        while time.monotonic() < deadline:
            answer = found()
            if answer:
                return answer
            time.sleep(0.1)
        raise Unexpected(f"waited {seconds:.0f} s for {what}")

    def remove(self) -> None:
        """Remove the stage's folder."""
        shutil.rmtree(self.folder, ignore_errors=True)


def processes() -> Iterator[tuple[int, str]]:
    """Ids of running processes with their command line and working folder."""
    for entry in Path("/proc").iterdir():
        if entry.name.isdigit():
            with contextlib.suppress(OSError):
                words = (
                    (entry / "cmdline").read_bytes().replace(b"\0", b" ").decode("utf-8", "replace")
                )
                place = os.readlink(entry / "cwd")
                yield int(entry.name), f"{words} {place}"
