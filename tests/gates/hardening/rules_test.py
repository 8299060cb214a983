"""Each rule finds its own flaw, and nothing in a root file system that is as it should be."""

from __future__ import annotations

from typing import Any

import pytest
from roots import BAD, GOOD

from surefoot.core.errors import Refused
from surefoot.gates.hardening.evaluate import Evaluation, Row
from surefoot.gates.hardening.look import Look, Socket
from surefoot.gates.hardening.rule import load, standard

RULES = standard()
SOCKETS = tuple(rule for rule in RULES if rule.group == "sockets")
ALSO = {
    # One cause, seen from two sides.
    "cron-programs": {"file-world-writable"},
}


def rows(look: Look) -> dict[str, Row]:
    return {row.rule.id: row for row in Evaluation(look, RULES).rows()}


def test_the_good_root_is_good_for_every_rule(tar_look: Any) -> None:
    found = rows(tar_look(GOOD))
    assert {row.rule.group for row in found.values() if row.state != "good"} == {"sockets"}
    assert {row.state for row in found.values() if row.rule.group == "sockets"} == {"unseen"}


def test_every_rule_has_a_bad_example() -> None:
    assert sorted(BAD) == sorted(rule.id for rule in RULES if rule.group != "sockets")
    assert len(RULES) >= 90


@pytest.mark.parametrize("name", sorted(BAD))
def test_a_rule_finds_its_flaw_and_no_other_does(name: str, tar_look: Any) -> None:
    found = rows(tar_look(GOOD | BAD[name]))
    bad = {row.rule.id for row in found.values() if row.state == "bad"}
    assert bad == {name} | ALSO.get(name, set()), [r.wrong for r in found.values() if r.wrong]
    for wrong in found[name].wrong:
        assert wrong.place.startswith("/") and wrong.expected and wrong.found


class Listening:
    """The good root with sockets, as a running host shows them."""

    def __init__(self, look: Look, *sockets: Socket) -> None:
        self._look = look
        self._sockets = sockets

    def __getattr__(self, name: str) -> Any:
        return getattr(self._look, name)

    def sockets(self) -> tuple[Socket, ...]:
        return self._sockets


@pytest.mark.parametrize(
    ("address", "port", "expected"),
    [
        ("0.0.0.0", 443, set()),
        ("::", 23, {"socket-clear-text"}),
        ("127.0.0.1", 23, set()),
        ("::1", 5432, set()),
        ("10.0.0.1", 5432, set()),
        ("0.0.0.0", 5432, {"socket-database"}),
        ("127.0.0.1", 2375, {"socket-containers"}),
    ],
)
def test_listening_sockets(address: str, port: int, expected: set[str], tar_look: Any) -> None:
    look: Any = Listening(tar_look(GOOD), Socket(protocol="tcp", address=address, port=port))
    found = Evaluation(look, SOCKETS).rows()
    assert {row.rule.id for row in found if row.state == "bad"} == expected
    assert {row.state for row in found} <= {"good", "bad"}


RULE = """rules:
  - id: file-a
    title: a title
    reason: a reason
    severity: low
    fix: a fix
    check: {kind: modes, paths: [/etc/a], at_most: "0600"}
"""


def test_a_rule_is_read() -> None:
    assert [rule.id for rule in load(RULE.encode(), "files")] == ["file-a"]


@pytest.mark.parametrize(
    ("before", "after", "said"),
    [
        ("    fix: a fix\n", "", "the key fix"),
        ("fix: a fix", "fixx: a fix", "fixx"),
        ("at_most:", "at_least:", "at_least"),
        ("severity: low", "severity: lowest", "lowest"),
        ('"0600"', '"0999"', "0999"),
        ("kind: modes", "kind: mode", "mode"),
        ("id: file-a", "id: ssh-a", "begins with files"),
        ("paths: [/etc/a]", "paths: []", "0 items"),
        ("rules:", "---\nrules: &a", "anchors"),
        (
            '{kind: modes, paths: [/etc/a], at_most: "0600"}',
            "{kind: setting, form: sshd, key: a}",
            "none, or several",
        ),
        (
            '{kind: modes, paths: [/etc/a], at_most: "0600"}',
            "{kind: setting, form: nothing, key: a, allowed: [b]}",
            "nothing",
        ),
    ],
)
def test_rules_with_a_mistake_are_refused(before: str, after: str, said: str) -> None:
    assert before in RULE
    with pytest.raises(Refused) as refused:
        load(RULE.replace(before, after).encode(), "files")
    assert said in str(refused.value)


def test_an_id_stands_once() -> None:
    with pytest.raises(Refused, match="an id of its own"):
        load((RULE + RULE.partition("\n")[2]).encode(), "files")


def test_rules_say_what_a_person_needs() -> None:
    for rule in RULES:
        assert rule.reason.endswith("."), rule.id
        assert not rule.fix.endswith("."), rule.id
        assert rule.references or rule.id == "postgres-fsync", rule.id
