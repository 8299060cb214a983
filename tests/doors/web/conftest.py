"""One real installation for all page tests; in it, a deployment to production waits."""

from __future__ import annotations

import asyncio
import base64
import json
import os
import shutil
import subprocess
import threading
import time
import zlib
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import msgspec
import pytest
import uvicorn
from playwright.sync_api import Browser, Page, expect, sync_playwright

from surefoot import compose
from surefoot.app.operation import OPERATIONS, Request
from surefoot.compose.house import House
from surefoot.compose.log_keys import kept_keys, signer_of
from surefoot.core import manifest
from surefoot.core.policy import Asker
from surefoot.core.target import Step
from surefoot.doors.serve import bind_tcp
from surefoot.testing.claims import Claims
from surefoot.trust import canonical, envelope, sshsig
from surefoot.trust.keys import PrivateKey, private_key, private_text
from surefoot.trust.note import SignerKey

EXAMPLE = Path(__file__).resolve().parents[3] / "examples" / "thermostat"
PEOPLE = ("ann", "bob", "cyn")
BROWSER_MS = 90_000

expect.set_options(timeout=BROWSER_MS)


class Place:
    """The installation, its people's keys, and its front on a socket."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.keys: dict[str, PrivateKey] = {}
        for name in PEOPLE:
            self._make_key(name)
        self._commit_example()
        settings = compose.Settings(
            installation="demo",
            product="thermostat",
            repository=str(folder / "product"),
            poll_seconds=1,
        )
        founders = tuple(
            compose.FounderKey(
                person=name,
                key=self.keys[name].public.line(name),
                identities=(f"{name}@example.test",),
            )
            for name in ("ann", "bob")
        )
        compose.initialise(folder / "data", settings, founders)
        self.installation = compose.Installation(folder / "data")
        self.installation.engine.start()
        self._serve()

    def _make_key(self, name: str) -> None:
        key = private_key(os.urandom(32))
        self.keys[name] = key
        path = self.folder / f"{name}.key"
        path.touch(mode=0o600)
        path.write_bytes(private_text(key, name))
        path.with_suffix(".key.pub").write_text(key.public.line(name))

    def _commit_example(self) -> None:
        product = self.folder / "product"
        ignored = shutil.ignore_patterns("__pycache__", "releases", "check")
        shutil.copytree(EXAMPLE, product, ignore=ignored)
        self._git("init", "-q", "-b", "main")
        self._git("add", "-A")
        self._git("commit", "-q", "-m", "Start")

    def _git(self, *words: str) -> None:
        settings = {
            "user.name": "ann",
            "user.email": "ann@example.test",
            "gpg.format": "ssh",
            "user.signingkey": str(self.folder / "ann.key"),
            "commit.gpgsign": "true",
        }
        flags = [word for name, value in settings.items() for word in ("-c", f"{name}={value}")]
        subprocess.run(["git", *flags, *words], cwd=self.folder / "product", check=True)

    def _serve(self) -> None:
        socket, self.address = bind_tcp("127.0.0.1:0")
        self.house = House(self.installation, address=self.address, secure=False)
        config = uvicorn.Config(self.house.front, lifespan="off", log_config=None)
        self._server = uvicorn.Server(config)
        self._thread = threading.Thread(
            target=lambda: asyncio.run(self._server.serve(sockets=[socket])), daemon=True
        )
        self._thread.start()

    def call(self, operation: str, who: str, /, **arguments: Any) -> Any:
        """Ask an operation as a person."""
        found = OPERATIONS[operation]
        fingerprint = self.keys[who].public.fingerprint
        request = Request(
            asker=Asker(type="person", id=who), auth=fingerprint, id=os.urandom(4).hex()
        )
        read = msgspec.convert(arguments, found.arguments)
        return found.call(self.installation.app, request, read)

    def login_link(self, who: str) -> str:
        """A one-time address that opens a browser session."""
        token = self.house.sessions.invite(who, self.keys[who].public.fingerprint)
        return f"{self.address}/login/{token}"

    def set_up(self) -> None:
        """People, roles and the definition in force."""
        self.call("definition accept", "bob", commit="HEAD")
        line = self.keys["cyn"].public.line()
        asked = canonical.encode({"installation": "demo", "person": "cyn", "key": line})
        proof = sshsig.sign(self.keys["cyn"], asked, "surefoot-enrol").decode()
        self.call("person enrol", "ann", person="cyn", key=line, proof=proof, identities=[])
        for who, role in (("ann", "operator"), ("ann", "developer"), ("bob", "approver")):
            self.call("person grant", "bob" if who == "ann" else "ann", person=who, role=role)
        self.call("person grant", "bob", person="cyn", role="approver")
        for name in ("dev", "staging", "production"):
            value = base64.b64encode(os.urandom(16).hex().encode()).decode()
            self.call("secret set", "ann", name=name, secret="session_key", value=value)

    def release(self, version: str) -> None:
        """Build and register a release of the newest commit."""
        job = self.call("release build", "ann", version=version, commit="HEAD")["job"]
        answer = self._ended(lambda: self.call("job show", "ann", job=job), "status", ("running",))
        assert answer["status"] == "done", answer
        content = base64.b64decode(answer["result"]["manifest"])
        sealed = envelope.seal(manifest.PAYLOAD_TYPE, content, [self.keys["ann"]])
        self.call("release register", "ann", envelope=base64.b64encode(sealed).decode())

    def request(self, environment: str, version: str) -> int:
        """Ask for a deployment; its number."""
        answer = self.call("deployment request", "ann", environment=environment, release=version)
        return int(answer["deployment"])

    def wait(self, number: int) -> Any:
        """The deployment, once it ended."""
        return self._ended(
            lambda: self.call("deployment show", "ann", number=number),
            "status",
            ("waiting", "running"),
        )

    def disturb(self) -> None:
        """What pages show beside the ordinary: drift, a freeze, devices that never reported."""
        services = self.folder / "data" / "targets" / "dev" / "process" / "api" / "generations"
        for file in services.glob("*/configuration.json"):
            file.write_text(file.read_text().replace('"dev"', '"changed by hand"'))
        assert self.call("drift check", "ann", name="dev")["differences"]
        window = {"from": "2020-01-01", "until": "2999-01-01"}
        self.call("freeze add", "ann", name="staging", freeze="holidays", **window)
        devices = [{"id": f"device-{n}", "token": f"token-{n}"} for n in range(3)]
        self.call("device enrol", "ann", name="dev", devices=devices)

    def scan(self) -> None:
        """A report of a static analyser, with words that would be markup, and one finding lived
        with for a time."""
        results = [
            {
                "ruleId": rule,
                "level": level,
                "message": {"text": title},
                "locations": [{"physicalLocation": {"artifactLocation": {"uri": path}}}],
            }
            for rule, level, title, path in (
                ("S608", "error", "SQL from a variable", "api/db.py"),
                ("S501", "warning", "<script>alert(1)</script>", "api/<b>tls</b>.py"),
                ("S101", "error", "A check that optimisation removes", "api/main.py"),
            )
        ]
        run = {
            "tool": {"driver": {"name": "checker", "rules": [{"id": "S608"}]}},
            "invocations": [{"executionSuccessful": True}],
            "results": results,
        }
        content = json.dumps({"version": "2.1.0", "runs": [run]}).encode()
        report = base64.b64encode(zlib.compress(content)).decode()
        given = {"scope": "api-sast", "component": "api", "form": "sarif", "report": report}
        self.call("finding import", "ann", **given)
        (found,) = self.call("finding list", "ann", text="optimisation")["findings"]
        named = {"scope": "api-sast", "fingerprint": found["fingerprint"]}
        self.call("finding accept", "ann", **named, days=20, control="never run optimised")

    def _ended(self, ask: Callable[[], Any], name: str, while_: tuple[str, ...]) -> Any:
        deadline = time.monotonic() + 180
        while (answer := ask())[name] in while_:
            assert time.monotonic() < deadline, answer
            time.sleep(0.1)
        return answer

    def signer(self) -> SignerKey:
        """The log's own key, for what no deployment does."""
        folder = self.folder / "data"
        key = kept_keys(folder, self.installation.settings.installation)[-1]
        return signer_of(folder, key)

    def close(self) -> None:
        """Stop the server, the engine and what was started in the environments."""
        self._server.should_exit = True
        self._thread.join(90)
        self.installation.engine.stop()
        step = Step(id="end", target="process", action="remove", component="api")
        for name in ("dev", "staging", "production"):
            target = self.installation.targets(name)["process"]
            claims = Claims(name, self.signer())
            target.apply(step, claims.token(step, f"1/end-{name}", 2**40))
        self.installation.close()


@pytest.fixture(scope="session")
def place(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Place]:
    """The installation. Deployment 3, to production, waits for two approvals."""
    made = Place(tmp_path_factory.mktemp("pages"))
    try:
        made.set_up()
        made.release("1.0.0")
        for name in ("dev", "staging"):
            assert made.wait(made.request(name, "1.0.0"))["status"] == "succeeded"
        made.request("production", "1.0.0")
        made.disturb()
        made.scan()
        yield made
    finally:
        made.close()


class Watched:
    """Everything the browser complained about, apart from a status that a test expects."""

    def __init__(self) -> None:
        self.complaints: list[str] = []

    def watch(self, page: Page) -> Page:
        page.set_default_timeout(BROWSER_MS)
        page.on("console", lambda message: self._note(message.text))
        page.on("pageerror", lambda error: self._note(str(error)))
        return page

    def _note(self, text: str) -> None:
        if "responded with a status of 4" not in text:
            self.complaints.append(text)


# Not for the session: while it lives, its event loop counts as running, and no other test could
# start one of its own.
@pytest.fixture(scope="module")
def chromium(require_tool: Callable[[str], str]) -> Iterator[Browser]:
    """Debian's browser, without a window."""
    path = require_tool("chromium")
    with sync_playwright() as playwright:
        # The browser's sandbox cannot be made by root.
        args = ["--no-sandbox"] if os.geteuid() == 0 else []
        browser = playwright.chromium.launch(executable_path=path, args=args, timeout=BROWSER_MS)
        yield browser
        browser.close()


@pytest.fixture
def watched() -> Iterator[Watched]:
    """A list that must be empty in the end: no error, no violation of the content policy."""
    watched = Watched()
    yield watched
    assert watched.complaints == []
