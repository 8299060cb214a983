"""A fleet whose reports enter a real journal in real batches, for tests of proofs about devices.

Does not: open a door; devices "say" what they run straight to the registry.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import msgspec

from surefoot.engine import fleet_books
from surefoot.engine.effects import draft
from surefoot.journal.device_proof import DeviceProver
from surefoot.journal.proof import Prover
from surefoot.store.device import AttributesPut, Incoming
from surefoot.testing.device_door import DeviceHouse
from surefoot.testing.journal import ANN, KEY, open_log

ENV = "production"
VKEY = KEY.verifier.text()
DEVICES = ("ant", "bee", "cat", "dog")
START_MS = 1_790_000_000_000


class Scene:
    """A fleet whose batches are in a journal, a minute apart."""

    def __init__(self, folder: Path) -> None:
        self.now = START_MS
        self.house = DeviceHouse(folder, now_ms=lambda: self.now)
        self.house.enrol(ENV, *DEVICES)
        self.log = open_log(self.house.database, folder / "last", now_ms=lambda: self.now)
        prover = Prover(self.log, self.house.database, VKEY, "test")
        self.prover = DeviceProver(self.log, prover, self.house.blobs.get)

    def tell(self, version: str, *devices: str) -> None:
        """These devices say that they run a version."""
        self.house.registry.record(
            [
                Incoming(
                    environment=ENV,
                    device=device,
                    told=AttributesPut(mode="replace", values={"version": version}),
                )
                for device in devices
            ]
        )

    def seal(self, **changes: Any) -> int:
        """Bring all that was told into the journal; the time of it."""
        self.now += 60_000
        while (batch := self.house.books.collect(ENV)) is not None:
            fact = msgspec.structs.replace(fleet_books.fact(batch), **changes)
            receipt = self.log.transact(lambda w: [draft(fact)], ANN, "seal")  # noqa: B023
            assert receipt is not None
            self.house.books.mark_sealed(batch, receipt.first)
        return self.now

    def prove(self, device: str, at_ms: int, **options: Any) -> bytes:
        """A proof about one device."""
        return self.prover.prove(ENV, device, at_ms, **options)
