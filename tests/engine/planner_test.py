"""Plans: the same order everywhere, the verdict beforehand, and what would strand something."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

import msgspec
import pytest

from surefoot.core.errors import Refused
from surefoot.core.governance import EnvironmentPolicy, OnStop, WavePolicy
from surefoot.core.manifest import Manifest
from surefoot.core.plan import Plan, Settings, decode, phase_of
from surefoot.core.target import Observation, Plain, Step
from surefoot.core.world import ComponentState, Environment
from surefoot.engine.planner import Wanted, make_plan
from surefoot.testing.claims import Claims
from surefoot.testing.fake_target import FakeTarget
from surefoot.testing.simulator_product import manifest_of

NEW, OLD = manifest_of("1.1.0"), manifest_of("1.0.0")


def database(name: str, action: str, *classes: str, to: int = 0) -> Step:
    arguments: Plain = {"classes": list(classes), "to": to} if classes else {}
    lost = "contract" in classes
    return Step(
        id=f"main.{name}",
        target="database:main",
        action=action,
        component="schema",
        arguments=arguments,
        reversible=not lost,
        why_irreversible="contract 0003 drops room" if lost else "",
    )


def wave(number: int) -> Step:
    policy = msgspec.to_builtins(WavePolicy())
    return Step(
        id=f"fleet-wave-{number + 1}",
        target="fleet",
        action="wave",
        component="firmware",
        arguments={"wave": number, "policy": policy, "previous": {"release": "r"}},
    )


STEPS = (
    wave(0),
    database("contract", "migrate", "contract", to=3),
    database("backup-contract", "backup"),
    database("expand", "migrate", "expand", to=2),
    database("backup-expand", "backup"),
    wave(1),
)


def state_of(manifest: Manifest, name: str, **detail: object) -> ComponentState:
    component = manifest.component(name)
    return ComponentState(
        kind=component.kind,
        artifact=component.artifact,
        version=component.version,
        release=manifest.digest(),
        deployment=1,
        detail={"compatibility": manifest.compatibility.get(name, {}), **detail},  # type: ignore[dict-item]
    )


def running(manifest: Manifest, **schema: object) -> Environment:
    return Environment(
        name="production",
        release=manifest.digest(),
        release_version=manifest.version,
        values={"greeting": "hello"},
        components={
            "api": state_of(manifest, "api"),
            "firmware": state_of(manifest, "firmware"),
            "schema": state_of(manifest, "schema", **schema),
        },
    )


def wanted(**changes: object) -> Wanted:
    base = Wanted(
        deployment=2,
        environment=running(OLD),
        purpose="deploy",
        manifest=NEW,
        release=NEW.digest(),
        previous=OLD,
        policy=EnvironmentPolicy(availability_percent="99.9"),
        settings=Settings(values={"greeting": "hello again"}),
        desired={"process": {"api": {"artifact": NEW.component("api").artifact}}},
        smoke=({"name": "answers"},),
        heads={"env/production": 7},
        explicit=STEPS,
    )
    return msgspec.structs.replace(base, **changes)


def make(folder: Path, **changes: object) -> Plan:
    target = FakeTarget(folder / "process.json", Claims().interlock())
    seen = {"process": target.observe()}
    # As if the release before ran: so that there is something to drain.
    seen["process"] = Observation(
        target="process",
        stable={"api/artifact": OLD.component("api").artifact, "api/state": "running"},
        volatile={"api/generation": "g1", "api/generations": ["g1"]},
    )
    return make_plan(wanted(**changes), {"process": target}, seen)


def actions(plan: Plan) -> list[str]:
    return [p.step.id.partition("-")[2] for p in plan.steps]


ORDER = [
    "provenance",
    "main.backup-expand",
    "main.expand",
    "start-api",
    "check-api",
    "switch-api",
    "drain-api",
    "smoke",
    "availability",
    "fleet-wave-1",
    "await-fleet-wave-1",
    "fleet-wave-2",
    "await-fleet-wave-2",
    "hold-contract",
    "main.backup-contract",
    "main.contract",
]


@pytest.mark.parametrize("environment", ["dev", "staging", "production"])
def test_the_order_is_the_same_in_every_environment(tmp_path: Path, environment: str) -> None:
    plan = make(tmp_path, environment=msgspec.structs.replace(running(OLD), name=environment))
    assert actions(plan) == ORDER
    phases = [phase_of(p.step) for p in plan.steps]
    assert phases == sorted(phases)


@pytest.mark.parametrize("shuffled", [STEPS, STEPS[::-1], STEPS[3:] + STEPS[:3]])
def test_the_contract_is_last_in_whatever_order_targets_plan(
    tmp_path: Path, shuffled: tuple[Step, ...]
) -> None:
    plan = make(tmp_path, explicit=shuffled)
    assert actions(plan)[-2:] == ["main.backup-contract", "main.contract"]


def test_planning_is_pure_and_survives_its_bytes(tmp_path: Path) -> None:
    plan = make(tmp_path)
    assert make(tmp_path) == plan
    assert decode(plan.encode()).digest() == plan.digest()
    assert make(tmp_path, heads={"env/production": 8}).digest() != plan.digest()


def test_the_verdict_names_the_step_and_the_reason(tmp_path: Path) -> None:
    verdict = make(tmp_path).verdict
    assert not verdict.reversible
    assert verdict.first_irreversible_step == "16-main.contract"
    assert verdict.last_reversible_step == "15-main.backup-contract"
    assert verdict.why == "contract 0003 drops room"


def test_without_a_contract_everything_can_be_undone(tmp_path: Path) -> None:
    plan = make(tmp_path, explicit=STEPS[3:5])
    assert plan.verdict.reversible
    assert plan.keep_service


def test_a_release_that_cannot_run_on_the_new_schema_cannot_come_back(tmp_path: Path) -> None:
    strict = changed(OLD, api={"provides": {"http": [1, 2]}, "requires": {"schema": [9, 9]}})
    verdict = make(tmp_path, previous=strict).verdict
    assert not verdict.reversible
    assert "requires schema 9 to 9" in verdict.why


def test_a_first_deployment_has_nothing_to_return_to(tmp_path: Path) -> None:
    plan = make(tmp_path, previous=None, environment=Environment(name="dev"), explicit=())
    assert plan.verdict.why == "there is no earlier release to return to"
    assert {c.sign for c in plan.changes if " " not in c.subject} == {"+"}


def changed(manifest: Manifest, **compatibility: Plain) -> Manifest:
    return msgspec.structs.replace(
        manifest, compatibility={**manifest.compatibility, **compatibility}
    )


@pytest.mark.parametrize(
    ("manifest", "words"),
    [
        (
            changed(NEW, firmware={"requires": {"http": [3, 3]}}),
            "firmware firmware 1.1.0 requires http 3 to 3; service api 1.1.0 provides 1 to 2",
        ),
        (
            changed(NEW, firmware={"requires": {"mqtt": [1, 1]}}),
            "requires mqtt 1 to 1; nothing provides it",
        ),
        (
            changed(
                NEW,
                api={"provides": {"http": [2, 2]}, "requires": {}},
                firmware={"requires": {"http": [2, 2]}},
            ),
            "firmware firmware 1.0.0 requires http 1 to 1",
        ),
    ],
)
def test_what_would_be_stranded_is_named(tmp_path: Path, manifest: Manifest, words: str) -> None:
    with pytest.raises(Refused) as refused:
        make(tmp_path, manifest=manifest)
    assert refused.value.code == "plan.compatibility"
    assert words in refused.value.found


@pytest.mark.parametrize(("contracted", "refuses"), [(0, False), (3, True)])
def test_no_rollback_behind_a_contract(tmp_path: Path, contracted: int, refuses: bool) -> None:
    back = {
        "purpose": "rollback",
        "manifest": OLD,
        "release": OLD.digest(),
        "previous": NEW,
        "environment": running(NEW, schema=3, contracted=contracted),
        "explicit": (),
    }
    if not refuses:
        assert make(tmp_path, **back).purpose == "rollback"
        return
    with pytest.raises(Refused) as refused:
        make(tmp_path, **back)
    assert "contract migration 0003 ran; release 1.0.0 predates it" in refused.value.found


def test_a_migration_is_recorded_with_how_far_it_went(tmp_path: Path) -> None:
    recorded = {p.step.id[3:]: p.after for p in make(tmp_path).steps if p.after}
    expand, contract = recorded["main.expand"], recorded["main.contract"]
    assert expand is not None
    assert contract is not None
    assert (expand.detail["schema"], "contracted" in expand.detail) == (2, False)
    assert (contract.detail["schema"], contract.detail["contracted"]) == (3, 3)


def test_each_step_knows_its_undoing(tmp_path: Path) -> None:
    undos = {p.step.id[3:]: p.undo.action for p in make(tmp_path).steps if p.undo}
    assert undos == {
        "start-api": "stop",
        "switch-api": "revert",
        "fleet-wave-1": "return_devices",
        "fleet-wave-2": "return_devices",
    }


def test_settings_are_in_force_with_the_last_switch(tmp_path: Path) -> None:
    plan = make(tmp_path)
    assert [p.step.id[3:] for p in plan.steps if p.settles] == ["switch-api"]
    assert (plan.before.release_version, plan.before.values) == ("1.0.0", {"greeting": "hello"})


@pytest.mark.parametrize("purpose", ["backup", "destroy"])
def test_what_changes_no_settings_says_so(tmp_path: Path, purpose: str) -> None:
    plan = make(
        tmp_path,
        purpose=purpose,
        manifest=OLD,
        release=OLD.digest(),
        desired={},
        smoke=(),
        explicit=(database("backup", "backup"),),
    )
    assert not [p for p in plan.steps if p.settles]
    signs = {c.subject: c.sign for c in plan.changes}
    expected = "-" if purpose == "destroy" else "="
    assert signs == dict.fromkeys(("api", "schema", "firmware"), expected)


def test_changes_are_shown_beforehand(tmp_path: Path) -> None:
    gone = running(OLD)
    gone.components["old-worker"] = state_of(OLD, "api")
    plan = make(tmp_path, environment=gone)
    shown: Mapping[str, str] = {c.subject: c.sign for c in plan.changes}
    assert shown == {
        "api": "~",
        "schema": "~",
        "firmware": "~",
        "old-worker": "-",
        "value greeting": "~",
    }


def test_the_hold_before_a_contract_asks_for_the_declared_share(tmp_path: Path) -> None:
    policy = EnvironmentPolicy(devices=WavePolicy(contract_percent=95))
    steps = {p.step.id[3:]: p.step for p in make(tmp_path, policy=policy).steps}
    assert steps["hold-contract"].arguments == {"percent": 95}
    assert "hold-contract" not in actions(make(tmp_path, explicit=STEPS[:1] + STEPS[3:]))


def fleet_steps(plan: Plan) -> list[tuple[str, str]]:
    return [
        (p.undo.action, p.undo.summary) for p in plan.steps if p.step.action == "wave" and p.undo
    ]


def staying(on_stop: OnStop) -> tuple[Step, ...]:
    policy = msgspec.to_builtins(WavePolicy(on_stop=on_stop))
    return tuple(
        msgspec.structs.replace(each, arguments={**each.arguments, "policy": policy})
        if each.action == "wave"
        else each
        for each in STEPS
    )


def test_devices_return_to_the_release_that_is_named_unless_they_are_to_stay(
    tmp_path: Path,
) -> None:
    back = manifest_of("0.9.0")
    named = make(tmp_path, back=back, explicit=staying("return"))
    assert fleet_steps(named)[0] == ("return_devices", "undo: , back to release 0.9.0")
    assert {action for action, _ in fleet_steps(named)} == {"return_devices"}
    stays = make(tmp_path, back=back, explicit=staying("stay"))
    assert stays.keep_service
    assert {action for action, _ in fleet_steps(stays)} == {"stop_rollout"}


def test_a_named_release_that_a_service_would_not_serve_is_refused(tmp_path: Path) -> None:
    back = changed(manifest_of("0.9.0"), firmware={"requires": {"http": [3, 3]}})
    with pytest.raises(Refused, match=r"after a return"):
        make(tmp_path, back=back)
