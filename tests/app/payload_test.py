"""What people write is shown by looking it up, and erased by somebody else."""

from __future__ import annotations

import base64
from collections.abc import Callable
from pathlib import Path

import pytest
from house import LAMP, AppHouse

from surefoot.app.deployments import APPROVAL_TYPE, approval_payload
from surefoot.compose.folder import log_key
from surefoot.core.errors import Refused
from surefoot.journal.tiles import export
from surefoot.trust import envelope
from surefoot.trust.payload import is_commitment, read_opening

House = Callable[[str], AppHouse]
WORDS = "Zacharias Quillfeather is ill this week"


@pytest.fixture
def home(house: House) -> AppHouse:
    found = house(LAMP)
    found.set_up()
    found.call(
        "freeze add",
        "bob",
        name="dev",
        freeze="ill",
        **{"from": "2020-01-01", "until": "2999-01-01"},
        reason=WORDS,
    )
    return found


def frozen(home: AppHouse) -> int:
    log = home.installation.log
    return next(e.index for e in log.entries(0, log.size()) if e.kind == "FreezeDeclared")


def code_of(ask: Callable[[], object]) -> str:
    with pytest.raises(Refused) as caught:
        ask()
    return caught.value.code


def files_with(folder: Path, text: str) -> list[str]:
    return [str(p) for p in folder.rglob("*") if p.is_file() and text.encode() in p.read_bytes()]


def test_the_leaf_has_a_commitment_and_the_answer_the_words(home: AppHouse) -> None:
    (entry,) = home.installation.log.entries(frozen(home), 1)
    assert is_commitment(entry.reason) and WORDS.encode() not in entry.raw
    answer = home.call("journal entry", "ann", index=entry.index)
    assert (answer["reason"], answer["erasable"]) == (WORDS, [entry.reason])


def test_somebody_else_erases_for_a_reason_and_everything_still_verifies(home: AppHouse) -> None:
    index = frozen(home)
    data = home.folder / "data"
    assert files_with(data, WORDS)
    for who, reason, code in (
        ("bob", "asked", "payload.erase.own"),
        ("ann", "", "payload.reason.input"),
    ):
        ask = lambda: home.call("journal erase", who, index=index, reason=reason)  # noqa: B023, E731
        assert code_of(ask) == code
    assert home.call("journal entry", "ann", index=index)["reason"] == WORDS
    erased = home.call("journal erase", "ann", index=index, reason="the person asked for it")
    assert home.facts("PayloadErased") == [{"commitment": erased["erased"][0]}]
    answer = home.call("journal entry", "ann", index=index)
    assert (answer["reason"], answer["erasable"]) == ("(erased)", erased["erased"])
    assert not files_with(data, WORDS)
    assert home.call("journal verify", "ann")["report"]["ok"]
    again = lambda: home.call("journal erase", "ann", index=index, reason="again")  # noqa: E731
    assert code_of(again) == "payload.erase.done"


def test_words_are_given_out_with_their_salt_until_they_are_erased(home: AppHouse) -> None:
    index = frozen(home)
    (entry,) = home.installation.log.entries(index, 1)
    (words,) = read_opening(home.call("journal words", "ann", index=index)["words"].encode())
    assert words.text == WORDS and words.opens(entry.reason)
    home.call("journal erase", "ann", index=index, reason="asked")
    ask = lambda: home.call("journal words", "ann", index=index)  # noqa: E731
    assert code_of(ask) == "payload.words.unknown"


def test_who_has_no_right_does_not_erase(home: AppHouse) -> None:
    home.keys["eve"] = home._key("eve")
    index = frozen(home)
    ask = lambda: home.call("journal erase", "eve", index=index, reason="why not")  # noqa: E731
    assert code_of(ask) == "policy.person.unknown"
    assert home.call("journal entry", "ann", index=index)["reason"] == WORDS


def test_what_somebody_typed_is_in_no_refusal(home: AppHouse) -> None:
    typed = "quillfeather-z"
    assert code_of(lambda: home.call("freeze lift", "bob", name="dev", freeze=typed))
    (fact,) = home.facts("RequestRefused")
    assert is_commitment(fact["subject"]) and is_commitment(fact["found"])
    log = home.installation.log
    (entry,) = [e for e in log.entries(0, log.size()) if e.kind == "RequestRefused"]
    assert typed.encode() not in entry.raw
    answer = home.call("journal entry", "ann", index=entry.index)
    assert typed in answer["body"]["subject"]
    home.call("journal erase", "ann", index=entry.index, reason="a name was typed")
    assert not files_with(home.folder / "data" / "store", typed)


def test_an_entry_without_words_has_nothing_to_erase(home: AppHouse) -> None:
    ask = lambda: home.call("journal erase", "ann", index=0, reason="r")  # noqa: E731
    assert code_of(ask) == "payload.erase.unknown"


@pytest.mark.parametrize("words", ["a\nb", "x" * 1001, "\x1b[2J"])
def test_words_are_one_line_within_a_bound(home: AppHouse, words: str) -> None:
    with pytest.raises(Exception, match="reason"):
        home.call("freeze lift", "bob", name="dev", freeze="ill", reason=words)


def test_a_comment_on_an_approval_is_beside_the_entry_too(house: House) -> None:
    home = house(LAMP)
    home.set_up()
    home.release("1.0.0")
    assert home.carry(home.request("dev", release="1.0.0")) == "succeeded"
    number = home.request("production", release="1.0.0")
    plan = home.call("deployment plan-bytes", "bob", number=number)["digest"]
    payload = approval_payload(number, "production", plan, "reject")
    sealed = envelope.seal(APPROVAL_TYPE, payload, [home.keys["bob"]])
    given = base64.b64encode(sealed).decode()
    home.call("deployment approve", "bob", number=number, envelope=given, reason=WORDS)
    log = home.installation.log
    (entry,) = [e for e in log.entries(0, log.size()) if e.kind == "ApprovalGiven"]
    assert is_commitment(entry.reason) and WORDS.encode() not in entry.raw
    assert home.call("journal entry", "ann", index=entry.index)["reason"] == WORDS


def test_erased_words_are_in_no_snapshot_log_proof_or_export(
    home: AppHouse, caplog: pytest.LogCaptureFixture, tmp_path: Path
) -> None:
    caplog.set_level(0)
    index, log, data = frozen(home), home.installation.log, home.folder / "data"
    said = f"{WORDS}, again"
    home.call("freeze lift", "bob", name="dev", freeze="ill", reason=said)
    lifted = next(e.index for e in log.entries(0, log.size()) if e.kind == "FreezeLifted")
    log.keep_snapshot()
    bundle = home.call("journal prove", "ann", name="dev")["bundle"]
    assert files_with(data, WORDS) and not files_with(data / "store" / "snapshot", WORDS)
    for each in (index, lifted):
        home.call("journal erase", "ann", index=each, reason="the person asked for it")
    log.keep_snapshot()
    export(home.installation.database, log_key(data, home.installation.settings), tmp_path / "out")
    assert not files_with(data, WORDS) and not files_with(tmp_path / "out", WORDS)
    assert WORDS not in bundle and WORDS not in caplog.text
    for who in ("ann", "bob"):
        for each in (index, lifted):
            assert WORDS not in str(home.call("journal entry", who, index=each))
