"""Operations on plans and deployments."""

from __future__ import annotations

import base64
from typing import Annotated

import msgspec

from surefoot.app.facade import App
from surefoot.app.operation import Arguments, Reason, Request, operation
from surefoot.app.planning import Ask, plan_for
from surefoot.core import deployment as deployments
from surefoot.core import environment as environments
from surefoot.core import facts as f
from surefoot.core import policy
from surefoot.core.errors import Refused
from surefoot.core.plan import Plan
from surefoot.core.plan import decode as decode_plan
from surefoot.core.signed import APPROVAL_TYPE
from surefoot.core.target import Plain
from surefoot.core.world import Deployment, World
from surefoot.trust import canonical, envelope, sshsig
from surefoot.trust.digest import Digest
from surefoot.trust.keys import parse_public_line

Number = Annotated[int, msgspec.Meta(ge=1, le=2**31)]


class PlanArguments(Arguments, frozen=True, kw_only=True):
    environment: str
    release: str = ""
    purpose: str = "deploy"
    data: str = ""


class RequestArguments(Arguments, frozen=True, kw_only=True):
    environment: str
    release: str = ""
    purpose: str = "deploy"
    data: str = ""
    digest: str = ""


class NumberArguments(Arguments, frozen=True, kw_only=True):
    number: Number


class ApproveArguments(Arguments, frozen=True, kw_only=True):
    number: Number
    envelope: str = ""
    signature: str = ""
    verdict: str = ""
    reason: Reason = ""


def shown_plan(plan: Plan) -> Plain:
    """A plan as doors show it, with its digest."""
    return {
        "digest": plan.digest(),
        "deployment": plan.deployment,
        "environment": plan.environment,
        "purpose": plan.purpose,
        "release_version": plan.release_version,
        "changes": [_change(c) for c in plan.changes],
        "verdict": {
            "reversible": plan.verdict.reversible,
            "last_reversible_step": plan.verdict.last_reversible_step,
            "first_irreversible_step": plan.verdict.first_irreversible_step,
            "why": plan.verdict.why,
        },
        "on_device_failure": {
            "keep_service": plan.keep_service,
            "why": plan.keep_service_why,
        },
        "on_return": {
            "devices_first": plan.devices_return_first,
            "why": plan.devices_return_why,
        },
        "devices_unknown": plan.devices_unknown,
        "steps": [
            {
                "id": p.step.id,
                "target": p.step.target,
                "action": p.step.action,
                "summary": p.step.summary,
                "reversible": p.step.reversible,
                "why_irreversible": p.step.why_irreversible,
            }
            for p in plan.steps
        ],
    }


def _change(change: object) -> Plain:
    plain: Plain = msgspec.to_builtins(change)
    return {"before": "", "after": "", **plain}


@operation("deployment plan", "POST", "/deployments/plans", PlanArguments)
def make(app: App, request: Request, arguments: PlanArguments) -> Plain:
    """Make a plan and show it; nothing is recorded and nothing changes."""
    app.read(lambda w: policy.person_of(w, request.asker))
    plan = plan_for(app, _ask(arguments))
    bytes_as_plain: Plain = msgspec.to_builtins(plan)
    return {**shown_plan(plan), "plan": bytes_as_plain}


def _ask(arguments: PlanArguments | RequestArguments) -> Ask:
    return Ask(
        environment=arguments.environment,
        release=arguments.release,
        purpose=arguments.purpose,
        data=arguments.data,
    )


@operation("deployment request", "POST", "/deployments", RequestArguments)
def ask(app: App, request: Request, arguments: RequestArguments) -> Plain:
    """Make a plan and ask for it to be carried out."""
    app.ready()
    app.read(lambda w: environments.check_idle(w, arguments.environment))
    plan = plan_for(app, _ask(arguments))
    digest = app.blobs.put(plan.encode())
    if arguments.digest and arguments.digest != digest:
        raise Refused(
            "plan.parent.moved",
            f"plan for {arguments.environment}",
            expected=arguments.digest,
            found=digest,
            remedy="look at the plan made now and ask for that one",
        )
    now = app.clock.now_ms
    app.command(
        request, lambda w: deployments.request(w, request.asker, plan, digest, now()), (digest,)
    )
    needed = app.read(lambda w: w.deployments[plan.deployment].approvals_needed)
    return {**shown_plan(plan), "approvals_needed": needed}


@operation("deployment rollback", "POST", "/deployments/{number}/rollback", NumberArguments)
def rollback(app: App, request: Request, arguments: NumberArguments) -> Plain:
    """Ask for the return to the release before: what the rollback verdict promised."""
    environment = app.read(lambda w: deployments.find(w, arguments.number).environment)
    wanted = RequestArguments(environment=environment, purpose="rollback")
    return dict(ask(app, request, wanted))


def _copy(deployment: Deployment) -> Deployment:
    return msgspec.convert(msgspec.to_builtins(deployment), Deployment)


def approval_payload(number: int, environment: str, plan: str, verdict: str) -> bytes:
    """Canonical bytes of an approval: what the DSSE envelope carries."""
    return canonical.encode(
        {"deployment": number, "environment": environment, "plan": plan, "verdict": verdict}
    )


@operation("deployment approve", "POST", "/deployments/{number}/approvals", ApproveArguments)
def approve(app: App, request: Request, arguments: ApproveArguments) -> Plain:
    """Count a verdict that a person signed with their own key over the plan's digest."""
    app.ready()
    deployment = app.read(lambda w: _copy(deployments.find(w, arguments.number)))
    content = _envelope_of(deployment, arguments)
    person, key, said = _opened(app, deployment, content)
    asker = policy.Asker(type=request.asker.type, id=person or request.asker.id)
    digest = app.blobs.put(content)
    plan = decode_plan(app.blobs.get(deployment.plan))
    fact = f.ApprovalGiven(
        deployment=deployment.number,
        environment=deployment.environment,
        plan=Digest(said["plan"]),
        person=asker.id,
        verdict=said["verdict"],
        envelope=digest,
        key=key,
    )
    app.command(
        request,
        lambda w: deployments.approve(w, asker, plan, fact, app.clock.now_ms()),
        (digest, deployment.plan),
        arguments.reason,
    )
    return app.read(lambda w: _approvals(w, w.deployments[deployment.number]))


def _approvals(world: World, deployment: Deployment) -> Plain:
    return {
        "deployment": deployment.number,
        "approvals": [a.person for a in deployment.approvals],
        "missing": deployments.approvals_missing(world, deployment),
        "status": deployment.status,
    }


def _envelope_of(deployment: Deployment, arguments: ApproveArguments) -> bytes:
    """The DSSE envelope given, or one made around a pasted SSH signature."""
    if arguments.envelope:
        return _unbase64(arguments.envelope, deployment.number)
    payload = approval_payload(
        deployment.number, deployment.environment, deployment.plan, arguments.verdict or "approve"
    )
    try:
        raw = sshsig.dearmored(arguments.signature.encode())
        key = sshsig.verify(raw, envelope.pae(APPROVAL_TYPE, payload), envelope.NAMESPACE)
        signature = envelope.Signature(key.fingerprint, raw)
        return envelope.serialise(envelope.Envelope(APPROVAL_TYPE, payload, (signature,)))
    except ValueError as error:
        raise _bad_signature(deployment.number, str(error)) from None


def _unbase64(text: str, number: int) -> bytes:
    try:
        return base64.b64decode(text, validate=True)
    except ValueError:
        raise _bad_signature(number, "not base64") from None


def _bad_signature(number: int, found: str) -> Refused:
    return Refused(
        "approval.envelope.signature",
        f"deployment {number}",
        expected="an approval signed with your enrolled key",
        found=found[:200],
        remedy=f"sign with: surefoot deployment approve {number}",
    )


def _opened(app: App, deployment: Deployment, content: bytes) -> tuple[str, str, dict[str, str]]:
    """Who signed, with which key, and what; an enrolled key must hold over exactly this."""
    people = app.read(
        lambda w: [
            (person.id, line)
            for person in w.people.people.values()
            for line in person.keys.values()
        ]
    )
    owners = {parse_public_line(line)[0].fingerprint: person for person, line in people}
    keys = [parse_public_line(line)[0] for _, line in people]
    try:
        payload, signers = envelope.open(content, keys, 1, APPROVAL_TYPE)
        said = canonical.parse(payload)
    except ValueError as error:
        raise _bad_signature(deployment.number, str(error)) from None
    wanted = {"deployment", "environment", "plan", "verdict"}
    if not isinstance(said, dict) or set(said) != wanted:
        raise _bad_signature(deployment.number, "another form of approval")
    if (
        said["deployment"] != deployment.number
        or said["environment"] != deployment.environment
        or said["verdict"] not in ("approve", "reject")
    ):
        raise _bad_signature(deployment.number, f"a signature for deployment {said['deployment']}")
    key = min(signers)
    return owners[key], key, {k: str(v) for k, v in said.items()}
