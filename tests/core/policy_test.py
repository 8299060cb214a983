"""Who may do what, as tables: who asks for what, and the code of the rule that says no."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import msgspec
import pytest

from surefoot.core import facts as f
from surefoot.core import policy
from surefoot.core.errors import Refused
from surefoot.core.policy import Asker
from surefoot.testing.history import History
from surefoot.testing.simulator_product import GOVERNANCE, key_line, person
from surefoot.trust.digest import digest_of
from surefoot.trust.keys import parse_public_line

Rule = Callable[[], Sequence[f.Fact]]


def fingerprint(name: str) -> str:
    return parse_public_line(key_line(name))[0].fingerprint


def code_of(rule: Rule) -> str:
    """The refusal's code, or "" when the rule says yes."""
    try:
        rule()
    except Refused as refused:
        assert refused.remedy, refused.code
        return refused.code
    return ""


FOUNDERS = (
    f.Founder(person="ann", key=key_line("ann")),
    f.Founder(person="bob", key=key_line("bob")),
)


@pytest.mark.parametrize(
    ("founders", "code"),
    [
        (FOUNDERS, ""),
        (FOUNDERS[:1], "installation.founders.input"),
        ((FOUNDERS[0], FOUNDERS[0]), "installation.founders.input"),
        ((FOUNDERS[0], f.Founder(person="b", key=key_line("ann"))), "installation.founders.input"),
        ((FOUNDERS[0], f.Founder(person="B!", key=key_line("bob"))), "name.form.input"),
    ],
)
def test_an_installation_needs_two_founders(founders: tuple[f.Founder, ...], code: str) -> None:
    world = History().world
    assert code_of(lambda: policy.create_installation(world, "i", "p", founders)) == code


def test_an_installation_is_made_once(history: History) -> None:
    found = code_of(lambda: policy.create_installation(history.world, "i", "p", FOUNDERS))
    assert found == "installation.exists"


@pytest.mark.parametrize(
    ("asker", "name", "key", "code"),
    [
        ("ann", "nina", "nina", ""),
        ("pia", "nina", "nina", "policy.permission.missing"),
        ("nobody", "nina", "nina", "policy.person.unknown"),
        ("ann", "Nina", "nina", "name.form.input"),
        ("ann", "nina", "pia", "person.key.taken"),
        ("ann", "pia", "another", "person.key.own"),
        ("ann", "bob", "another", "person.key.own"),
        ("ann", "ann", "another", ""),
    ],
)
def test_enrolling(history: History, asker: str, name: str, key: str, code: str) -> None:
    assert (
        code_of(lambda: policy.enrol(history.world, person(asker), name, key_line(key), ())) == code
    )


def test_an_address_belongs_to_one_person(history: History) -> None:
    address = digest_of(b"nina@example.test")
    history.tell(*policy.enrol(history.world, person("ann"), "nina", key_line("n"), (address,)))
    again = code_of(
        lambda: policy.enrol(history.world, person("ann"), "otto", key_line("o"), (address,))
    )
    assert again == "person.identity.taken"


@pytest.mark.parametrize(
    ("asker", "name", "role", "code"),
    [
        ("bob", "pia", "operator", ""),
        ("ann", "pia", "operator", "policy.own-enrolment"),
        ("ann", "ann", "approver", "policy.own-role"),
        ("ann", "bob", "approver", ""),
        ("pia", "quin", "operator", "policy.permission.missing"),
        ("bob", "pia", "king", "role.unknown"),
        ("bob", "stranger", "approver", "person.unknown"),
    ],
)
def test_granting(history: History, asker: str, name: str, role: str, code: str) -> None:
    assert code_of(lambda: policy.grant(history.world, person(asker), name, role)) == code


def test_machines_hold_no_rights(history: History) -> None:
    machine = Asker(type="machine", id="ann")
    rules: tuple[Rule, ...] = (
        lambda: policy.grant(history.world, machine, "pia", "operator"),
        lambda: policy.enrol(history.world, machine, "nina", key_line("nina"), ()),
        lambda: policy.revoke_key(history.world, machine, "ann", fingerprint("ann")),
    )
    assert {code_of(rule) for rule in rules} == {"policy.person.unknown"}


@pytest.mark.parametrize(
    ("asker", "name", "key", "code"),
    [
        ("pia", "pia", "pia", ""),
        ("ann", "pia", "pia", ""),
        ("pia", "quin", "quin", "policy.permission.missing"),
        ("pia", "pia", "quin", "person.key.unknown"),
    ],
)
def test_revoking_a_key(history: History, asker: str, name: str, key: str, code: str) -> None:
    found = code_of(lambda: policy.revoke_key(history.world, person(asker), name, fingerprint(key)))
    assert found == code


def test_a_revoked_key_takes_the_rights_with_it(history: History) -> None:
    assert policy.who_can(history.world, "approve") == ["pia", "quin"]
    history.tell(*policy.revoke_key(history.world, person("pia"), "pia", fingerprint("pia")))
    assert policy.who_can(history.world, "approve") == ["quin"]
    again = code_of(lambda: policy.enrol(history.world, person("ann"), "nina", key_line("pia"), ()))
    assert again == "person.key.taken"


def test_a_role_that_was_not_given_cannot_be_taken(history: History) -> None:
    rule = policy.revoke_role
    assert code_of(lambda: rule(history.world, person("ann"), "pia", "operator")) == (
        "person.role.unknown"
    )
    history.tell(*rule(history.world, person("ann"), "pia", "approver"))
    assert history.world.people.people["pia"].roles == []


@pytest.mark.parametrize(
    ("accepter", "authors", "code"),
    [
        ("bob", ("ann",), ""),
        ("ann", ("ann",), "policy.own-definition"),
        ("ann", ("bob", "ann"), "policy.own-definition"),
        ("ann", ("nina",), "policy.own-definition"),
        ("bob", ("nina",), ""),
        ("ann", ("dora",), ""),
        ("bob", (), "policy.definition.authors"),
        ("bob", ("stranger",), "person.unknown"),
        ("pia", ("ann",), "policy.permission.missing"),
    ],
)
def test_accepting_rules(
    history: History, accepter: str, authors: tuple[str, ...], code: str
) -> None:
    """Nina was enrolled by ann and nobody vouched for her; dora has a role from bob."""
    history.tell(*policy.enrol(history.world, person("ann"), "nina", key_line("nina"), ()))
    fact = f.DefinitionAccepted(
        definition=digest_of(b"new"), governance=msgspec.to_builtins(GOVERNANCE)
    )
    rule = policy.accept_definition
    assert code_of(lambda: rule(history.world, person(accepter), fact, authors)) == code
