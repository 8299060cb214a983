"""A client of a device door for tests: one rollout after another to the devices of a house.

Keeps: each request on a connection of its own, answers whole. Does not: behave like any device.
"""

from __future__ import annotations

import http.client
import json
from typing import Any
from urllib.parse import urlsplit

from surefoot.core.governance import Urgency
from surefoot.store.device import AttributesPut, Incoming
from surefoot.store.device_rollouts import DeviceRollouts, Wave
from surefoot.testing.device_door import DeviceHouse, DoorServer, token_of
from surefoot.testing.waiting import until

ENV = "production"
CONTENT = bytes(range(256)) * 5000


class DoorClient:
    """A door with one device, `dev1`, and a client for it."""

    def __init__(self, house: DeviceHouse, server: DoorServer) -> None:
        self.house, self.server = house, server
        self.url = server.url
        self.netloc = urlsplit(server.url).netloc
        self.deployment = 0
        self.firmware = house.firmware(CONTENT, "1.1.0")
        self.rollouts = DeviceRollouts(house.database, ENV, house.now_ms)

    def ask(
        self,
        method: str,
        path: str,
        body: bytes | dict[str, Any] | None = None,
        device: str = "dev1",
        tenant: str = ENV,
        **headers: str,
    ) -> tuple[int, dict[str, str], bytes]:
        """Status, headers by lower-case name, and body of one request."""
        connection = http.client.HTTPConnection(self.netloc, timeout=90)
        given = {"Authorization": f"TargetToken {token_of(device)}"}
        given |= {name.replace("_", "-"): value for name, value in headers.items()}
        content = json.dumps(body).encode() if isinstance(body, dict) else body
        target = path if path.startswith("/") else f"/{tenant}/controller/v1/{device}"
        target = target if path.startswith("/") or not path else f"{target}/{path}"
        try:
            connection.request(method, target, content, given)
            answer = connection.getresponse()
            found = {name.lower(): value for name, value in answer.getheaders()}
            return answer.status, found, answer.read()
        finally:
            connection.close()

    def poll(self, **options: str) -> dict[str, Any]:
        """The answer to a poll."""
        status, _, body = self.ask("GET", "", **options)  # type: ignore[arg-type]
        assert status == 200
        answer: dict[str, Any] = json.loads(body)
        return answer

    def links(self) -> dict[str, str]:
        """The addresses of a poll's answer."""
        return {name: link["href"] for name, link in self.poll()["_links"].items()}

    def assign(self, *, confirmation: bool = False, urgency: Urgency = "forced") -> int:
        """A new action for all devices; its number, once the door speaks of it."""
        newest = self.assign_silently(confirmation=confirmation, urgency=urgency)
        until(lambda: any(f"/{newest}?" in href for href in self.links().values()))
        return newest

    def assign_silently(self, *, confirmation: bool = False, urgency: Urgency = "forced") -> int:
        """A new action for all devices; its number, whatever the door makes of it."""
        self.deployment += 1
        self._step_back()
        wave = Wave(
            deployment=self.deployment,
            wave=0,
            percent=100,
            release="sha256:" + "1" * 64,
            firmware=self.firmware,
            deadline_seconds=600,
            confirmation=confirmation,
            urgency=urgency,
        )
        self.house.assign(ENV, wave, self.deployment)
        return self.house.registry.page(ENV)[0].action

    def _step_back(self) -> None:
        """Devices that show the version already would be left out: they show an older one again."""
        older = AttributesPut(mode="merge", values={"sw_version": "1.0.0"})
        shown = [d for d in self.house.registry.page(ENV) if d.runs == self.firmware.version]
        self.house.registry.record(
            [Incoming(environment=ENV, device=each.device, told=older) for each in shown]
        )

    def state(self) -> tuple[str, int]:
        """State of the first device's action, and the newest change."""
        return self.house.registry.page(ENV)[0].state, self.house.registry.newest_change()

    def artifact_path(self, action: int) -> str:
        """Where the action's image is, below the device's root."""
        return f"softwaremodules/{action}/artifacts/{self.firmware.file}"


def report(execution: str, finished: str, *details: str) -> dict[str, Any]:
    """A feedback body as an older client sends it."""
    return {
        "id": 7,
        "time": "20261121T093100",
        "status": {
            "execution": execution,
            "result": {"finished": finished, "progress": {"cnt": 1, "of": 1}},
            "details": list(details),
        },
        "unknown": None,
    }
