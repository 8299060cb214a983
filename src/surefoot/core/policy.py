"""Who may do what: enrolment, roles, permissions, approvals by distinct persons.

Keeps: machines never approve; nobody grants a role to themselves, nor to a person they enrolled, so
nobody makes a second self with rights; no one person brings their own change into a protected
environment. Pure rules: they return facts or raise `Refused`.
"""

from __future__ import annotations

import re
from collections.abc import Iterable

import msgspec

from surefoot.core import facts as f
from surefoot.core.errors import Refused
from surefoot.core.governance import FOUNDER_PERMISSIONS, Governance
from surefoot.core.world import Deployment, Person, World
from surefoot.trust.keys import parse_public_line

_NAME = re.compile(r"[a-z][a-z0-9-]{0,40}")


class Asker(msgspec.Struct, frozen=True, kw_only=True):
    """Who asks: a person by id, or a machine; established by a door, never by the asker's word."""

    type: str
    id: str


def check_name(name: str, what: str) -> str:
    """The name when it is well formed. Raises `Refused("name.form.input")`."""
    if not _NAME.fullmatch(name):
        raise Refused(
            "name.form.input",
            f"{what} {name[:60]!r}",
            expected="a lower-case letter, then up to 40 letters, digits or dashes",
            found=name[:60],
            remedy="choose another name",
        )
    return name


def person_of(world: World, asker: Asker) -> Person:
    """The enrolled person behind an asker. Raises `Refused` for machines and strangers."""
    person = world.people.people.get(asker.id)
    if asker.type != "person" or person is None or not person.keys:
        raise Refused(
            "policy.person.unknown",
            f"{asker.type} {asker.id}",
            expected="an enrolled person with a key that counts",
            found="none",
            remedy="enrol with: surefoot person enrol",
        )
    return person


def permissions_of(person: Person, governance: Governance) -> set[str]:
    """Everything a person may do."""
    granted = {p for role in person.roles for p in governance.roles.get(role, ())}
    return granted | set(FOUNDER_PERMISSIONS if person.founder else ())


def require(world: World, asker: Asker, permission: str) -> Person:
    """The person, when they may. Raises `Refused("policy.permission.missing")`."""
    person = person_of(world, asker)
    if permission not in permissions_of(person, world.definition.governance):
        holders = ", ".join(who_can(world, permission)) or "nobody"
        raise Refused(
            "policy.permission.missing",
            f"{person.id}",
            expected=f"permission {permission}",
            found=f"roles {', '.join(person.roles) or 'none'}",
            remedy=f"ask somebody who may: {holders}",
        )
    return person


def who_can(world: World, permission: str) -> list[str]:
    """Everybody who has a permission now, sorted."""
    governance = world.definition.governance
    return sorted(
        person.id
        for person in world.people.people.values()
        if person.keys and permission in permissions_of(person, governance)
    )


def create_installation(
    world: World, installation: str, product: str, founders: tuple[f.Founder, ...]
) -> list[f.Fact]:
    """The first fact. Two founders with different keys, because one person cannot check alone."""
    if world.size:
        raise Refused(
            "installation.exists",
            installation,
            expected="an empty journal",
            found=f"{world.size} entries",
            remedy="use another data directory",
        )
    keys = {parse_public_line(founder.key)[0].fingerprint for founder in founders}
    names = {founder.person for founder in founders}
    if len(founders) < 2 or len(keys) != len(founders) or len(names) != len(founders):
        raise Refused(
            "installation.founders.input",
            installation,
            expected="at least two founders with different names and keys",
            found=f"{len(names)} names, {len(keys)} keys",
            remedy="name two people: --founder NAME=KEYFILE.pub twice",
        )
    for founder in founders:
        check_name(founder.person, "person")
    return [f.InstallationCreated(installation=installation, product=product, founders=founders)]


def enrol(
    world: World, asker: Asker, person: str, key: str, identities: tuple[str, ...]
) -> list[f.Fact]:
    """Enrol a key whose possession was proved to the door; roles come later, from others."""
    enroller = require(world, asker, "person.enrol")
    check_name(person, "person")
    _check_own_keys(world, enroller, person)
    fingerprint = parse_public_line(key)[0].fingerprint
    for other in world.people.people.values():
        if fingerprint in other.keys or fingerprint in other.revoked:
            raise Refused(
                "person.key.taken",
                f"key {fingerprint}",
                expected="a key that was never enrolled",
                found=f"a key of {other.id}",
                remedy="make a new key",
            )
        if other.id != person and set(identities) & set(other.identities):
            raise Refused(
                "person.identity.taken",
                person,
                expected="commit addresses of nobody else",
                found=f"an address of {other.id}",
                remedy="one address belongs to one person",
            )
    return [
        f.PersonEnrolled(
            person=person,
            key=key,
            identities=identities,  # type: ignore[arg-type]
            enroller=enroller.id,
        )
    ]


def _check_own_keys(world: World, enroller: Person, person: str) -> None:
    """A key brought by somebody else must not open the rights a person already has."""
    known = world.people.people.get(person)
    if known is None or known.id == enroller.id or not (known.roles or known.founder):
        return
    raise Refused(
        "person.key.own",
        f"key for {person}",
        expected=f"{person} as the one who adds a key, or a person without rights",
        found=f"{enroller.id} adds it; {person} has {', '.join(known.roles) or 'founder rights'}",
        remedy=f"revoke the roles of {person}, enrol the key, and let a second person grant again",
    )


def behind(world: World, people: Iterable[str]) -> set[str]:
    """These people, and whoever enrolled those among them that nobody else has vouched for.

    A granted role is the voucher: it came from somebody who did not enrol the person.
    """
    found = set(people)
    for name in tuple(found):
        person = world.people.people.get(name)
        if person is not None and not person.roles and not person.founder:
            found |= set(person.enrollers)
    return found


def grant(world: World, asker: Asker, person: str, role: str) -> list[f.Fact]:
    """Give a role to somebody else."""
    granter = require(world, asker, "role.grant")
    if granter.id == person:
        raise Refused(
            "policy.own-role",
            f"role {role}",
            expected="a second person as granter",
            found=f"{person} grants to {person}",
            remedy=f"ask: {', '.join(p for p in who_can(world, 'role.grant') if p != person)}",
        )
    if granter.id in _known_person(world, person).enrollers:
        raise Refused(
            "policy.own-enrolment",
            f"role {role[:60]} for {person}",
            expected="a second person as granter",
            found=f"{granter.id}, who enrolled {person}",
            remedy=f"ask: {', '.join(_other_granters(world, person)) or 'another founder'}",
        )
    _known_role(world, role)
    return [f.RoleGranted(person=person, role=role)]


def _other_granters(world: World, person: str) -> list[str]:
    enrollers = world.people.people[person].enrollers
    return [p for p in who_can(world, "role.grant") if p != person and p not in enrollers]


def revoke_role(world: World, asker: Asker, person: str, role: str) -> list[f.Fact]:
    """Take a role away."""
    require(world, asker, "role.grant")
    if role not in _known_person(world, person).roles:
        raise Refused(
            "person.role.unknown",
            person,
            expected=f"role {role}",
            found="not granted",
            remedy="see: surefoot person list",
        )
    return [f.RoleRevoked(person=person, role=role)]


def revoke_key(world: World, asker: Asker, person: str, fingerprint: str) -> list[f.Fact]:
    """Make a key count no more; everybody may revoke their own."""
    if asker.id != person or asker.type != "person":
        require(world, asker, "key.revoke")
    if fingerprint not in _known_person(world, person).keys:
        raise Refused(
            "person.key.unknown",
            person,
            expected=f"key {fingerprint}",
            found="not enrolled",
            remedy="see: surefoot person list",
        )
    return [f.KeyRevoked(person=person, fingerprint=fingerprint)]


def accept_definition(
    world: World,
    asker: Asker,
    fact: f.DefinitionAccepted,
    authors: tuple[str, ...],
) -> list[f.Fact]:
    """Put rules in force: by somebody who may, and who did not write them; authors are known."""
    person = require(world, asker, "definition.accept")
    small_team = world.definition.governance.small_team
    if not authors:
        raise Refused(
            "policy.definition.authors",
            f"definition {fact.definition[:19]}",
            expected="a commit that somebody wrote since the rules in force",
            found="one from before them: nobody could be held off from accepting it",
            remedy="commit the change anew, and have somebody else accept that",
        )
    for author in authors:
        _known_person(world, author)
    own = behind(world, authors)
    if person.id in own and not small_team:
        role = "is an author" if person.id in authors else "enrolled an author without a role"
        raise Refused(
            "policy.own-definition",
            f"definition {fact.definition[:19]}",
            expected="an accepter who did not write it",
            found=f"{person.id} {role}",
            remedy="ask: "
            + ", ".join(p for p in who_can(world, "definition.accept") if p not in own),
        )
    return [fact]


def person_of_key(world: World, fingerprint: str) -> str | None:
    """The person whose key counts under this fingerprint."""
    for person in world.people.people.values():
        if fingerprint in person.keys:
            return person.id
    return None


def check_approver(world: World, deployment: Deployment, asker: Asker, now_ms: int) -> bool:
    """Whether the asker may approve; returns True when it is a declared self-approval.

    Raises `Refused` for machines, people without the role, and contributors.
    """
    if asker.type != "person":
        raise Refused(
            "policy.machine.approver",
            f"deployment {deployment.number}",
            expected="a person",
            found=f"{asker.type} {asker.id}",
            remedy="machines never approve",
        )
    person = person_of(world, asker)
    if deployment.approver_role not in person.roles:
        raise Refused(
            "policy.approver.role",
            f"deployment {deployment.number}",
            expected=f"role {deployment.approver_role}",
            found=f"{person.id} has {', '.join(person.roles) or 'no role'}",
            remedy=f"ask: {', '.join(eligible_approvers(world, deployment)) or 'grant the role'}",
        )
    if person.id not in deployment.excluded:
        return False
    return _check_self_approval(world, deployment, person, now_ms)


def _check_self_approval(world: World, deployment: Deployment, person: Person, now_ms: int) -> bool:
    governance = world.definition.governance
    if governance.small_team:
        open_from = deployment.requested_ms + governance.small_team_delay_hours * 3_600_000
        if now_ms >= open_from:
            return True
        raise Refused(
            "policy.own-work.delay",
            f"deployment {deployment.number}",
            expected=f"self-approval {governance.small_team_delay_hours} hours after the request",
            found=f"{(open_from - now_ms) // 60_000} minutes left",
            remedy="wait, or ask somebody else",
        )
    raise Refused(
        "policy.own-work",
        f"deployment {deployment.number}",
        expected="an approver who contributed nothing to it",
        found=f"{person.id} contributed",
        remedy="ask an approver who is not "
        + ", ".join(deployment.excluded)
        + f": {', '.join(eligible_approvers(world, deployment)) or 'nobody has the role yet'}",
    )


def eligible_approvers(world: World, deployment: Deployment) -> list[str]:
    """People with the role who contributed nothing, sorted."""
    return sorted(
        p.id
        for p in world.people.people.values()
        if p.keys and deployment.approver_role in p.roles and p.id not in deployment.excluded
    )


def valid_approvals(world: World, deployment: Deployment) -> list[str]:
    """Distinct people whose approval counts now: the role, and the key that signed, still held.

    A self-approval counts only while the small-team mode is declared.
    """
    small_team = world.definition.governance.small_team
    counted = []
    for approval in deployment.approvals:
        person = world.people.people.get(approval.person)
        holds = (
            person is not None
            and deployment.approver_role in person.roles
            and (approval.key in person.keys if approval.key else bool(person.keys))
        )
        own = approval.person in deployment.excluded
        own = own and not (approval.self_approval and small_team)
        if approval.verdict == "approve" and holds and not own:
            counted.append(approval.person)
    return sorted(set(counted))


def _known_person(world: World, person: str) -> Person:
    known = world.people.people.get(person)
    if known is None:
        raise Refused(
            "person.unknown",
            f"person {person[:60]}",
            expected="an enrolled person",
            found="nobody of that name",
            remedy="see: surefoot person list",
        )
    return known


def _known_role(world: World, role: str) -> None:
    roles = world.definition.governance.roles
    if role not in roles:
        raise Refused(
            "role.unknown",
            f"role {role[:60]}",
            expected=", ".join(sorted(roles)) or "a definition",
            found=role[:60],
            remedy="roles are declared in surefoot.yaml",
        )
