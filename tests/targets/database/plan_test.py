"""Planning is pure: from what is wanted and seen to steps, or a refusal."""

from __future__ import annotations

from typing import Any

import pytest

from surefoot.core.errors import Refused
from surefoot.core.target import Observation, Step
from surefoot.targets.database.plan import plan

ARTIFACT = "sha256:" + "a" * 64
CLASSES = ("expand", "expand", "backfill", "contract")


def wanted(*classes: str) -> dict[str, Any]:
    briefs = [
        {"number": n, "class": kind, "sha256": f"sum {n}", "takes_away": ["drops column t.x"]}
        for n, kind in enumerate(classes, 1)
    ]
    return {"artifact": ARTIFACT, "migrations": briefs, "before": "1.0.0"}


def seen(applied: int, *, contract: int = 0, objects: bool = True) -> Observation:
    stable: dict[str, Any] = {"engine": "sqlite", "state": "present", "schema/contract": contract}
    stable |= {f"schema/{n:04d}": f"sum {n}" for n in range(1, applied + 1)}
    if objects:
        stable["schema/object/table t"] = "sha256:" + "b" * 64
    return Observation(target="main", stable=stable)


def actions(steps: tuple[Step, ...]) -> list[str]:
    return [step.id.removeprefix("main.") for step in steps]


def test_an_absent_database_is_created_and_takes_everything() -> None:
    absent = Observation(target="main", stable={"engine": "sqlite", "state": "absent"})
    create, install = plan("main", wanted(*CLASSES), absent)
    assert create.action == "create"
    assert install.arguments["classes"] == ["expand", "backfill", "contract"]
    assert install.reversible


def test_an_upgrade_backs_up_and_keeps_contract_apart() -> None:
    steps = plan("main", wanted(*CLASSES), seen(1))
    expected = ["backup-expand", "migrate-expand", "backup-contract", "migrate-contract"]
    assert actions(steps) == expected
    assert steps[1].arguments == {
        "artifact": ARTIFACT,
        "classes": ["expand", "backfill"],
        "to": 3,
    }
    assert steps[1].reversible
    assert not steps[3].reversible
    assert steps[3].why_irreversible == (
        "contract 0004 drops column t.x: rows written since cannot be read by release 1.0.0"
    )


def test_nothing_to_do_is_no_step() -> None:
    assert plan("main", wanted(*CLASSES), seen(4, contract=4)) == ()
    assert plan("main", {}, seen(4, contract=4)) == ()


def test_an_older_release_runs_on_a_newer_expanded_schema() -> None:
    assert plan("main", wanted("expand"), seen(3)) == ()


def test_an_older_release_is_refused_on_a_contracted_schema() -> None:
    with pytest.raises(Refused) as refused:
        plan("main", wanted("expand", "expand", "backfill"), seen(4, contract=4))
    assert refused.value.code == "migration.order.refused"


def test_an_expand_after_a_pending_contract_is_refused() -> None:
    with pytest.raises(Refused) as refused:
        plan("main", wanted("expand", "contract", "expand"), seen(1))
    assert refused.value.code == "migration.order.refused"
    assert "0002" in refused.value.remedy


@pytest.mark.parametrize(
    "desired",
    [
        {"migrations": [{"number": 1}]},
        {"migrations": [{"number": 2, "class": "expand", "sha256": "x"}], "artifact": ARTIFACT},
        {"migrations": [{"number": 1, "class": "expand", "sha256": "x"}]},
        {"artifact": 7},
    ],
)
def test_another_form_is_refused(desired: dict[str, Any]) -> None:
    with pytest.raises(Refused) as refused:
        plan("main", desired, seen(0))
    assert refused.value.code == "database.desired.input"


def test_the_same_input_gives_the_same_steps() -> None:
    assert plan("main", wanted(*CLASSES), seen(1)) == plan("main", wanted(*CLASSES), seen(1))
