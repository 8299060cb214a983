"""The boot loader's side of a device: two slots, a record of which one to boot, and booting.

Rules: an image is checked (magic, header, payload's digest, hardware) before it may be tried; a
slot becomes the active one only after the program in it passed its own health check; until then
the other slot stays as it was. Every change of the record is durable before it is acted on, so a
power cut at any point ends in a slot that worked.
"""

from __future__ import annotations

import asyncio
import hashlib
import json
import os
import sys
from dataclasses import asdict, dataclass
from pathlib import Path

MAGIC = b"THERMO1\n"
HEADER_BYTES_MAX = 16 * 1024
SLOTS = ("slot-a", "slot-b")
TRIES_MAX = 2
BOOT_SECONDS_MAX = 30


class BadImage(Exception):
    """The image must not be booted; the message is one line."""


@dataclass
class Record:
    """boot.json: what the boot loader knows after a power cut."""

    active: str = ""  # the slot that last passed its health check
    version: str = "none"  # the version that the program in it said it is
    trying: str = ""  # the slot under trial
    tries: int = 0
    action: str = ""  # the server's action that the trial belongs to
    report: dict | None = None  # a result that the server has not taken yet
    closed: str = ""  # the action that the last result was for
    last: dict | None = None  # that result, for a server that asks again


class Slots:
    """The slots and the record in one device's folder."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        for slot in SLOTS:
            (folder / slot).mkdir(parents=True, exist_ok=True)
        self._path = folder / "boot.json"
        self.record = Record()
        if self._path.exists():
            self.record = Record(**json.loads(self._path.read_bytes()))

    def image(self, slot: str) -> Path:
        """The image's place in a slot."""
        return self.folder / slot / "firmware.img"

    @property
    def spare(self) -> str:
        """The slot that may be overwritten."""
        return SLOTS[1] if self.record.active == SLOTS[0] else SLOTS[0]

    def save(self) -> None:
        """Make the record durable."""
        write_durably(self._path, json.dumps(asdict(self.record)).encode())

    def install(self, image: Path, action: str) -> None:
        """Move a checked image into the spare slot and mark it for trial."""
        os.replace(image, self.image(self.spare))
        sync_folder(self.image(self.spare).parent)
        self.record.trying, self.record.tries, self.record.action = self.spare, 0, action
        self.save()

    def count_try(self) -> bool:
        """Use up one try, before it is made; False when there is none left."""
        if self.record.tries >= TRIES_MAX:
            return False
        self.record.tries += 1
        self.save()
        return True

    def settle(self, version: str, report: dict) -> None:
        """End the trial with its result; a version given makes the tried slot the active one."""
        record = self.record
        if version:
            record.active, record.version = record.trying, version
        record.trying, record.tries = "", 0
        record.report = record.last = report
        record.closed, record.action = record.action, ""
        self.save()

    async def boot(self, slot: str, what: str, words: list[str]) -> tuple[bool, str]:
        """Run the program in a slot; return whether it worked, and its version or its reason."""
        command = [sys.executable, "-I", "-S", str(self.image(slot)), what, *words]
        process = await asyncio.create_subprocess_exec(
            *command, stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.PIPE
        )
        try:
            out, errors = await asyncio.wait_for(process.communicate(), BOOT_SECONDS_MAX)
        except TimeoutError:
            return False, f"no result within {BOOT_SECONDS_MAX} seconds"
        finally:
            if process.returncode is None:
                process.kill()
                await process.wait()
        if process.returncode != 0:
            lines = errors.decode(errors="replace").strip().splitlines() or ["no reason given"]
            return False, lines[-1][:500]
        try:
            return True, str(json.loads(out)["version"])
        except (ValueError, KeyError, TypeError):
            return False, "the program did not say which version it is"


def checked_header(image: Path, hardware: str) -> dict:
    """The header of an image made for this hardware, its payload verified. Raises `BadImage`."""
    with open(image, "rb") as file:
        length = int.from_bytes(file.read(4), "big") if file.read(8) == MAGIC else -1
        if not 0 < length <= HEADER_BYTES_MAX:
            raise BadImage("header: this is no image for a thermostat")
        try:
            header = json.loads(file.read(length))
            payload, made_for = header["payload_sha256"], header["hardware"]
            header["version"].split(".")
        except (ValueError, KeyError, TypeError, AttributeError) as error:
            raise BadImage(f"header: cannot be read: {error}") from None
        found = hashlib.file_digest(file, "sha256").hexdigest()
    if found != payload:
        raise BadImage(f"payload: expected sha256 {payload}, found {found}")
    if hardware not in made_for:
        raise BadImage(f"hardware: expected {hardware}, found {made_for}")
    return header


def sha256(path: Path) -> str:
    """The digest of a file, 64 hex digits."""
    with open(path, "rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def write_durably(path: Path, content: bytes) -> None:
    """Replace a file so that a power cut leaves the old or the new content."""
    beside = path.with_name(path.name + ".new")
    with open(beside, "wb") as file:
        file.write(content)
        file.flush()
        os.fsync(file.fileno())
    os.replace(beside, path)
    sync_folder(path.parent)


def sync_folder(folder: Path) -> None:
    """Make renames in a folder durable."""
    descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
