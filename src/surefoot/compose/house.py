"""The server of an installation: its doors built and put on their listeners, until a signal.

Keeps: the folder's lock is taken before a port, and a port before any work; the engine stops before
the folder is let go. On PostgreSQL several servers may share the folder; each has addresses,
sessions and background jobs of its own.
"""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path

from surefoot.app.operation import OPERATIONS
from surefoot.compose.door import Doorway
from surefoot.compose.installation import Installation, opened
from surefoot.core import policy
from surefoot.core.world import World
from surefoot.doors.api.application import api_app
from surefoot.doors.api.authenticate import Authenticator
from surefoot.doors.api.nonce import Nonces
from surefoot.doors.front import Front
from surefoot.doors.serve import Listener, bind_tcp, bind_unix, hold_path, serve
from surefoot.doors.session import Sessions
from surefoot.doors.web.application import pages_app
from surefoot.store.nonce import NonceRows
from surefoot.testing.kill import kill_point

SOCKET_NAME = "surefoot.sock"

Ready = Callable[[dict[str, str]], None]


class House:
    """The doors of an opened installation."""

    def __init__(self, installation: Installation, *, address: str, secure: bool) -> None:
        self._installation = installation
        clock = installation.clock
        self.sessions = Sessions(
            now_ms=clock.now_ms, token=clock.token, person_of_key=self.person_of_key
        )
        authenticator = Authenticator(
            installation=installation.settings.installation,
            person_of_key=self.person_of_key,
            now_ms=clock.now_ms,
            nonces=Nonces(clock.now_ms, NonceRows(installation.database)),
        )
        api = api_app(
            installation.app,
            OPERATIONS.values(),
            authenticator,
            sessions=self.sessions,
            now_ms=clock.now_ms,
            token=clock.token,
            address=address,
        )
        self.front = Front(
            api,
            pages_app(
                installation.app, OPERATIONS, self.sessions, token=clock.token, secure=secure
            ),
            self.sessions,
            token=clock.token,
            secure=secure,
        )

    def person_of_key(self, fingerprint: str) -> tuple[str, str] | None:
        """The person and the public line of an enrolled key that is not revoked."""

        def look(world: World) -> tuple[str, str] | None:
            person = policy.person_of_key(world, fingerprint)
            if person is None:
                return None
            return person, world.people.people[person].keys[fingerprint]

        return self._installation.log.read(look)


def run(
    folder: Path, listen: str, devices: str, unix: str, *, secure: bool, on_ready: Ready
) -> None:
    """Serve until SIGTERM or SIGINT. `on_ready` gets the addresses: api, socket, devices.

    `unix` is the path of the Unix socket, empty for the folder's own.
    Raises `Refused` for a folder that is none or locked, `Failed` for an address in use.
    """
    path = Path(unix).absolute() if unix else folder.absolute() / SOCKET_NAME
    with (
        opened(folder, kill_point(os.environ.get("SUREFOOT_KILL_AT", ""))) as installation,
        hold_path(path),
    ):
        front_socket, address = bind_tcp(listen)
        doorway = Doorway(folder, installation.settings, installation.database, installation.desk)
        device_socket, device_address = bind_tcp(devices, doorway.scheme)
        unix_socket, unix_address = bind_unix(path)
        house = House(installation, address=address, secure=secure)
        listeners = (
            Listener("api", house.front, front_socket, address),
            Listener("socket", house.front, unix_socket, unix_address),
            doorway.listener(device_socket, device_address),
        )
        installation.engine.start()
        installation.cosigning.start()
        try:
            serve(listeners, lambda: on_ready({item.name: item.address for item in listeners}))
        finally:
            installation.cosigning.stop()
            installation.engine.stop()
