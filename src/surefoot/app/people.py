"""Operations on people, roles and the definition in force."""

from __future__ import annotations

import hashlib

import msgspec

from surefoot.app.as_of import AsOf
from surefoot.app.facade import App
from surefoot.app.operation import Arguments, Reason, Request, operation
from surefoot.core import environment as environments
from surefoot.core import facts as f
from surefoot.core import fold, policy
from surefoot.core.errors import Refused
from surefoot.core.governance import FOUNDER_PERMISSIONS
from surefoot.core.target import Plain
from surefoot.core.world import World
from surefoot.product import definition_digest, parse_definition
from surefoot.product.rules import governance_of
from surefoot.trust import canonical, sshsig
from surefoot.trust.digest import Digest
from surefoot.trust.keys import parse_public_line

ENROL_NAMESPACE = "surefoot-enrol"


class AtArguments(Arguments, frozen=True, kw_only=True):
    at: str = ""


class EnrolArguments(Arguments, frozen=True, kw_only=True):
    person: str
    key: str
    proof: str
    identities: tuple[str, ...] = ()


class RoleArguments(Arguments, frozen=True, kw_only=True):
    person: str
    role: str


class RevokeArguments(RoleArguments, frozen=True, kw_only=True):
    reason: Reason = ""


class KeyArguments(Arguments, frozen=True, kw_only=True):
    person: str
    fingerprint: str
    reason: Reason = ""


class WhoArguments(Arguments, frozen=True, kw_only=True):
    permission: str
    at: str = ""


class AcceptArguments(Arguments, frozen=True, kw_only=True):
    commit: str


def commitment(salt: bytes, identity: str) -> Digest:
    """A salted commitment of a commit address; the salt can be erased, and with it the link."""
    return Digest(
        "sha256:" + hashlib.sha256(salt + b"\n" + identity.strip().lower().encode()).hexdigest()
    )


@operation("person list", "GET", "/people", AtArguments)
def list_people(app: App, request: Request, arguments: AtArguments) -> Plain:
    """Everybody enrolled, with roles and key fingerprints."""
    people = AsOf(app, arguments.at).people()
    return {
        "people": [
            {
                "id": person.id,
                "roles": list(person.roles),
                "keys": [*sorted(person.keys)],
                "revoked": [*sorted(person.revoked)],
                "founder": person.founder,
            }
            for person in sorted(people.people.values(), key=lambda p: p.id)
        ]
    }


@operation("person enrol", "POST", "/people", EnrolArguments)
def enrol(app: App, request: Request, arguments: EnrolArguments) -> Plain:
    """Enrol a person's public key, with proof that they hold the private one."""
    installation = app.read(lambda w: w.people.installation)
    line = check_proof(installation, arguments)
    salt = app.identity_salt
    identities = tuple(commitment(salt, identity) for identity in arguments.identities[:20])
    app.command(
        request,
        lambda w: policy.enrol(w, request.asker, arguments.person, line, identities),
    )
    fingerprint = parse_public_line(line)[0].fingerprint
    return {"person": arguments.person, "fingerprint": fingerprint}


def check_proof(installation: str, arguments: EnrolArguments) -> str:
    """The key as a line without comment, once its holder signed the enrolment with it."""
    try:
        key, _ = parse_public_line(arguments.key)
        message = canonical.encode(
            {"installation": installation, "person": arguments.person, "key": key.line()}
        )
        signer = sshsig.verify(arguments.proof.encode(), message, ENROL_NAMESPACE)
        found = signer.fingerprint
    except ValueError as error:
        raise Refused(
            "person.proof.signature",
            f"person {arguments.person[:60]}",
            expected="an Ed25519 key and an enrolment signed with it",
            found=str(error)[:200],
            remedy="make the request with: surefoot person request",
        ) from None
    if found != key.fingerprint:
        raise Refused(
            "person.proof.signature",
            f"person {arguments.person[:60]}",
            expected=f"a signature by {key.fingerprint}",
            found=found,
            remedy="sign with the key that is to be enrolled",
        )
    return key.line()


@operation("person grant", "POST", "/people/{person}/roles", RoleArguments)
def grant(app: App, request: Request, arguments: RoleArguments) -> Plain:
    """Give a role to somebody else."""
    app.command(request, lambda w: policy.grant(w, request.asker, arguments.person, arguments.role))
    return {"person": arguments.person, "roles": _roles(app, arguments.person)}


@operation("person revoke-role", "DELETE", "/people/{person}/roles/{role}", RevokeArguments)
def revoke_role(app: App, request: Request, arguments: RevokeArguments) -> Plain:
    """Take a role away."""
    app.command(
        request,
        lambda w: policy.revoke_role(w, request.asker, arguments.person, arguments.role),
        reason=arguments.reason,
    )
    return {"person": arguments.person, "roles": _roles(app, arguments.person)}


@operation("person revoke-key", "DELETE", "/people/{person}/keys/{fingerprint}", KeyArguments)
def revoke_key(app: App, request: Request, arguments: KeyArguments) -> Plain:
    """Make a key count no more."""
    app.command(
        request,
        lambda w: policy.revoke_key(w, request.asker, arguments.person, arguments.fingerprint),
        reason=arguments.reason,
    )
    return {"person": arguments.person, "revoked": arguments.fingerprint}


def _roles(app: App, person: str) -> list[canonical.JSON]:
    return app.read(lambda w: list(w.people.people[person].roles))


@operation("who-can", "GET", "/who-can", WhoArguments)
def who_can(app: App, request: Request, arguments: WhoArguments) -> Plain:
    """Who may do something, now or at a time: deploy.production, approve.production, secret.set."""
    world = AsOf(app, arguments.at).world()
    permission, _, environment = arguments.permission.partition(".")
    _check_permission(permission, environment, sorted(world.environments))
    declared = world.definition.governance.environments
    if environment and environment not in declared and permission in ("deploy", "approve"):
        # A copy has the rules of what it is a copy of.
        environment = environments.find(world, environment).source or environment
    if permission == "approve":
        role = world.definition.governance.policy(environment).approver_role
        holders = sorted(
            p.id for p in world.people.people.values() if p.keys and role and role in p.roles
        )
        return {"permission": arguments.permission, "role": role, "people": list(holders)}
    return {
        "permission": arguments.permission,
        "people": list(
            policy.who_can(world, f"{permission}.{environment}" if environment else permission)
        ),
    }


def _check_permission(permission: str, environment: str, names: list[str]) -> None:
    """Refuse a question about a permission that nobody can have: its answer would mislead."""
    whole = f"{permission}.{environment}" if environment else permission
    known = {"approve", "release.create", *FOUNDER_PERMISSIONS}
    known |= {f"{verb}.{name}" for verb in ("deploy", "approve") for name in names}
    if whole not in known:
        raise Refused(
            "policy.permission.unknown",
            f"permission {whole[:80]}",
            expected=", ".join(sorted(known)),
            found="none of that name",
            remedy="name a permission, like: surefoot who-can deploy production",
        )


@operation("definition show", "GET", "/definition", AtArguments)
def show_definition(app: App, request: Request, arguments: AtArguments) -> Plain:
    """The rules in force."""
    found = AsOf(app, arguments.at).definition()
    return {"digest": found.digest, "governance": msgspec.to_builtins(found.governance)}


@operation("definition accept", "POST", "/definition", AcceptArguments)
def accept_definition(app: App, request: Request, arguments: AcceptArguments) -> Plain:
    """Put the rules of a signed commit in force; whoever wrote them cannot accept them."""
    accepter = app.check(request, lambda w: policy.require(w, request.asker, "definition.accept"))
    source = app.builder.definition_of(app, arguments.commit)
    definition = parse_definition(source.content)
    governance = governance_of(definition)
    digest = app.blobs.put(source.content)
    assert digest == definition_digest(source.content)
    fact = f.DefinitionAccepted(
        definition=digest,
        governance=msgspec.to_builtins(governance),
        commit=source.commit,
    )
    protected = {name: e.protected for name, e in definition.environments.items()}

    def rule(world: World) -> list[f.Fact]:
        if world.definition.governance_digest == fold.governance_digest(governance):
            return environments.declare(world, protected)
        accepted = policy.accept_definition(world, request.asker, fact, source.authors)
        return [*accepted, *environments.declare(world, protected)]

    app.command(request, rule, (digest,))
    return {
        "digest": digest,
        "commit": source.commit,
        "accepted_by": accepter.id,
        "environments": [*sorted(protected)],
    }
