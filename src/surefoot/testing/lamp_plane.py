"""A control plane of a product that is firmware alone, for tests with many or real devices.

Does not: start devices.
"""

from __future__ import annotations

import json
import shutil
from pathlib import Path
from typing import Any

from surefoot.testing.control_plane import ControlPlane

HARDWARE = "lamp-v1"


class LampPlane(ControlPlane):
    """See the module. `product` is the folder of its definition."""

    def __init__(self, folder: Path, product: Path) -> None:
        super().__init__(folder, product)
        self.pinned = folder / "pinned.vkey"

    def install(self) -> None:
        """Keys, repository, installation, server, people with roles, rules."""
        self.keys.mkdir(parents=True)
        for who in ("ann", "bob", "olga"):
            self.ask("", "key", "generate", str(self.keys / who), "--comment", who)
        shutil.copytree(self.example, self.repository, ignore=shutil.ignore_patterns("__pycache__"))
        self.git("ann", "init", "--quiet", "--initial-branch", "main", ".")
        self.commit("ann", "Start")
        founders = [
            word
            for who in ("ann", "bob")
            for word in ("--founder", f"{who}={self.keys / who}.pub,{who}@example.test")
        ]
        named = ("--repository", str(self.repository), "--product", "lamps", "--poll-seconds", "1")
        made = self.ask("", "init", str(self.data), *founders, *named)
        self.pinned.write_text(f"{made['log_key']}\n")
        self.serve()
        request = str(self.folder / "olga.json")
        address = ("--identity", "olga@example.test", "--request", request)
        self.ask("olga", "person", "request", "olga", *address)
        self.ask("ann", "person", "enrol", "--request", request)
        self.ask("bob", "definition", "accept", "HEAD")
        for who, role in (("ann", "developer"), ("bob", "approver"), ("olga", "operator")):
            self.ask("ann" if who == "bob" else "bob", "person", "grant", who, role)

    def release(self, version: str, image: bytes) -> None:
        """Commit the maker's image, and cut a release of it."""
        place = self.repository / "firmware"
        (place / "firmware.swu").write_bytes(image)
        manifest = {"name": "lamp", "version": version, "hardware": [HARDWARE]}
        (place / "manifest.json").write_text(json.dumps(manifest))
        self.commit("ann", f"Lamp {version}")
        self.ask("olga", "release", "create", version)

    def fleet(self) -> list[dict[str, Any]]:
        """Every device, as the command lists them."""
        listed = self.ask("olga", "device", "list", "dev")
        return list(listed["devices"])

    def kill(self) -> None:
        """SIGKILL of the server, as if the power went."""
        server, self._server = self._server, None
        assert server is not None and server.stdout is not None
        server.kill()
        server.wait()
        server.stdout.close()
