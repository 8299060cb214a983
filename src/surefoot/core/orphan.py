"""Claims without a result: somebody said they would act, and nobody wrote what came of it.

Keeps: a claim that was taken over is continued by the newer one; a result closes it; whatever else
happens, it stays. An act under way is one too, until it is older than a lease.
Does not: read time; callers compare ages.
"""

from __future__ import annotations

from collections.abc import Mapping

import msgspec

from surefoot.core import facts as f
from surefoot.core.world import Deployment, World


class Orphan(msgspec.Struct, frozen=True, kw_only=True):
    """A claim without a result, and the entry it is."""

    deployment: int
    environment: str
    step: str
    undo: bool
    worker: str
    index: int
    claims: int


def orphans(world: World, deployment: int = 0) -> list[Orphan]:
    """All claims without a result, oldest first; of one deployment when it is given."""
    chosen = world.deployments.values()
    found = [o for d in chosen if deployment in (0, d.number) for o in _of(d)]
    return sorted(found, key=lambda orphan: orphan.index)


def _of(deployment: Deployment) -> list[Orphan]:
    found = []
    for step in deployment.steps.values():
        doing = (False, step.status, step.worker, step.fence, step.claims)
        undoing = (True, step.undo, step.undo_worker, step.undo_fence, step.undo_claims)
        for undo, status, worker, fence, claims in (doing, undoing):
            if status == "claimed":
                found.append(
                    Orphan(
                        deployment=deployment.number,
                        environment=deployment.environment,
                        step=step.id,
                        undo=undo,
                        worker=worker,
                        index=fence,
                        claims=claims,
                    )
                )
    return found


_STEPS = {f.StepClaimed.__name__, f.StepFinished.__name__}


class OpenClaims:
    """Counts claims without a result over entries alone, as a verifier who folds nothing does."""

    def __init__(self) -> None:
        self._open: set[tuple[object, object, bool]] = set()

    def __len__(self) -> int:
        return len(self._open)

    def add(self, kind: str, body: Mapping[str, object]) -> None:
        """Take one entry, in order."""
        if kind not in _STEPS:
            return
        key = (body.get("deployment"), body.get("step"), body.get("undo") is True)
        if kind == f.StepClaimed.__name__:
            self._open.add(key)
        else:
            self._open.discard(key)
