"""The trust policy: its syntax line by line, and which cosignatures are enough."""

from __future__ import annotations

from itertools import combinations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from surefoot.trust.cosignature import ED25519, ML_DSA_44, Cosignature, CosignerSigner
from surefoot.trust.note import SignerKey
from surefoot.trust.quorum import NotAPolicy, TrustPolicy, parse_policy

LOG = SignerKey("log.example", b"l" * 32).verifier.text()
KEYS = {
    f"{letter}{number}": CosignerSigner(
        f"{letter}{number}.example",
        f"{letter}{number}".encode().ljust(32, b"."),
        ML_DSA_44 if number == 3 else ED25519,
    ).key.text()
    for letter in "XY"
    for number in (1, 2, 3)
}
WITNESSES = "".join(f"witness {name} {key}\n" for name, key in KEYS.items())
EXAMPLE = (
    f"# two levels\nlog {LOG} https://log.example/\n\n  {WITNESSES}"
    "group\tX-witnesses  2 X1 X2 X3\n"
    "group Y-witnesses any Y1 Y2 Y3 \n"
    "group X-and-Y all X-witnesses Y-witnesses\n"
    "quorum X-and-Y\n"
)


def keys(names: tuple[str, ...]) -> set[str]:
    return {KEYS[name] for name in names}


def test_the_example_of_the_text_wants_two_of_one_and_one_of_the_other() -> None:
    policy = parse_policy(EXAMPLE)
    for width in range(7):
        for names in combinations(KEYS, width):
            x = sum(name[0] == "X" for name in names)
            y = len(names) - x
            assert policy.satisfied(keys(names)) == (x >= 2 and y >= 1), names
    assert [log.url for log in policy.logs] == ["https://log.example/"]


def test_the_text_of_a_policy_reads_back_as_the_same() -> None:
    policy = parse_policy(EXAMPLE)
    again = parse_policy(policy.text())
    assert again.text() == policy.text()
    assert (again.witnesses, again.groups, again.quorum) == (
        policy.witnesses,
        policy.groups,
        policy.quorum,
    )


def test_a_key_that_is_not_in_the_policy_counts_for_nothing() -> None:
    policy = parse_policy(f"witness a {KEYS['X1']}\nquorum a\n")
    assert not policy.satisfied(keys(("X2", "Y1")))
    assert policy.satisfied(keys(("X1",)))
    assert parse_policy("quorum none\n").satisfied(set())
    assert TrustPolicy().satisfied(set())


def test_the_time_is_that_of_the_one_who_made_the_quorum() -> None:
    policy = parse_policy(EXAMPLE)

    def given_at(*times: tuple[str, int]) -> int | None:
        return policy.quorum_time(
            Cosignature(name=name, key=KEYS[name], kind=ED25519, time_s=time_s)
            for name, time_s in times
        )

    assert given_at(("X1", 10), ("X2", 30), ("Y1", 20), ("X3", 40)) == 30
    assert given_at(("X1", 50), ("X1", 10), ("X2", 30), ("Y1", 20)) == 30
    assert given_at(("X1", 10), ("X1", 11), ("Y1", 20)) is None
    assert parse_policy("quorum none\n").quorum_time(()) is None


REFUSED = {
    "": "does not end in a newline",
    "quorum none": "does not end in a newline",
    "\n": "no quorum",
    "quorum none\nquorum none\n": "line 2: policy has two quorum",
    "quorum a\n": "line 1: no line before",
    "quorum\n": "expected",
    "Quorum none\n": "expected",
    "quorum none # why\n": "expected",
    "quorum none\r\n": "control character",
    "quorum\u00a0none\n": "expected",
    f"log {KEYS['X1']}\nquorum none\n": "0x01",
    f"log {LOG}\nlog {LOG}\nquorum none\n": "line 2: another log",
    f"log {LOG} a b\nquorum none\n": "expected",
    f"witness a {LOG}\nquorum a\n": "0x04",
    f"witness none {KEYS['X1']}\nquorum none\n": "taken",
    f"witness a {KEYS['X1']}\nwitness a {KEYS['X2']}\nquorum a\n": "line 2: name 'a' is taken",
    f"witness a {KEYS['X1']}\nwitness b {KEYS['X1']}\nquorum a\n": "another witness",
    f"witness a {KEYS['X1']}\ngroup a any a\nquorum a\n": "taken",
    f"witness a {KEYS['X1']}\ngroup none any a\nquorum a\n": "taken",
    f"witness a {KEYS['X1']}\ngroup g any a a\nquorum g\n": "member of a group already",
    f"witness a {KEYS['X1']}\ngroup g any a\ngroup h any a\nquorum g\n": "already",
    f"witness a {KEYS['X1']}\ngroup g any none\nquorum g\n": "no line before",
    f"witness a {KEYS['X1']}\ngroup g any g\nquorum g\n": "no line before",
    f"group g any a\nwitness a {KEYS['X1']}\nquorum g\n": "line 1: no line before",
    f"witness a {KEYS['X1']}\ngroup g 0 a\nquorum g\n": "1 to 1",
    f"witness a {KEYS['X1']}\ngroup g 2 a\nquorum g\n": "1 to 1",
    f"witness a {KEYS['X1']}\ngroup g 01 a\nquorum g\n": "1 to 1",
    f"witness a {KEYS['X1']}\ngroup g +1 a\nquorum g\n": "1 to 1",
    f"witness a {KEYS['X1']}\ngroup g \u0661 a\nquorum g\n": "1 to 1",
    f"witness a {KEYS['X1']}\ngroup g any\nquorum g\n": "expected",
    "log x\nquorum none\n": "line 1",
    "#" * 600_000 + "\nquorum none\n": "longer",
}


@pytest.mark.parametrize("text", REFUSED, ids=range(len(REFUSED)))
def test_not_a_policy(text: str) -> None:
    with pytest.raises(NotAPolicy, match=REFUSED[text]):
        parse_policy(text)


def test_the_same_key_under_another_name_is_the_same_key() -> None:
    twin = CosignerSigner("twin", b"X1".ljust(32, b"."), ED25519).key.text()
    with pytest.raises(NotAPolicy, match="another witness"):
        parse_policy(f"witness a {KEYS['X1']}\nwitness b {twin}\nquorum a\n")


def test_names_are_opaque_and_may_be_any_script() -> None:
    witnesses = f"witness K {KEYS['X1']}\nwitness \u212a {KEYS['X2']}\n"
    text = f"{witnesses}group \x85 all K \u212a\nquorum \x85\n"
    policy = parse_policy(text)
    assert not policy.satisfied(keys(("X1",)))
    assert policy.satisfied(keys(("X1", "X2")))


def test_thirty_two_logs_witnesses_and_groups_are_supported() -> None:
    lines = []
    for number in range(32):
        seed = bytes([number]) * 32
        lines.append(f"log {SignerKey(f'l{number}', seed).verifier.text()}")
        lines.append(f"witness w{number} {CosignerSigner('w', seed, ML_DSA_44).key.text()}")
    for number in range(32):
        inner = f"g{number - 1} " if number else ""
        lines.append(f"group g{number} all {inner}w{number}")
    policy = parse_policy("\n".join([*lines, "quorum g31", ""]))
    assert policy.satisfied({w.key.text() for w in policy.witnesses.values()})


@given(st.text(alphabet=" \t\n#abgwq019\u00e9", max_size=60))
def test_any_text_is_read_or_refused(text: str) -> None:
    try:
        parse_policy(text)
    except NotAPolicy:
        return
