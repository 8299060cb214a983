"""The keeper itself: the public socket, the generations, and which of them is live.

Keeps: the address, once chosen, for ever, in `keeper.json`; the symbolic link `live` is the one
record of the live generation and is replaced atomically, before new requests go there. A switch
touches nothing that is under way. Every crash and restart goes to `events.jsonl`, synced.
Does not: decide anything; the control plane tells it over `control.sock`.
"""

from __future__ import annotations

import asyncio
import json
import os
import socket
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any

import msgspec

from surefoot.core.errors import Failed, Refused
from surefoot.store.durable import sync_folder, write_durably
from surefoot.targets.keeper import VERSION, proc
from surefoot.targets.keeper.counts import Counts
from surefoot.targets.keeper.front import Front
from surefoot.targets.keeper.generation import Generation, Spec
from surefoot.targets.keeper.hub import Hub
from surefoot.targets.keeper.limits import Limits

EVENTS_BYTES_MAX = 1024 * 1024
_BIND_SECONDS = 2.0


class State(msgspec.Struct, kw_only=True):
    """What is on disk about the keeper."""

    version: int
    declared: str
    address: str
    identity: proc.Identity | None = None


class Keeper:
    """Runs in its folder as the working directory, which keeps socket paths short."""

    def __init__(self, now_ms: Callable[[], int], limits: Limits) -> None:
        self.folder = Path()
        self.done = asyncio.Event()
        self._now_ms = now_ms
        self._counts = Counts(self.folder / "counts")
        self.hub = Hub(self._counts, limits)
        self._generations: dict[str, Generation] = {}
        self._drains: dict[str, asyncio.Task[dict[str, Any]]] = {}
        self._server: asyncio.Server | None = None
        self._state = State(version=VERSION, declared="", address="")

    async def begin(self, declared: str) -> None:
        """Bind, take over what still runs, and bring back the live generation."""
        kept = read_state(self.folder)
        wanted = kept.address if kept is not None and kept.declared == declared else declared
        await self._bind(declared, wanted)
        for path in sorted((self.folder / "generations").glob("*/spec.json")):
            spec = msgspec.json.decode(path.read_bytes(), type=Spec)
            generation = Generation(path.parent, spec, self.report)
            self._generations[spec.generation] = generation
            generation.adopt()
        live = self._generations.get(live_of(self.folder))
        if live is not None:
            live.keep = True
            if not live.running:
                live.restart()
            self.hub.live = live.upstream

    async def _bind(self, declared: str, wanted: str) -> None:
        host, _, port = wanted.rpartition(":")
        listening = await _listening(host.strip("[]"), int(port), wanted)
        loop = asyncio.get_running_loop()
        server = await loop.create_server(lambda: Front(self.hub), sock=listening, backlog=1024)
        name = listening.getsockname()
        address = f"[{name[0]}]:{name[1]}" if ":" in name[0] else f"{name[0]}:{name[1]}"
        self._state = State(
            version=VERSION,
            declared=declared,
            address=address,
            identity=proc.identity_of(os.getpid()),
        )
        write_durably(self.folder / "keeper.json", msgspec.json.encode(self._state))
        if self._server is not None:
            self._server.close()
        self._server = server

    def report(self, event: str, figures: dict[str, object]) -> None:
        """Append one event durably."""
        path = self.folder / "events.jsonl"
        if path.exists() and path.stat().st_size > EVENTS_BYTES_MAX:
            path.replace(self.folder / "events.1.jsonl")
        line = json.dumps({"at_ms": self._now_ms(), "event": event, **figures}) + "\n"
        descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600)
        try:
            os.write(descriptor, line.encode())
            os.fsync(descriptor)
        finally:
            os.close(descriptor)

    # -- what the control plane may ask ------------------------------------------------------

    async def answer(self, request: dict[str, Any]) -> dict[str, Any]:
        """Do one request. Raises `Refused` or `Failed`."""
        acts: dict[str, Callable[..., Awaitable[dict[str, Any]]]] = {
            "status": self._status,
            "start": self._start,
            "switch": self._switch,
            "drain": self._drain,
            "stop": self._stop,
            "listen": self._listen,
            "secrets": self._secrets,
            "unlink": self._unlink,
            "flush": self._flush,
            "shutdown": self._shutdown,
        }
        act = acts.get(str(request.pop("do", "")))
        if act is None:
            raise Refused(
                "target.keeper.input", "keeper", expected=", ".join(acts), found="another act"
            )
        return await act(**request)

    async def _status(self) -> dict[str, Any]:
        return {
            "version": VERSION,
            "declared": self._state.declared,
            "address": self._state.address,
            "live": live_of(self.folder),
            "clients": len(self.hub.fronts),
            "totals": self._counts.all._asdict(),
            "generations": {
                name: _generation_status(each) for name, each in self._generations.items()
            },
        }

    async def _start(self, spec: dict[str, Any], secrets: str) -> dict[str, Any]:
        wanted = msgspec.convert(spec, Spec, strict=False)
        known = self._generations.get(wanted.generation)
        if known is not None and known.running and known.spec == wanted:
            known.give_secrets(secrets.encode())
            return {"pid": known.record.identity.pid if known.record else 0, "already": True}
        waiting = None
        if known is not None:
            # Requests that come meanwhile wait for the process of this generation.
            waiting, known.upstream = known.upstream, None
            if waiting is not None:
                waiting.down()
            await known.stop(5.0)
        folder = self.folder / "generations" / wanted.generation
        write_durably(folder / "spec.json", msgspec.json.encode(wanted))
        generation = Generation(folder, wanted, self.report)
        generation.give_secrets(secrets.encode())
        generation.upstream = waiting
        self._generations[wanted.generation] = generation
        was_live = live_of(self.folder) == wanted.generation
        generation.keep = was_live
        try:
            generation.start()
        except OSError as trouble:
            raise Failed(
                "target.command.failed",
                f"generation {wanted.generation}",
                expected=f"{wanted.command[0]} to start",
                found=str(trouble.strerror),
                remedy="correct the run command, or the limits it starts under",
            ) from None
        if was_live:
            self.hub.live = generation.upstream
        return {"pid": generation.record.identity.pid if generation.record else 0}

    async def _switch(self, generation: str) -> dict[str, Any]:
        chosen = self._known(generation)
        if not chosen.running or chosen.upstream is None:
            raise Failed(
                "target.generation.dead",
                f"generation {generation}",
                expected="a running process",
                found="none",
                remedy="start it again; its output.log may say why it ended",
            )
        chosen.settle()
        previous = live_of(self.folder)
        beside = self.folder / ".live.new"
        beside.unlink(missing_ok=True)
        beside.symlink_to(f"generations/{generation}")
        beside.replace(self.folder / "live")
        sync_folder(self.folder)
        # A crash here loses nothing: the next keeper reads the link.
        chosen.keep = True
        chosen.upstream.retired = False
        old = self._generations.get(previous)
        self.hub.live = chosen.upstream
        if old is not None and old is not chosen:
            old.keep = False
            if old.upstream is not None:
                old.upstream.retire()
        return {"previous": previous}

    async def _drain(self, generation: str, seconds: float, grace: float) -> dict[str, Any]:
        if generation == live_of(self.folder):
            raise Refused(
                "target.generation.live",
                f"generation {generation}",
                expected="a generation that is not live",
                found="the live one",
                remedy="switch away from it first",
            )
        under_way = self._drains.get(generation)
        if under_way is None:
            under_way = asyncio.create_task(self._drain_now(generation, seconds, grace))
            self._drains[generation] = under_way
            under_way.add_done_callback(lambda _: self._drains.pop(generation, None))
        return await asyncio.shield(under_way)

    async def _drain_now(self, generation: str, seconds: float, grace: float) -> dict[str, Any]:
        old = self._generations.get(generation)
        if old is None:
            return {"waited_ms": 0, "cut": 0}
        loop = asyncio.get_running_loop()
        began, cut = loop.time(), 0
        if old.upstream is not None:
            old.upstream.retire()
            if not await old.upstream.wait_quiet(seconds):
                cut = old.upstream.cut_all()
        waited = round((loop.time() - began) * 1000)
        await old.stop(grace)
        del self._generations[generation]
        (old.folder / "spec.json").unlink(missing_ok=True)
        return {"waited_ms": waited, "cut": cut}

    async def _stop(self, generation: str, grace: float) -> dict[str, Any]:
        return await self._drain(generation, 0.0, grace)

    async def _listen(self, declared: str) -> dict[str, Any]:
        if declared != self._state.declared:
            await self._bind(declared, declared)
        return {"address": self._state.address}

    async def _secrets(self, generation: str, secrets: str) -> dict[str, Any]:
        """Hold the secrets of an adopted generation, and restart it if it waits for them."""
        known = self._known(generation)
        known.give_secrets(secrets.encode())
        known.restart()
        self._follow_live()
        return {}

    async def _unlink(self) -> dict[str, Any]:
        """Nothing is live any more: clients are told so."""
        live = self._generations.get(live_of(self.folder))
        (self.folder / "live").unlink(missing_ok=True)
        sync_folder(self.folder)
        self.hub.live = None
        if live is not None:
            live.keep = False
        return {}

    async def _flush(self) -> dict[str, Any]:
        self._counts.flush(self._now_ms())
        return {}

    async def _shutdown(self, stop: bool) -> dict[str, Any]:
        if self._server is not None:
            self._server.close()
        if stop:
            self.hub.live = None
            for generation in list(self._generations.values()):
                await generation.stop(5.0)
        self.done.set()
        return {}

    def _known(self, generation: str) -> Generation:
        found = self._generations.get(generation)
        if found is None:
            raise Refused(
                "target.generation.unknown",
                f"generation {generation}",
                expected=", ".join(self._generations) or "a generation that was started",
                found="none of that name",
                remedy="start it first",
            )
        return found

    # -- running -----------------------------------------------------------------------------

    async def run(self) -> None:
        """Look after everything until told to end."""
        loop = asyncio.get_running_loop()
        turn = 0
        while not self.done.is_set():
            self._counts.flush(self._now_ms())
            self._follow_live()
            if turn % 4 == 0:
                for generation in self._generations.values():
                    generation.look_after()
            turn += 1
            self.hub.sweep(loop.time())
            try:
                await asyncio.wait_for(self.done.wait(), 0.5)
            except TimeoutError:
                continue
        self._counts.flush(self._now_ms())
        self._counts.close()

    def _follow_live(self) -> None:
        """A live generation that could not be started before has an address once it was."""
        live = self._generations.get(live_of(self.folder))
        if live is not None and live.upstream is not None:
            self.hub.live = live.upstream


def _generation_status(generation: Generation) -> dict[str, Any]:
    record = generation.record
    return {
        "running": generation.running,
        "pid": record.identity.pid if record is not None else 0,
        "address": record.address if record is not None else "",
        "exit_status": -1000 if generation.exit_status is None else generation.exit_status,
        "restarts": generation.restarts,
        "active": generation.upstream.active if generation.upstream is not None else 0,
        "memory_mib": generation.spec.memory_mib,
        "holds_secrets": generation.secrets is not None,
    }


def live_of(folder: Path) -> str:
    """The name of the live generation, empty when there is none."""
    try:
        return os.path.basename(os.readlink(folder / "live"))
    except FileNotFoundError:
        return ""


def read_state(folder: Path) -> State | None:
    """The keeper's record on disk, None when there never was a keeper."""
    try:
        return msgspec.json.decode((folder / "keeper.json").read_bytes(), type=State)
    except FileNotFoundError:
        return None


async def _listening(host: str, port: int, wanted: str) -> socket.socket:
    loop = asyncio.get_running_loop()
    until = loop.time() + _BIND_SECONDS
    while True:
        listening = socket.socket(socket.AF_INET6 if ":" in host else socket.AF_INET)
        try:
            listening.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            listening.bind((host, port))
            listening.listen(1024)
            listening.setblocking(False)
            return listening
        except OSError as trouble:
            listening.close()
            if loop.time() > until:
                raise Failed(
                    "target.listener.busy",
                    f"listener {wanted}",
                    expected="a free address of this machine",
                    found=str(trouble.strerror),
                    remedy="free the port, or declare another listener",
                ) from None
        await asyncio.sleep(0.1)
