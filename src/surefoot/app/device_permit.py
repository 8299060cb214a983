"""What every operation on devices begins and ends with: may this person, is it there, the fact.

Keeps: a refusal is noted in the journal; the right is asked again in the world the fact joins.
"""

from __future__ import annotations

from collections.abc import Sequence

from surefoot.app.facade import App
from surefoot.app.operation import Request
from surefoot.core import environment as environments
from surefoot.core import facts as f
from surefoot.core import policy
from surefoot.core.errors import Refused
from surefoot.core.world import World
from surefoot.trust.digest import Digest

_PERMISSION = "device.manage"


def check(app: App, request: Request, environment: str) -> None:
    """Refuse who may not see to devices, and an environment that is not there."""
    app.ready()
    app.check(request, lambda w: policy.require(w, request.asker, _PERMISSION))
    app.read(lambda w: environments.find(w, environment))


def record(app: App, request: Request, fact: f.Fact, evidence: Sequence[Digest] = ()) -> None:
    """Append the fact, for whoever may see to devices at that moment. Raises `Refused`."""

    def rule(world: World) -> list[f.Fact]:
        policy.require(world, request.asker, _PERMISSION)
        return [fact]

    app.command(request, rule, evidence)


def unknown(environment: str, device: str) -> Refused:
    """There is no device of that name."""
    return Refused(
        "device.name.unknown",
        f"device {device[:80]}",
        expected=f"a device of {environment}",
        found="none of that name",
        remedy=f"see: surefoot device list {environment}",
    )
