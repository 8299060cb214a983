"""One thermostat, or many in one process: polls for updates, installs them, sends telemetry.

Each device has a folder with two slots (see slots.py), speaks DDI with the update server (see
ddi.py), and runs the downloaded image as a process of its own. Nothing here knows a good version
from a bad one: an image stays when its program, run from its slot, passes its own health check
against the real service, and else the device returns to its other slot and says why.

One device:    thermostat_device.py --device NAME --token-file FILE ...
Many devices:  thermostat_device.py --registry FILE [--devices N] ...
The registry is the JSON that enrols them: [{"id": NAME, "hardware": ..., "token": TOKEN}, ...].
Standard output has one JSON object for each event.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import random
import signal
import sys
from dataclasses import dataclass
from pathlib import Path

import ddi
import slots
from hardware import Sensor

HARDWARE = "thermostat-v1"
BOOTS_AT_ONCE = 2
DEVICES_MAX = 10_000


@dataclass(frozen=True)
class House:
    """What all devices of this process share."""

    server: str
    tenant: str
    service: str
    folder: Path
    poll_seconds: float
    telemetry_seconds: float
    boots: asyncio.Semaphore


class Device:
    """One thermostat."""

    def __init__(self, house: House, name: str, token: str) -> None:
        self._house = house
        self._name = name
        folder = house.folder / name
        self._slots = slots.Slots(folder)
        self._sensor = Sensor(folder, name)
        self._server = ddi.Server(house.server, house.tenant, name, token)
        self._words = [house.service, name, str(folder)]

    async def live(self) -> None:
        """Power on, then poll until the power is cut (the task is cancelled)."""
        telemetry = asyncio.create_task(self._send_telemetry())
        try:
            if self._slots.record.trying:
                await self._trial()
            # The first poll is spread over one interval, so that a fleet does not poll as one.
            await asyncio.sleep(random.uniform(0, min(self._house.poll_seconds or 1, 10)))
            while True:
                await asyncio.sleep(await self._turn())
        finally:
            telemetry.cancel()
            await self._server.close()

    async def _turn(self) -> float:
        """One poll and what follows from it; the seconds until the next."""
        try:
            await self._deliver_report()
            answer = await self._server.poll()
            moved = await self._follow(answer.get("_links") or {})
        except (ddi.Trouble, KeyError, ValueError, TypeError) as trouble:
            self._say("trouble", reason=f"{type(trouble).__name__}: {trouble}")
            return self._house.poll_seconds or 5
        if moved:
            return 0.05  # a result waits to be delivered
        return self._house.poll_seconds or ddi.sleep_seconds(answer) * random.uniform(0.9, 1.1)

    async def _follow(self, links: dict) -> bool:
        if "configData" in links:
            await self._server.tell_attributes(links["configData"]["href"], self._attributes())
        if "cancelAction" in links:
            await self._cancel(links["cancelAction"]["href"])
        elif "deploymentBase" in links:
            return await self._update(
                await self._server.deployment(links["deploymentBase"]["href"])
            )
        return False

    def _attributes(self) -> dict[str, str]:
        record = self._slots.record
        found = {"sw_version": record.version, "hw_revision": HARDWARE}
        if record.active:
            digest = slots.sha256(self._slots.image(record.active))
            found |= {"slot": record.active, "sw_digest": digest}
        return found

    async def _cancel(self, link: str) -> None:
        # An installation is never interrupted half-way: between polls there is nothing to stop.
        stop = str((await self._server.deployment(link))["cancelAction"]["stopId"])
        await self._server.feedback(
            "cancelAction", stop, _report("closed", "success", "nothing runs")
        )
        self._say("cancelled", action=stop)

    async def _update(self, offered: dict) -> bool:
        """Install what is offered; True when a result is ready to be delivered."""
        action, deployment = str(offered["id"]), offered["deployment"]
        record = self._slots.record
        if action == record.closed:
            record.report = record.last  # the server lost the result, or asks again
            self._slots.save()
            return True
        if deployment["update"] == "skip":
            return False
        try:
            image, version = await self._fetch(action, deployment)
        except (slots.BadImage, ddi.Damaged) as bad:
            record.action = action
            self._slots.settle("", _report("closed", "failure", str(bad)))
            return True
        await self._progress(action, f"verified {version}; installing into {self._slots.spare}")
        self._slots.install(image, action)
        await self._trial()
        return True

    async def _fetch(self, action: str, deployment: dict) -> tuple[Path, str]:
        """Download and check the one artifact. Raises `BadImage`."""
        chunks = deployment["chunks"]
        artifacts = [artifact for chunk in chunks for artifact in chunk["artifacts"]]
        if len(artifacts) != 1:
            raise slots.BadImage(f"deployment: expected one artifact, found {len(artifacts)}")
        await self._progress(action, f"downloading {chunks[0]['version']}", "download")
        image = self._slots.folder / f"{artifacts[0]['hashes']['sha256'][:32]}.part"
        for old in self._slots.folder.glob("*.part"):
            if old != image:
                old.unlink()
        await self._server.download(artifacts[0], image)
        header = await asyncio.to_thread(slots.checked_header, image, HARDWARE)
        if header["version"] != chunks[0]["version"]:
            raise slots.BadImage(
                f"version: expected {chunks[0]['version']}, found {header['version']} in the header"
            )
        return image, header["version"]

    async def _trial(self) -> None:
        """Boot the slot under trial; keep it when it is healthy, else return to the other."""
        slot, reason = self._slots.record.trying, "the power was cut during every try"
        while self._slots.count_try():
            healthy, said = await self._boot(slot, "--health")
            if healthy:
                self._slots.settle(said, _report("closed", "success", f"{slot}: {said} is healthy"))
                self._say("installed", version=said, slot=slot)
                return
            reason = said
        # One line, so that whoever shows only one shows all of it.
        line = f"{slot}: health check failed: {reason}; {await self._return()}"
        self._slots.settle("", _report("closed", "failure", line))
        self._say("returned", version=self._slots.record.version, reason=reason)

    async def _return(self) -> str:
        """Boot the slot that worked before; what came of it, for the report."""
        active = self._slots.record.active
        if not active:
            return "no earlier image to return to"
        healthy, said = await self._boot(active, "--health")
        if healthy:
            return f"returned to {active}: {said} is healthy"
        return f"returned to {active}: health check failed: {said}"

    async def _boot(self, slot: str, what: str) -> tuple[bool, str]:
        async with self._house.boots:
            self._sensor.measure()
            self._sensor.write()
            return await self._slots.boot(slot, what, self._words)

    async def _send_telemetry(self) -> None:
        interval = self._house.telemetry_seconds
        while interval:
            await asyncio.sleep(interval * random.uniform(0.5, 1.5))
            active, trying = self._slots.record.active, self._slots.record.trying
            if active and not trying:
                worked, said = await self._boot(active, "--sample")
                if not worked:
                    self._say("telemetry", reason=said)

    async def _progress(self, action: str, text: str, execution: str = "proceeding") -> None:
        await self._server.feedback("deploymentBase", action, _report(execution, "none", text))

    async def _deliver_report(self) -> None:
        record = self._slots.record
        if record.report is None:
            return
        try:
            await self._server.feedback("deploymentBase", record.closed, record.report)
        except ddi.Trouble as trouble:
            if trouble.status not in (404, 410):  # the server has closed the action itself
                raise
        record.report = None
        self._slots.save()

    def _say(self, event: str, **what: str) -> None:
        print(json.dumps({"device": self._name, "event": event, **what}), flush=True)


def _report(execution: str, finished: str, detail: str) -> dict:
    result = {"finished": finished}
    return {"execution": execution, "result": result, "details": [detail[:512]]}


def registered(path: Path) -> dict[str, str]:
    """Names and tokens from a registry file. Raises `SystemExit` with what is wrong."""
    content = json.loads(path.read_bytes())
    if isinstance(content, list):
        content = {str(entry["id"]): entry["token"] for entry in content}
    if not isinstance(content, dict) or not 1 <= len(content) <= DEVICES_MAX:
        raise SystemExit(f"{path}: expected 1 to {DEVICES_MAX} devices with their tokens")
    for name in content:
        if not name or name in (".", "..") or "/" in name:
            raise SystemExit(f"{path}: {name!r} cannot be the name of a device's folder")
    return {name: str(token) for name, token in content.items()}


def given() -> argparse.Namespace:
    """The command line."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--server", required=True, help="the update server, http://HOST:PORT")
    parser.add_argument("--tenant", required=True, help="the environment's name")
    parser.add_argument("--service", required=True, help="the product's service, http://HOST:PORT")
    parser.add_argument("--folder", required=True, type=Path, help="the devices' folders")
    parser.add_argument("--registry", type=Path, help="names and tokens of many devices, JSON")
    parser.add_argument("--devices", type=int, help="use only so many of the registry")
    parser.add_argument("--device", help="the name of one device")
    parser.add_argument("--token-file", type=Path, help="the token of that device")
    parser.add_argument("--poll-seconds", type=float, default=0, help="0: what the server says")
    parser.add_argument("--telemetry-seconds", type=float, default=60, help="0: none")
    words = parser.parse_args()
    if (words.registry is None) == (words.device is None or words.token_file is None):
        parser.error("expected either --registry or --device with --token-file")
    return words


async def main(words: argparse.Namespace) -> None:
    """Run the devices until SIGTERM or SIGINT."""
    if words.registry is not None:
        tokens = dict(list(registered(words.registry).items())[: words.devices])
    else:
        tokens = {words.device: words.token_file.read_text().strip()}
    house = House(
        words.server,
        words.tenant,
        words.service,
        words.folder,
        words.poll_seconds,
        words.telemetry_seconds,
        asyncio.Semaphore(BOOTS_AT_ONCE),
    )
    told = asyncio.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        asyncio.get_running_loop().add_signal_handler(number, told.set)
    lives = [asyncio.create_task(Device(house, *pair).live()) for pair in tokens.items()]
    waiting = asyncio.create_task(told.wait())
    # A device that ends by itself is a fault of this program: end, and show it.
    await asyncio.wait([waiting, *lives], return_when=asyncio.FIRST_COMPLETED)
    ended = [life for life in lives if life.done()]
    for life in [*lives, waiting]:
        life.cancel()
    await asyncio.gather(*lives, waiting, return_exceptions=True)
    for life in ended:
        life.result()


if __name__ == "__main__":
    try:
        asyncio.run(main(given()))
    except OSError as error:
        sys.exit(f"thermostat_device: {error}")
