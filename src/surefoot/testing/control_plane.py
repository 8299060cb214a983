"""A control plane for tests: people with keys, a signed product, a server process, real commands.

Keeps: every command is the one a user types, in a process of its own; every process started is
ended by its id, services under their keepers included; nothing outside the folder is touched.
Does not: judge. `ask` raises `AssertionError` when a command does not end as expected.
"""

from __future__ import annotations

import contextlib
import json
import os
import secrets
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

Answer = dict[str, Any]
SUREFOOT = (sys.executable, "-m", "surefoot")
ROLES = {
    "ann": ("developer", "approver"),
    "bob": ("approver",),
    "cyn": ("approver",),
    "olga": ("operator",),
}
ENVIRONMENTS = ("dev", "staging", "production")
_SECONDS = 300


class ControlPlane:
    """See the module. `example` is a product's folder; the installation's name is `demo`.

    `folder` needs a short path, because a Unix socket's may have 107 bytes only.
    """

    def __init__(self, folder: Path, example: Path) -> None:
        self.folder = folder
        self.data = folder / "data"
        self.repository = folder / "product"
        self.keys = folder / "keys"
        self.address = ""
        self.devices_address = ""
        self.before: tuple[str, ...] = ()
        self.example = example
        self._server: subprocess.Popen[str] | None = None

    # -- commands ---------------------------------------------------------------------------------

    def start(self, who: str, *words: str, stdin: str = "") -> subprocess.CompletedProcess[str]:
        """Run a command as a person to its end, whatever that is."""
        return subprocess.run(
            [*SUREFOOT, *words, "-o", "json"],
            capture_output=True,
            text=True,
            input=stdin,
            timeout=_SECONDS,
            check=False,
            env={
                "PATH": os.environ.get("PATH", ""),
                "HOME": str(self.folder / "home"),
                "SUREFOOT_SERVER": f"unix:{self.data / 'surefoot.sock'}",
                "SUREFOOT_KEY": str(self.keys / who) if who else "",
                "LANG": "C.UTF-8",
            },
        )

    def ask(self, who: str, *words: str, stdin: str = "") -> Answer:
        """Run a command that must succeed, and return its JSON."""
        done = self.start(who, *words, stdin=stdin)
        if done.returncode:
            raise AssertionError(f"surefoot {' '.join(words)}: {done.returncode} {done.stderr}")
        found: Answer = json.loads(done.stdout[done.stdout.index("{") :])
        return found

    def git(self, who: str, *words: str) -> None:
        """Run git in the product's repository as a person, signing with their key."""
        settings = {
            "user.name": who,
            "user.email": f"{who}@example.test",
            "gpg.format": "ssh",
            "user.signingkey": f"{self.keys / who}.pub",
            "commit.gpgsign": "true",
        }
        chosen = [word for name, value in settings.items() for word in ("-c", f"{name}={value}")]
        subprocess.run(
            ["git", *chosen, *words],
            cwd=self.repository,
            capture_output=True,
            check=True,
            env={
                "PATH": os.environ.get("PATH", ""),
                "HOME": str(self.folder / "home"),
                "GIT_CONFIG_NOSYSTEM": "1",
            },
        )

    def commit(self, who: str, message: str) -> None:
        """Commit everything that changed."""
        self.git(who, "add", "--all")
        self.git(who, "commit", "--quiet", "--message", message)

    # -- setting up -------------------------------------------------------------------------------

    def install(self) -> None:
        """Keys, repository, installation, server, people with roles, rules and secrets."""
        self.keys.mkdir(parents=True)
        for who in ROLES:
            self.ask("", "key", "generate", str(self.keys / who), "--comment", who)
        ignored = shutil.ignore_patterns("__pycache__", "releases", "check", "device")
        shutil.copytree(self.example, self.repository, ignore=ignored)
        self.git("ann", "init", "--quiet", "--initial-branch", "main", ".")
        self.commit("ann", "Start")
        founders = [
            word
            for who in ("ann", "bob")
            for word in ("--founder", f"{who}={self.keys / who}.pub,{who}@example.test")
        ]
        named = ("--repository", str(self.repository), "--product", "thermostat")
        self.ask("", "init", str(self.data), *founders, *named, "--installation", "demo")
        self.serve()
        for who in ("cyn", "olga"):
            request = str(self.folder / f"{who}.json")
            address = ("--identity", f"{who}@example.test")
            self.ask(who, "person", "request", who, *address, "--request", request)
            self.ask("ann", "person", "enrol", "--request", request)
        self.ask("bob", "definition", "accept", "HEAD")
        for who, roles in ROLES.items():
            for role in roles:
                self.ask("ann" if who == "bob" else "bob", "person", "grant", who, role)
        for environment in ENVIRONMENTS:
            self.set_secret(environment)

    def set_secret(self, environment: str) -> None:
        """A fresh session key for an environment."""
        words = ("secret", "set", environment, "session_key", "--from-file", "-")
        self.ask("olga", *words, stdin=secrets.token_hex(24))

    def enrol(self, environment: str, device: str) -> str:
        """One device with a token of its own, which is returned."""
        token, file = secrets.token_hex(16), self.folder / f"{device}.json"
        file.touch(mode=0o600)
        file.write_text(json.dumps([{"id": device, "token": token}]))
        self.ask("olga", "device", "enrol", environment, "--devices", str(file))
        return token

    def deploy(self, environment: str, *words: str) -> Answer:
        """Request, and wait until it succeeded."""
        plan = self.ask("olga", "deployment", "request", environment, *words)
        return self.ended(int(plan["deployment"]))

    def ended(self, number: int, status: str = "succeeded") -> Answer:
        """A deployment, once it ended, which it must do with this status."""

        def look() -> Answer | None:
            shown = self.ask("olga", "deployment", "show", str(number))
            return shown if shown["ended_at"] else None

        shown: Answer = wait_for(f"deployment {number}", look)
        if shown["status"] != status:
            raise AssertionError(f"deployment {number}: {shown['status']}, {shown['cause']}")
        return shown

    # -- the server -------------------------------------------------------------------------------

    def serve(self) -> None:
        """Start the server, at the addresses it had, and wait until it answers."""
        words = [*self.before, *SUREFOOT, "server", "run", "--data", str(self.data), "-o", "json"]
        for option, address in (("--listen", self.address), ("--devices", self.devices_address)):
            words += [option, address.removeprefix("http://") or "127.0.0.1:0"]
        with self.log.open("ab") as log:
            self._server = subprocess.Popen(
                words, stdout=subprocess.PIPE, stderr=log, text=True, start_new_session=True
            )
        assert self._server.stdout is not None
        line = self._server.stdout.readline()
        if not line:
            raise AssertionError(f"the server did not start: {self.log.read_text()[-2000:]}")
        said = json.loads(line)
        addresses = said.get("addresses", said)
        self.address = str(addresses["api"])
        self.devices_address = str(addresses["devices"])

    @property
    def log(self) -> Path:
        """Where the server's log lines go."""
        return self.folder / "server.log"

    def stop(self) -> None:
        """End the server, if it runs."""
        server, self._server = self._server, None
        if server is None:
            return
        server.send_signal(signal.SIGTERM)
        try:
            server.wait(30)
        except subprocess.TimeoutExpired:
            server.kill()
            server.wait()
        assert server.stdout is not None
        server.stdout.close()

    def close(self) -> None:
        """End everything that was started here: services outlive their control plane on purpose."""
        self.stop()
        for number in (signal.SIGTERM, signal.SIGKILL):
            left = self._left()
            for process in left:
                with contextlib.suppress(ProcessLookupError):
                    os.kill(process, number)
            with contextlib.suppress(AssertionError):
                wait_for("the services' end", lambda: not self._left(), 10 if left else 0.1)

    def _left(self) -> list[int]:
        """Ids of processes that name our data folder in their command line."""
        found = []
        for entry in Path("/proc").iterdir():
            if entry.name.isdigit() and int(entry.name) != os.getpid():
                with contextlib.suppress(OSError):
                    if os.fsencode(self.data) in (entry / "cmdline").read_bytes():
                        found.append(int(entry.name))
        return found


def wait_for(what: str, found: Callable[[], Any], seconds: float = 240.0) -> Any:
    """Ask until something is found. Raises `AssertionError` when it takes too long."""
    deadline = time.monotonic() + seconds
    while time.monotonic() < deadline:
        answer = found()
        if answer:
            return answer
        time.sleep(0.05)
    raise AssertionError(f"waited {seconds:.0f} s for {what}")
