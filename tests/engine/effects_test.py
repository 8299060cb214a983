"""One effect at a time: what is looked at first, what is recorded, and what ends a deployment."""

from __future__ import annotations

import json

import msgspec
import pytest

from surefoot.core import facts as f
from surefoot.core.errors import Corrupt, Failed, Refused
from surefoot.core.plan import PlannedStep
from surefoot.core.target import Outcome, Step, Token
from surefoot.core.world import Deployment, World
from surefoot.engine.effects import TRIES_MAX, judge
from surefoot.testing.claims import Claims
from surefoot.testing.fake_target import FakeTarget
from surefoot.testing.history import History
from surefoot.testing.simulator import ENVIRONMENT, Node
from surefoot.testing.simulator_product import WAVES, person
from surefoot.trust.digest import digest_of


def cause(node: Node) -> str:
    return str(node.waits(2).get("cause", ""))


def until(node: Node, step: str) -> None:
    for _ in range(40):
        steps = node.log.read(lambda w: list(w.deployments[2].steps.values()))
        if next(s.id for s in steps if s.status != "done").endswith(step):
            return
        node.advance(2)
    raise AssertionError(step)


def test_what_moved_since_the_approval_voids_it(node: Node) -> None:
    node.command(
        lambda w: [f.DevicesEnrolled(environment=ENVIRONMENT, count=1, devices=digest_of(b"d"))],
        "enrol",
    )
    node.advance(2)
    assert node.status(2) == "void"
    assert f"env/{ENVIRONMENT} at entry" in cause(node)


def test_a_target_changed_by_hand_voids_it(node: Node) -> None:
    path = node.folder / "targets" / "process.json"
    world = json.loads(path.read_bytes())
    live = world["components"]["api"]["live"]
    world["components"]["api"]["generations"][live]["artifact"] = "by hand"
    path.write_text(json.dumps(world))
    node.advance(2)
    assert node.status(2) == "void"
    assert cause(node) == "process of production changed since the plan was made"


class Angry:
    """A target that raises."""

    def __init__(self, node: Node, error: Exception) -> None:
        self._target = node.targets["process"]
        self.error, self.tries, self.looks = error, 0, 0
        node.targets["process"] = self  # type: ignore[assignment]

    def observe(self) -> object:
        self.looks += 1
        return self._target.observe()

    def apply(self, step: Step, token: Token) -> Outcome:
        self.tries += 1
        if step.action == "start":
            raise self.error
        return self._target.apply(step, token)


@pytest.mark.parametrize(
    ("error", "tries"),
    [
        (Refused("target.arguments.input", "step"), 1),
        (Failed("target.port.taken", "port 80"), TRIES_MAX),
        (Corrupt("store.blob.differs", "blob 1"), 1),
    ],
)
def test_an_error_of_a_target_fails_the_step(node: Node, error: Exception, tries: int) -> None:
    until(node, "start-api")
    angry = Angry(node, error)
    node.advance(2)
    assert angry.tries == tries
    assert node.drive(2) == "returned"
    assert str(error) in cause(node)
    alarms = node.log.read(lambda w: w.tallies["alarms"].by_code)
    assert alarms == ({"store.blob.differs": 1} if isinstance(error, Corrupt) else {})


def test_a_mistake_of_ours_leaves_the_claim_for_the_next(node: Node) -> None:
    until(node, "start-api")
    angry = Angry(node, ZeroDivisionError("ours"))
    with pytest.raises(ZeroDivisionError):
        node.advance(2)
    node.targets["process"] = angry._target
    assert node.drive(2) == "succeeded"


def test_a_takeover_looks_at_the_target_first(node: Node) -> None:
    until(node, "start-api")
    angry = Angry(node, ZeroDivisionError("ours"))
    for _ in range(2):
        with pytest.raises(ZeroDivisionError):
            node.advance(2)
    assert angry.looks == 1


def test_a_target_that_is_gone_fails_the_step(node: Node) -> None:
    until(node, "start-api")
    gone = node.targets.pop("process")
    node.advance(2)
    node.targets["process"] = gone
    assert node.drive(2) == "returned"
    assert "target.unknown" in cause(node)


def test_looking_changes_nothing(node: Node) -> None:
    size = node.log.size()
    assert node.effects.look(2).what == "act"
    assert node.log.size() == size


def test_the_end_keeps_what_the_environment_looked_like(node: Node) -> None:
    assert node.drive(2) == "succeeded"
    assert node.effects.check_drift(ENVIRONMENT) == ()
    path = node.folder / "targets" / "process.json"
    world = json.loads(path.read_bytes())
    world["components"]["api"]["live"] = ""
    path.write_text(json.dumps(world))
    size = node.log.size()
    found = {d.path: (d.expected, d.found) for d in node.effects.check_drift(ENVIRONMENT)}
    assert found["process/api/state"] == ("running", "none live")
    assert node.log.size() > size
    size = node.log.size()
    node.effects.check_drift(ENVIRONMENT)
    assert node.log.size() == size, "the same drift again is no news"


# -- waves ----------------------------------------------------------------------------------------


def asked(waves: dict[str, dict[str, int]] | None) -> tuple[World, Deployment]:
    history = History()
    history.tell(
        f.EnvironmentDeclared(environment=ENVIRONMENT),
        f.DeploymentRequested(
            deployment=1,
            environment=ENVIRONMENT,
            purpose="deploy",
            release=digest_of(b"r"),
            release_version="1.0.0",
            plan=digest_of(b"p"),
            steps=(),
            requester=person("olga").id,
            approvals_needed=0,
        ),
    )
    if waves is not None:
        history.tell(
            f.DeviceBatchSealed(
                environment=ENVIRONMENT,
                batch=digest_of(b"b"),
                root=digest_of(b"b"),
                count=1,
                first_report=1,
                last_report=1,
                deployment=1,
                waves=waves,  # type: ignore[arg-type]
            )
        )
    return history.world, history.world.deployments[1]


def await_(wave: int) -> PlannedStep:
    policy = {"success_percent": 60, "error_percent": WAVES.error_percent}
    arguments = {"wave": wave, "policy": policy}
    return PlannedStep(
        step=Step(id="a", target="fleet", action="await", arguments=arguments)  # type: ignore[arg-type]
    )


HOLD = PlannedStep(step=Step(id="h", target="fleet", action="hold", arguments={"percent": 80}))


@pytest.mark.parametrize(
    ("waves", "planned", "status"),
    [
        # Counters that are not sealed say nothing, least of all that there are no devices.
        (None, await_(0), "running"),
        ({"0": {}}, await_(1), "running"),
        (None, None, "running"),
        ({"0": {"failed": 1}}, None, "running"),
        # Sealed, and nobody in it: nothing to wait for.
        ({"0": {}}, await_(0), "passed"),
        ({"0": {"failed": 1}, "return": {}}, None, "passed"),
        ({"0": {"verified": 3, "installing": 2}}, await_(0), "passed"),
        ({"0": {"verified": 2, "installing": 3}}, await_(0), "running"),
        ({"0": {"failed": 5}}, await_(0), "stopped"),
        ({"0": {"failed": 5}, "return": {"returned": 4, "installing": 1}}, None, "running"),
        ({"0": {"failed": 5}, "return": {"returned": 4, "timed_out": 1}}, None, "stopped"),
        ({"0": {"verified": 4}, "1": {"verified": 4, "failed": 2}}, HOLD, "passed"),
        ({"0": {"verified": 4}, "1": {"verified": 3, "offered": 3}}, HOLD, "running"),
        ({"0": {"verified": 4}, "1": {"verified": 3, "failed": 3}}, HOLD, "stopped"),
    ],
)
def test_waves_are_judged_by_sealed_counters(
    waves: dict[str, dict[str, int]] | None, planned: PlannedStep | None, status: str
) -> None:
    world, deployment = asked(waves)
    found = judge(world, deployment, planned)
    assert found.status == status, found.reason
    assert found.reason


def test_what_a_target_is_handed_proves_its_claim_and_a_claim_of_another_act_does_not(
    node: Node,
) -> None:
    until(node, "start-api")
    seen: list[tuple[Step, Token]] = []
    fake = node.targets["process"]

    class Watched:
        def apply(self, step: Step, token: Token) -> Outcome:
            seen.append((step, token))
            return fake.apply(step, token)

        def observe(self) -> object:
            return fake.observe()

    node.targets["process"] = Watched()  # type: ignore[assignment]
    node.advance(2)
    ((step, token),) = seen
    assert token.intent is not None and token.intent.index == token.fence
    (entry,) = node.log.entries(token.fence, 1)
    assert entry.raw == token.intent.entry and entry.body["act"] == step.digest()
    other = msgspec.structs.replace(step, summary="something else")
    with pytest.raises(Refused) as refused:
        fake.apply(other, token)
    assert refused.value.code == "target.intent.differs"
    assert node.drive(2) == "succeeded"


def test_a_target_under_another_key_does_nothing_and_raises_the_alarm(node: Node) -> None:
    until(node, "start-api")
    path = node.folder / "targets" / "process.json"
    before = path.read_bytes()
    node.targets["process"] = FakeTarget(path, Claims(ENVIRONMENT).interlock())
    node.advance(2)
    assert path.read_bytes() == before
    assert node.log.read(lambda w: w.tallies["alarms"].by_code) == {"target.intent.unproved": 1}
    assert node.drive(2) == "stopped" or node.status(2) in ("returned", "failed")
