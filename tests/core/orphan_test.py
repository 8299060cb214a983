"""Claims without a result are seen, by the world and by entries alone."""

from __future__ import annotations

import pytest

from surefoot.core import facts as f
from surefoot.core.orphan import OpenClaims, orphans
from surefoot.testing import simulator_product as product
from surefoot.testing.history import History
from surefoot.trust.digest import digest_of

ENV = product.ENVIRONMENT


def claimed(step: str = "a", *, undo: bool = False, worker: str = "w") -> f.Fact:
    return f.StepClaimed(deployment=1, environment=ENV, step=step, worker=worker, undo=undo)


def finished(step: str = "a", status: str = "done", *, undo: bool = False) -> f.Fact:
    return f.StepFinished(deployment=1, environment=ENV, step=step, status=status, undo=undo)


ENDED = f.DeploymentFinished(deployment=1, environment=ENV, status="failed", cause="")


@pytest.mark.parametrize(
    ("told", "left"),
    [
        ((), []),
        ((claimed(),), [("a", False, 1)]),
        ((claimed(), finished()), []),
        ((claimed(), finished(status="failed")), []),
        ((claimed(), claimed(worker="v")), [("a", False, 2)]),
        ((claimed(), claimed(worker="v"), finished()), []),
        ((claimed(), finished(), claimed(undo=True)), [("a", True, 1)]),
        ((claimed(), claimed("b"), finished("b")), [("a", False, 1)]),
        ((claimed(), ENDED), [("a", False, 1)]),
    ],
)
def test_a_claim_is_an_orphan_until_its_result(
    history: History, told: tuple[f.Fact, ...], left: list[tuple[str, bool, int]]
) -> None:
    requested = f.DeploymentRequested(
        deployment=1,
        environment=ENV,
        purpose="deploy",
        release=next(iter(history.world.releases.values())).digest,
        release_version="1.0.0",
        plan=digest_of(b"plan"),
        steps=("a", "b"),
        requester="olga",
        approvals_needed=0,
    )
    history.tell(requested, *told)
    assert [(o.step, o.undo, o.claims) for o in orphans(history.world)] == left
    assert orphans(history.world, 2) == []
    counted = OpenClaims()
    for fact in told:
        counted.add(type(fact).__name__, f.body_of(fact))
    assert len(counted) == len(left)
