"""A world told facts directly, without a journal: for tests of rules and of the fold.

Keeps: each fact goes through its body as plain canonical JSON, as it would through an entry.
Does not: store or sign.
"""

from __future__ import annotations

import msgspec

from surefoot.core import facts as f
from surefoot.core.fold import new_world
from surefoot.core.target import Plain
from surefoot.core.world import Deployment
from surefoot.trust import canonical
from surefoot.trust.digest import digest_of

_START_MS = 1_790_000_000_000


class Told(msgspec.Struct, frozen=True, kw_only=True):
    """What the fold needs of an entry."""

    index: int
    kind: str
    stream: str
    time_ms: int
    body: Plain


class History:
    """A growing list of facts and the world they make."""

    def __init__(self) -> None:
        self.world = new_world()
        self.told: list[Told] = []
        self.now_ms = _START_MS

    def tell(self, *facts: f.Fact) -> History:
        """Fold facts, a second after the ones before."""
        self.now_ms += 1000
        for fact in facts:
            body = canonical.parse(canonical.encode(f.body_of(fact)))
            assert isinstance(body, dict)
            entry = Told(
                index=len(self.told),
                kind=type(fact).__name__,
                stream=f.stream_of(fact),
                time_ms=self.now_ms,
                body=body,
            )
            self.world.apply(entry)
            self.told.append(entry)
        return self

    def states(self) -> dict[str, Plain]:
        """The complete state of every stream."""
        return {stream: self.world.state(stream) for stream in sorted(self.world.heads)}


def again(told: list[Told]) -> History:
    """The same entries folded in a new world."""
    history = History()
    for entry in told:
        history.world.apply(entry)
    history.told = list(told)
    return history


def deployment(**changes: object) -> Deployment:
    """Deployment 1, of release 1.0.0 to production, as it was requested; with some things other."""
    one = digest_of(b"one")
    made = Deployment(
        number=1,
        environment="production",
        purpose="deploy",
        release=one,
        release_version="1.0.0",
        plan=one,
        requester="olga",
        approvals_needed=0,
        approver_role="",
        excluded=[],
        availability_percent="",
        undo_of=0,
        requested_ms=1,
        steps={},
    )
    for name, value in changes.items():
        setattr(made, name, value)
    return made
