"""Operations on a whole installation: what is written down, refused, and told."""

from __future__ import annotations

import base64
import sqlite3
from collections.abc import Callable

import pytest
from house import HOUR_MS, LAMP, MOODY, SMALL_TEAM, AppHouse

from surefoot.core import facts as f
from surefoot.core.errors import Refused
from surefoot.engine.effects import draft
from surefoot.store.lease import Leases
from surefoot.trust.digest import digest_of

House = Callable[[str], AppHouse]


def code_of(ask: Callable[[], object]) -> str:
    with pytest.raises(Refused) as caught:
        ask()
    return caught.value.code


def given(text: str) -> str:
    return base64.b64encode(text.encode()).decode()


def test_a_small_team_approves_its_own_work_late_and_has_it_reviewed(house: House) -> None:
    home = house(SMALL_TEAM)
    home.set_up()
    home.release("1.0.0")
    assert home.carry(home.request("dev", release="1.0.0")) == "succeeded"
    number = home.request("production", release="1.0.0")
    assert home.carry(number) == "waiting"
    assert code_of(lambda: home.approve(number, "production", "ann")) == "policy.own-work.delay"

    home.clock.ahead_ms = HOUR_MS
    assert home.approve(number, "production", "ann")["missing"] == 0
    assert home.facts("ApprovalGiven")[-1]["self_approval"] is True
    assert home.carry(number) == "succeeded"

    assert code_of(lambda: home.call("deployment review", "ann", number=number)) == (
        "policy.own-work"
    )
    home.call("deployment review", "bob", number=number)
    assert home.facts("ReviewRecorded")[-1]["person"] == "bob"


def test_without_the_small_team_mode_the_author_never_approves(house: House) -> None:
    home = house(LAMP)
    home.set_up()
    home.release("1.0.0")
    assert home.carry(home.request("dev", release="1.0.0")) == "succeeded"
    number = home.request("production", release="1.0.0")
    home.clock.ahead_ms = 10_000 * HOUR_MS
    assert code_of(lambda: home.approve(number, "production", "ann")) == "policy.own-work"
    assert home.approve(number, "production", "bob")["missing"] == 1
    assert home.carry(number) == "waiting"


@pytest.mark.parametrize("remembered", [True, False], ids=["remembered", "forgotten"])
def test_a_build_that_depends_on_the_hour_is_refused_when_built_again(
    house: House, remembered: bool
) -> None:
    """Also when the record of the first build is lost: the release's own digest is enough."""
    home = house(MOODY)
    home.set_up()
    home.release("1.0.0")
    if not remembered:
        for record in (home.folder / "data" / "builds" / "record").iterdir():
            record.unlink()
    again = home.job("release rebuild", version="1.0.0")
    assert again["status"] == "failed"
    assert again["error"]["code"] == "build.not-reproducible"


def test_a_build_of_its_inputs_alone_is_the_same_again(house: House) -> None:
    home = house(LAMP)
    home.set_up()
    home.release("1.0.0")
    again = home.job("release rebuild", version="1.0.0")
    assert again["result"] == {"version": "1.0.0", "identical": 1}


def test_another_plan_than_the_one_looked_at_is_refused(house: House) -> None:
    home = house(LAMP)
    home.set_up()
    home.release("1.0.0")
    looked_at = home.call("deployment plan", "ann", environment="dev", release="1.0.0")["digest"]
    other = "sha256:" + "0" * 64
    asked = {"environment": "dev", "release": "1.0.0"}
    assert code_of(lambda: home.request(**asked, digest=other)) == "plan.parent.moved"
    assert home.request(**asked, digest=looked_at) == 1


def test_opening_a_secret_is_written_down_and_setting_one_needs_the_right(house: House) -> None:
    home = house(LAMP)
    home.set_up()
    home.enrol("eve")
    asked = {"name": "dev", "secret": "token", "value": given("hidden words")}
    assert code_of(lambda: home.call("secret set", "eve", **asked)) == "policy.permission.missing"
    assert home.facts("SecretSet") == []
    assert [fact["code"] for fact in home.facts("RequestRefused")] == ["policy.permission.missing"]
    assert home.call("secret set", "ann", **asked)["version"] == 1
    assert home.installation.secrets.open("dev", "token", 1) == b"hidden words"
    read = {"environment": "dev", "name": "token", "version": 1}
    assert home.facts("SecretRead") == [read]


def test_a_clone_gets_secrets_of_its_own(house: House) -> None:
    home = house(LAMP)
    home.set_up()
    home.call("secret set", "ann", name="dev", secret="token", value=given("hidden words"))
    home.release("1.0.0")
    assert home.carry(home.request("dev", release="1.0.0")) == "succeeded"
    backup = home.call("environment backup", "ann", name="dev")["deployment"]
    assert home.carry(backup) == "succeeded"
    for name in ("dev-copy", "dev-other"):
        home.call("environment clone", "ann", name="dev", to=name, data="none")
        (fresh,) = home.call("secret list", "ann", name=name)["secrets"]
        assert fresh == {"name": "token", "version": 1, "same_as": ""}
    assert home.installation.secrets.open("dev-copy", "token", 1) != b"hidden words"


@pytest.mark.parametrize(
    ("operation", "arguments"),
    [
        ("device enrol", {"name": "dev", "devices": [{"id": "one", "token": "t"}]}),
        ("definition accept", {"commit": "HEAD"}),
        ("release build", {"version": "1.0.0", "commit": "HEAD"}),
        ("person grant", {"person": "eve", "role": "approver"}),
    ],
)
def test_what_somebody_may_not_do_is_written_down(
    house: House, operation: str, arguments: dict[str, object]
) -> None:
    home = house(LAMP)
    home.set_up()
    home.enrol("eve")
    code = code_of(lambda: home.call(operation, "eve", **arguments))
    assert [fact["code"] for fact in home.facts("RequestRefused")] == [code]


def test_refusals_of_a_second_are_one_entry_and_the_rest_a_count(house: House) -> None:
    home = house(LAMP)
    home.set_up()

    def refused() -> None:
        asked = {"name": "dev", "freeze": "none"}
        assert code_of(lambda: home.call("freeze lift", "ann", **asked))

    for _ in range(3):
        refused()
    assert [fact.get("count", 1) for fact in home.facts("RequestRefused")] == [1]
    home.clock.ahead_ms += 2000
    refused()
    assert [fact.get("count", 1) for fact in home.facts("RequestRefused")] == [1, 3]


def test_the_leases_of_a_dead_process_end_when_the_folder_is_opened_again(house: House) -> None:
    home = house(LAMP)
    now_ms = home.clock.now_ms()
    leases = Leases(home.installation.database)
    assert leases.acquire("environment/dev", "dead", now_ms, HOUR_MS) is not None
    assert leases.acquire("environment/dev", "next", now_ms, HOUR_MS) is None
    home.close()
    home.open()
    leases = Leases(home.installation.database)
    assert leases.acquire("environment/dev", "next", now_ms, HOUR_MS) is not None


def test_a_journal_that_was_changed_by_hand_is_told_to_everybody(house: House) -> None:
    home = house(LAMP)
    home.set_up()
    assert "alarm" not in home.call("installation show", "ann")
    home.close()
    store = home.folder / "data" / "store" / "surefoot.db"
    with sqlite3.connect(store) as database:
        database.execute(
            "UPDATE entries SET raw ="
            " CAST(replace(CAST(raw AS TEXT), 'approver', 'appr0ver') AS BLOB)"
            " WHERE kind = 'RoleGranted'"
        )
    database.close()
    home.open()
    assert home.call("installation show", "ann")["alarm"]["code"].startswith("journal.")


def test_a_claim_without_a_result_is_shown_once_it_is_older_than_a_lease(house: House) -> None:
    home = house(LAMP)
    home.set_up()
    requested = f.DeploymentRequested(
        deployment=1,
        environment="dev",
        purpose="deploy",
        release=digest_of(b"r"),
        release_version="1.0.0",
        plan=digest_of(b"p"),
        steps=("a",),
        requester="ann",
        approvals_needed=1,
    )
    claimed = f.StepClaimed(deployment=1, environment="dev", step="a", worker="dead")
    log = home.installation.log
    log.transact(lambda w: [draft(requested), draft(claimed)], home.installation.runner, "test")
    assert home.call("journal orphans", "ann")["orphans"] == []
    home.clock.ahead_ms += 31_000
    (found,) = home.call("journal orphans", "ann")["orphans"]
    assert (found["step"], found["worker"], found["age_seconds"]) == ("a", "dead", 31)
    assert home.call("journal orphans", "ann", seconds=60)["orphans"] == []
    report = home.call("journal verify", "ann")["report"]
    assert (report["ok"], report["orphans"]) == (True, 1)
