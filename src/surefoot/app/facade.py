"""The application: what the doors ask, authorised here and answered from the journal.

Keeps: every command goes through one rule and one append; a refusal of somebody who was
authenticated is written down, at most once a second per person, the rest as a count.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any, Protocol, TypeVar

from surefoot.app.operation import Request
from surefoot.core import facts as f
from surefoot.core import manifest as manifests
from surefoot.core.errors import Refused
from surefoot.core.target import Plain, Target
from surefoot.core.world import World
from surefoot.engine.clock import Clock
from surefoot.engine.effects import Effects, draft
from surefoot.journal.log import Log, Receipt
from surefoot.product import Definition, parse_definition
from surefoot.store.blobs import FileBlobs
from surefoot.trust.digest import Digest
from surefoot.trust.entry import Actor

T = TypeVar("T")
Rule = Callable[[World], Sequence[f.Fact]]

_REFUSALS_EACH_MS = 1000


class Secrets(Protocol):
    """The provider of secrets."""

    def set(self, environment: str, name: str, value: Any) -> Any: ...
    def list(self, environment: str) -> Any: ...


class Parts:
    """Everything the composition gives the application; plain attributes, set once."""

    folder: Path
    log: Log[World]
    blobs: FileBlobs
    clock: Clock
    effects: Effects
    targets: Callable[[str], Mapping[str, Target]]
    secrets: Any
    fleet: Any
    builder: Any
    jobs: Any
    checkpoints: Any
    log_key: str
    repository: Path
    identity_salt: bytes
    runner: Actor
    addresses: Callable[[str], Plain]
    keep_draft: Callable[[Any], None]
    find_draft: Callable[[str], Any]
    address: Callable[[str, str], str]
    secrets_prepare: Callable[[str], None]
    verify_journal: Callable[[], Plain]


class App(Parts):
    """See the module."""

    def __init__(self, parts: Mapping[str, Any]) -> None:
        for name, part in parts.items():
            setattr(self, name, part)
        self._refused: dict[str, tuple[int, int]] = {}
        self._guard = threading.Lock()

    # -- commands ---------------------------------------------------------------------------------

    def command(
        self, request: Request, rule: Rule, evidence: Sequence[Digest] = (), reason: str = ""
    ) -> Receipt | None:
        """Decide by the rule and append what it says; a refusal is noted and passed on."""
        try:
            return self.log.transact(
                lambda w: [draft(fact, evidence, reason) for fact in rule(w)],
                self.actor(request),
                request.id,
            )
        except Refused as refused:
            self.note_refusal(request, refused)
            raise

    def actor(self, request: Request) -> Actor:
        """The journal's actor for a request."""
        kind = "person" if request.asker.type == "person" else "machine"
        return Actor(type=kind, id=request.asker.id, auth=request.auth)  # type: ignore[arg-type]

    def note_refusal(self, request: Request, refused: Refused) -> None:
        """Write a refusal down, batched: the first at once, later ones of that second counted."""
        now = self.clock.now_ms()
        with self._guard:
            last, skipped = self._refused.get(request.asker.id, (0, 0))
            if now - last < _REFUSALS_EACH_MS:
                self._refused[request.asker.id] = (last, skipped + 1)
                return
            self._refused[request.asker.id] = (now, 0)
        fact = f.RequestRefused(
            code=refused.code,
            subject=refused.subject[:300],
            expected=refused.expected[:300],
            found=refused.found[:300],
            count=1 + skipped,
        )
        self.log.transact(lambda w: [draft(fact)], self.actor(request), request.id)

    # -- questions --------------------------------------------------------------------------------

    def read(self, question: Callable[[World], T]) -> T:
        """Answer from the present world."""
        return self.log.read(question)

    def definition(self, digest: str) -> Definition:
        """A product definition by the digest of its file."""
        return parse_definition(self.blobs.get(Digest(digest)))

    def definition_in_force(self) -> Definition:
        """The accepted definition. Raises `Refused("definition.missing")` before the first."""
        digest = self.read(lambda w: w.definition.digest)
        if not digest:
            raise Refused(
                "definition.missing",
                "product definition",
                expected="an accepted definition",
                found="none yet",
                remedy="commit surefoot.yaml and: surefoot definition accept COMMIT",
            )
        return self.definition(digest)

    def manifest(self, release: str) -> manifests.Manifest:
        """A release's manifest by its digest."""
        return manifests.decode(self.blobs.get(Digest(release)))
