"""An installation of a small product, asked through its operations as a door asks them."""

from __future__ import annotations

import base64
import os
import subprocess
import time
from pathlib import Path
from typing import Any

import msgspec

from surefoot import compose
from surefoot.app.deployments import APPROVAL_TYPE, approval_payload
from surefoot.app.operation import OPERATIONS, Request
from surefoot.core import manifest
from surefoot.core.policy import Asker
from surefoot.engine.clock import SystemClock
from surefoot.trust import canonical, envelope, sshsig
from surefoot.trust.keys import PrivateKey, private_key, private_text

HOUR_MS = 3_600_000

LAMP = """\
surefoot: 1
product: lamp
components:
  schema: {kind: migrations, path: migrations, database: main}
pipeline:
  release: [provenance]
roles:
  developer: [release.create, deploy.dev, deploy.production]
  approver: [approve]
environments:
  dev:
    targets: {databases: {main: {engine: sqlite}}}
  production:
    protected: true
    after: dev
    approvals: {count: 2, role: approver}
    targets: {databases: {main: {engine: sqlite}}}
"""
SMALL_TEAM = LAMP.replace("count: 2", "count: 1").replace(
    "product: lamp\n", "product: lamp\nsmall_team: {delay_hours: 1}\n"
)
DEVICES = """\
    devices:
      waves: [100]
      success_percent: 90
      error_percent: 20
      minimum_sample: 1
      deadline_seconds: 60
"""
BULB = """\
components:
  bulb:
    kind: firmware
    path: bulb
    hardware: [lamp-v1]
    build:
      command: [python3, build.py, "{out}"]
      artifact: bulb.img
      manifest: manifest.json
      tools: [python3]
"""
MOODY = LAMP.replace("components:\n", BULB).replace(
    "{databases: {main: {engine: sqlite}}}\n",
    "{databases: {main: {engine: sqlite}}, fleet: {}}\n" + DEVICES,
)
BUILD = """\
import json, pathlib, sys, time
out = pathlib.Path(sys.argv[1])
(out / "bulb.img").write_text(str(time.time_ns()))
(out / "manifest.json").write_text(
    json.dumps({"name": "bulb", "version": "1.0.0", "hardware": ["lamp-v1"]})
)
"""


class LateClock(SystemClock):
    """The machine's clock, set forward."""

    ahead_ms = 0

    def now_ms(self) -> int:
        return super().now_ms() + self.ahead_ms


class AppHouse:
    """The installation and the keys of ann, who writes, and bob."""

    def __init__(self, folder: Path, definition: str, store: str = "") -> None:
        self.folder = folder
        self.keys = {name: self._key(name) for name in ("ann", "bob")}
        self.product = folder / "product"
        (self.product / "migrations").mkdir(parents=True)
        (self.product / "migrations" / "0001_expand_lamp.sql").write_text(
            "CREATE TABLE lamp (id INTEGER PRIMARY KEY);\n"
        )
        (self.product / "bulb").mkdir()
        (self.product / "bulb" / "build.py").write_text(BUILD)
        self.git("init", "-q", "-b", "main")
        self.commit(definition)
        founders = tuple(
            compose.FounderKey(
                person=name, key=key.public.line(name), identities=(f"{name}@example.test",)
            )
            for name, key in self.keys.items()
        )
        settings = compose.Settings(
            installation="home", product="lamp", repository=str(self.product), store=store
        )
        compose.initialise(folder / "data", settings, founders)
        self.clock = LateClock()
        self.open()

    def open(self) -> None:
        """Open the folder, as a server does at its start."""
        self.installation = compose.Installation(self.folder / "data")
        self.installation.app.clock = self.clock

    def close(self) -> None:
        self.installation.close()

    def _key(self, name: str) -> PrivateKey:
        key = private_key(os.urandom(32))
        path = self.folder / f"{name}.key"
        path.touch(mode=0o600)
        path.write_bytes(private_text(key, name))
        return key

    def git(self, *words: str) -> None:
        """Run git as ann, who signs."""
        settings = {
            "user.name": "ann",
            "user.email": "ann@example.test",
            "gpg.format": "ssh",
            "user.signingkey": str(self.folder / "ann.key"),
            "commit.gpgsign": "true",
        }
        flags = [word for name, value in settings.items() for word in ("-c", f"{name}={value}")]
        subprocess.run(["git", *flags, *words], cwd=self.product, check=True)

    def commit(self, definition: str) -> None:
        """Write the definition and commit everything."""
        (self.product / "surefoot.yaml").write_text(definition)
        self.git("add", "-A")
        self.git("commit", "-q", "--allow-empty", "-m", "change")

    def call(self, operation: str, who: str, /, **arguments: Any) -> Any:
        """Ask an operation as a person."""
        found = OPERATIONS[operation]
        auth = self.keys[who].public.fingerprint
        asker = Asker(type="person", id=who)
        request = Request(asker=asker, auth=auth, id=os.urandom(4).hex())
        return found.call(
            self.installation.app, request, msgspec.convert(arguments, found.arguments)
        )

    def set_up(self) -> None:
        """Accept the definition; ann may release and deploy, both may approve."""
        self.call("definition accept", "bob", commit="HEAD")
        self.call("person grant", "bob", person="ann", role="developer")
        self.call("person grant", "bob", person="ann", role="approver")
        self.call("person grant", "ann", person="bob", role="approver")

    def job(self, operation: str, /, **arguments: Any) -> Any:
        """The end of a job that ann starts."""
        job = self.call(operation, "ann", **arguments)["job"]
        end = time.monotonic() + 180
        while (answer := self.call("job show", "ann", job=job))["status"] == "running":
            assert time.monotonic() < end, answer
            time.sleep(0.02)
        return answer

    def release(self, version: str) -> None:
        """Build the newest commit and register it."""
        answer = self.job("release build", version=version, commit="HEAD")
        assert answer["status"] == "done", answer
        content = base64.b64decode(answer["result"]["manifest"])
        sealed = envelope.seal(manifest.PAYLOAD_TYPE, content, [self.keys["ann"]])
        self.call("release register", "ann", envelope=base64.b64encode(sealed).decode())

    def approve(self, number: int, environment: str, who: str) -> Any:
        """Sign the plan's digest and hand it in."""
        plan = self.call("deployment plan-bytes", who, number=number)["digest"]
        payload = approval_payload(number, environment, plan, "approve")
        sealed = envelope.seal(APPROVAL_TYPE, payload, [self.keys[who]])
        given = base64.b64encode(sealed).decode()
        return self.call("deployment approve", who, number=number, envelope=given)

    def request(self, environment: str, **arguments: Any) -> int:
        """Ann asks for a deployment; its number."""
        answer = self.call("deployment request", "ann", environment=environment, **arguments)
        return int(answer["deployment"])

    def carry(self, number: int) -> str:
        """Do what can be done now, as the engine would; the status then."""
        while self.installation.effects.advance(number).what not in ("wait", "finish"):
            pass
        return str(self.call("deployment show", "ann", number=number)["status"])

    def facts(self, kind: str) -> list[dict[str, Any]]:
        """Bodies of the entries of a kind, oldest first."""
        log = self.installation.log
        return [dict(e.body) for e in log.entries(0, log.size()) if e.kind == kind]

    def enrol(self, person: str) -> None:
        """Ann enrols somebody with a key of their own."""
        self.keys[person] = self._key(person)
        line = self.keys[person].public.line()
        asked = canonical.encode({"installation": "home", "person": person, "key": line})
        proof = sshsig.sign(self.keys[person], asked, "surefoot-enrol").decode()
        self.call("person enrol", "ann", person=person, key=line, proof=proof, identities=[])
