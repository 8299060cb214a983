"""The steps that wait between waves: for proof, for soaking, and before a contract.

Does not: judge (`core.rollout`) or act.
"""

from __future__ import annotations

from surefoot.core.errors import Refused
from surefoot.core.plan import phase_of
from surefoot.core.target import Plain, Step
from surefoot.engine.compatibility import Wanted


def with_waits(wanted: Wanted, steps: list[Step]) -> list[Step]:
    """After each wave, a wait for the sealed counters that let the next one begin; before a
    contract, a hold until the declared share of all the rollout's devices is verified."""
    waves = [step for step in steps if step.action == "wave"]
    soaks = wanted.policy.devices.pace.soak_seconds
    done = "done" if wanted.download_only else "verified"
    woven = []
    for step in steps:
        woven.append(step)
        last = bool(waves) and step is waves[-1]
        if step.action == "wave":
            woven.append(
                Step(
                    id=f"await-{step.id}",
                    target=step.target,
                    action="await",
                    component=step.component,
                    arguments=_waited(step, last=last and not soaks),
                    summary=f"wait until {step.summary} is {done}",
                )
            )
        if step.action == "wave" and soaks:
            woven.append(
                Step(
                    id=f"soak-{step.id}",
                    target=step.target,
                    action="soak",
                    component=step.component,
                    arguments=_waited(step, last=last),
                    summary=f"watch it for {soaks} seconds more",
                )
            )
    if waves and any(phase_of(step) == phase_of(_CONTRACT) for step in steps):
        _check_moves(wanted)
        percent = wanted.policy.devices.contract_percent
        # Of several images no one version tells who has all of them.
        image = waves[-1].arguments.get("firmware") if _alone(waves[-1]) else None
        version = image.get("version") if isinstance(image, dict) else None
        woven.append(
            Step(
                id="hold-contract",
                target=waves[-1].target,
                action="hold",
                arguments={"percent": percent, **({"version": version} if version else {})},
                summary=f"hold the contract until {percent} % of the devices are verified",
            )
        )
    return woven


def _check_moves(wanted: Wanted) -> None:
    """Refuse to remove the old way in a deployment that moves no device from it."""
    if wanted.download_only:
        raise Refused(
            "plan.download-only",
            f"release {wanted.manifest.version} to {wanted.environment.name}",
            expected="nothing that is removed before devices have moved",
            found="a contract migration, and devices that only download",
            remedy="deploy it with another type, or download a release that removes nothing",
        )


def _alone(step: Step) -> bool:
    return not step.arguments.get("parts")


def _waited(step: Step, *, last: bool) -> Plain:
    """What the wait after a wave is judged by; after the last the component's record is true."""
    return {"wave": step.arguments["wave"], "last": last, "policy": step.arguments["policy"]}


_CONTRACT = Step(id="", target="", action="migrate", arguments={"classes": ["contract"]})
