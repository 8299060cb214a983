"""A data folder and its two founders, for tests of the log's keys."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from surefoot.compose import folder as folders
from surefoot.compose import offline, rooting
from surefoot.compose.log_keys import kept_keys
from surefoot.core import facts as f
from surefoot.engine.effects import draft
from surefoot.trust import envelope, keys
from surefoot.trust.entry import Actor
from surefoot.trust.note import VerifierKey
from surefoot.trust.root import PAYLOAD_TYPE

PEOPLE = {name: keys.private_key(name.encode() * 16) for name in ("an", "bo")}
ACTOR = Actor(type="machine", id="test", auth="test")


def quiet(done: int, total: int) -> None:
    """No progress."""


class House:
    """A data folder and who signs for it."""

    def __init__(self, folder: Path, store: str = "") -> None:
        self.data = folder / "data"
        self.settings = folders.Settings(
            installation="home", product="lamp", repository="", store=store
        )
        founders = tuple(
            folders.FounderKey(person=name, key=key.public.line()) for name, key in PEOPLE.items()
        )
        folders.initialise(self.data, self.settings, founders)

    def write(self, code: str = "x.y") -> str:
        """One entry; the checkpoint over it."""
        log, database = folders.open_log(self.data, self.settings)
        try:
            fact = f.AlarmRaised(code=code, subject="test")
            receipt = log.transact(lambda world: [draft(fact)], ACTOR, "test")
            assert receipt is not None
            return receipt.checkpoint
        finally:
            database.close()

    def sign(self, payload: bytes, *who: str) -> bytes:
        return envelope.seal(PAYLOAD_TYPE, payload, [PEOPLE[name] for name in who or PEOPLE])

    def verifiers(self) -> list[VerifierKey]:
        return [key.verifier for key in kept_keys(self.data, "home")]

    def seed_of(self, place: int) -> str:
        """The file of a log key's seed, by the key's place."""
        return kept_keys(self.data, "home")[place].seed

    def report(self) -> dict[str, Any]:
        return offline.verify_folder(self.data, quiet)

    def facts(self, kind: str) -> list[dict[str, Any]]:
        with rooting.looked_at(self.data) as log:
            return [dict(e.body) for e in log.entries(0, 1000) if e.kind == kind]
