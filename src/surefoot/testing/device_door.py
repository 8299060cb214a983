"""A device door of one's own for tests and benchmarks: registry, desk and a real server.

Keeps: a real socket on the loopback, a free port, its own thread and event loop. Does not: seal
batches by itself; `seal` does what the engine would, with a counter in the journal's place.
"""

from __future__ import annotations

import asyncio
import hashlib
import itertools
import threading
import time
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import msgspec
import uvicorn

from surefoot.core.offer import Firmware
from surefoot.core.target import Outcome, Plain, Step
from surefoot.doors.devices.ddi import device_app
from surefoot.doors.devices.fast_poll import fast_protocol
from surefoot.doors.devices.flood import Flood
from surefoot.doors.devices.guarded import HEAD_SECONDS_MAX
from surefoot.engine.clock import SystemClock
from surefoot.engine.device_authority import DeviceAuthority
from surefoot.engine.device_desk import DeviceDesk
from surefoot.engine.device_entrance import DeviceEntrance, living
from surefoot.engine.device_pacer import Zones
from surefoot.engine.fleet_books import FleetBooks
from surefoot.store.blobs import FileBlobs
from surefoot.store.database import Database
from surefoot.store.device import DeviceRegistry, NewDevice
from surefoot.store.device_batches import Batch, DeviceBatches
from surefoot.store.device_identity import DeviceIdentities
from surefoot.store.device_newcomers import DeviceNewcomers
from surefoot.store.device_pacing import DevicePacing
from surefoot.store.device_pacing import Rollout as PacedRollout
from surefoot.store.device_rollouts import Wave
from surefoot.store.sqlite import SqliteDatabase
from surefoot.targets.fleet import FleetTarget
from surefoot.testing.claims import Claims
from surefoot.testing.waiting import until

_START_SECONDS = 90


def token_of(device: str) -> str:
    """The token the house gives to a device."""
    return hashlib.md5(device.encode(), usedforsecurity=False).hexdigest()


class DeviceHouse:
    """Everything behind a device door, on one database."""

    def __init__(
        self,
        folder: Path,
        database: Database | None = None,
        now_ms: Callable[[], int] | None = None,
    ) -> None:
        self.now_ms = now_ms or SystemClock().now_ms
        self.database: Database = database or SqliteDatabase(folder / "db")
        self.blobs = FileBlobs(folder / "blobs")
        self.registry = DeviceRegistry(self.database, self.now_ms)
        self.identities = DeviceIdentities(self.database, self.now_ms)
        self.batches = DeviceBatches(self.database)
        self.books = FleetBooks(self.registry, self.batches, self.blobs)
        self.keys = (Claims().signer.verifier,)
        self.sealed: list[Batch] = []

    def fleet(self, environment: str) -> FleetTarget:
        """The fleet target of an environment."""
        lock = Claims(environment).interlock()
        return FleetTarget(environment, self.database, self.registry, self.now_ms, interlock=lock)

    def assign(self, environment: str, wave: Wave, fence: int = 1) -> Outcome:
        """Assign a wave as the engine would: under a claim of its step."""
        arguments: Plain = msgspec.to_builtins(wave)
        step = Step(id="wave", target="fleet", action="wave", arguments=arguments)
        step.arguments["policy"] = {
            "deadline_seconds": wave.deadline_seconds,
            "confirmation": wave.confirmation,
            "allow_downgrade": wave.allow_downgrade,
            "pace": msgspec.to_builtins(wave.pace),
            "success_percent": wave.success_percent,
            "urgency": wave.urgency,
            "force_after_seconds": wave.force_after_seconds,
            "query": wave.targeting.query,
        }
        token = Claims(environment).token(step, f"{wave.deployment}/wave-{wave.wave}", fence)
        return self.fleet(environment).apply(step, token)

    def desk(self, sleep_seconds: int = 1) -> DeviceDesk:
        """A desk over this registry; start it in the loop that uses it."""
        return DeviceDesk(
            self.registry,
            self.blobs,
            self.now_ms,
            identities=self.identities,
            may_offer=DeviceAuthority(self.registry, self.keys).may_offer,
            sleep_seconds=lambda environment: sleep_seconds,
            refresh_seconds=0.05,
        )

    def enrol(self, environment: str, *devices: str, hardware: str = "simulated") -> int:
        """Enrol devices with the tokens of `token_of`."""
        return self.registry.enrol(
            environment,
            [
                NewDevice(
                    device=device,
                    token_hash=hashlib.sha256(token_of(device).encode()).digest(),
                    hardware=hardware,
                )
                for device in devices
            ],
        )

    def firmware(self, content: bytes, version: str, **changes: Any) -> Firmware:
        """Store an image and describe it."""
        described = Firmware(
            digest=self.blobs.put(content),
            name="firmware",
            version=version,
            file=f"firmware-{version}.swu",
            size_bytes=len(content),
            sha1=hashlib.sha1(content, usedforsecurity=False).hexdigest(),
            md5=hashlib.md5(content, usedforsecurity=False).hexdigest(),
        )
        return Firmware(
            **{name: getattr(described, name) for name in Firmware.__struct_fields__} | changes
        )

    def pace(self, environment: str, deployment: int, **journal: Any) -> int:
        """What the engine's pacer does at each turn; `journal` is what the journal would say."""
        count = journal.pop("count", None) or self.seal(environment).get("0", {})
        rollout = PacedRollout(
            environment=environment, deployment=deployment, count=count, **journal
        )
        return DevicePacing(self.database, self.now_ms).pace(rollout, Zones().offset_of)

    def welcome(self, environment: str, deployment: int) -> int:
        """What the engine does at each turn for newcomers to a rollout that passed."""
        return DeviceNewcomers(self.database, self.now_ms).take(environment, deployment)

    def seal(self, environment: str) -> dict[str, dict[str, int]]:
        """Seal all reports; the counters of the newest rollout by wave."""
        while (batch := self.books.collect(environment)) is not None:
            self.sealed.append(batch)
            self.books.mark_sealed(batch, len(self.sealed))
        counted = [b for b in self.sealed if b.environment == environment and b.deployment]
        return max(counted, key=lambda b: (b.deployment, b.last_report)).waves if counted else {}


def _counted(desk: DeviceDesk) -> Callable[[], int]:
    """Count the desk's looks at the registry that have ended."""
    ended = itertools.count(1)
    last, look = [0], desk._look

    async def counted() -> None:
        await look()
        last[0] = next(ended)

    desk._look = counted  # type: ignore[method-assign]
    return lambda: last[0]


def _counted_too(entrance: DeviceEntrance) -> Callable[[], int]:
    """Count the entrance's looks that have ended."""
    ended = itertools.count(1)
    last, look = [0], entrance.refresh

    def counted() -> None:
        look()
        last[0] = next(ended)

    entrance.refresh = counted  # type: ignore[method-assign]
    return lambda: last[0]


class DoorServer:
    """A device door served by uvicorn in a thread; use it as a context. `fast` is on by default."""

    def __init__(self, desk: DeviceDesk, **options: Any) -> None:
        body_seconds_max = options.pop("body_seconds_max", 10.0)
        flood = options.pop("flood", None) or Flood()
        head_seconds_max = options.pop("head_seconds_max", HEAD_SECONDS_MAX)
        accel = options.pop("accel", "")
        entrance, tls = options.pop("entrance", None), options.pop("tls", None)
        own = {name: options.pop(name, None) for name in ("enrolment", "proxies")}
        options = {"proxy_headers": False, "server_header": False, "ws": "none", **options}
        if options.pop("fast", True):
            options["http"] = fast_protocol(desk, flood, entrance)
            options["http"].head_seconds_max = head_seconds_max

        @asynccontextmanager
        async def lifespan(app: Any) -> AsyncIterator[None]:
            async with living(desk, entrance):
                yield

        app = device_app(
            desk,
            lifespan=lifespan,
            body_seconds_max=body_seconds_max,
            flood=flood,
            accel=accel,
            entrance=entrance,
            **own,
        )
        config = uvicorn.Config(
            app, host="127.0.0.1", port=0, log_level="warning", access_log=False, **options
        )
        self._scheme = "https" if tls else "http"
        if tls is not None:
            config.load()
            config.ssl = tls
        self._loop_factory = config.get_loop_factory()
        self._server = uvicorn.Server(config)
        self._thread = threading.Thread(target=self._run, daemon=True)
        self.url = ""
        self._looks = [_counted(desk)]
        if entrance is not None:
            self._looks.append(_counted_too(entrance))

    def looked(self) -> None:
        """Wait until the door has looked by itself at everything that was written before."""
        # A look that is under way has begun too early: two may be, one by turn and one by notice.
        wanted = [look() + 3 for look in self._looks]
        until(lambda: all(look() >= n for look, n in zip(self._looks, wanted, strict=True)))

    def _run(self) -> None:
        # As `doors.serve` does: the loop that the configuration names, which is uvloop.
        with asyncio.Runner(loop_factory=self._loop_factory) as runner:
            runner.run(self._server.serve())

    def __enter__(self) -> DoorServer:
        self._thread.start()
        begun = time.monotonic()
        while not self._server.started:
            if time.monotonic() - begun > _START_SECONDS or not self._thread.is_alive():
                raise RuntimeError("the device door did not start")
            time.sleep(0.01)
        port = self._server.servers[0].sockets[0].getsockname()[1]
        self.url = f"{self._scheme}://127.0.0.1:{port}"
        return self

    def __exit__(self, *_: object) -> None:
        self._server.should_exit = True
        self._thread.join(_START_SECONDS)
