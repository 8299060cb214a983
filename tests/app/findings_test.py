"""Reports taken, findings decided about, and what was known when."""

from __future__ import annotations

import base64
import json
import threading
import time
import zlib
from collections.abc import Callable
from typing import Any

import pytest
from house import LAMP, AppHouse

from surefoot.core.errors import Refused

House = Callable[[str], AppHouse]


@pytest.fixture
def home(house: House) -> AppHouse:
    found = house(LAMP)
    found.set_up()
    return found


def packed(*rules: str, ended: bool = True, path: str = "a.py") -> str:
    results = [
        {
            "ruleId": rule,
            "level": "error",
            "message": {"text": rule},
            "locations": [{"physicalLocation": {"artifactLocation": {"uri": path}}}],
        }
        for rule in rules
    ]
    run = {
        "tool": {"driver": {"name": "checker", "rules": [{"id": "x"}]}},
        "invocations": [{"executionSuccessful": ended}],
        "results": results,
    }
    content = json.dumps({"version": "2.1.0", "runs": [run]}).encode()
    return base64.b64encode(zlib.compress(content)).decode()


def take(home: AppHouse, report: str, **more: Any) -> Any:
    given = {"scope": "api-sast", "component": "api", "form": "sarif", **more}
    return home.call("finding import", "ann", report=report, **given)


def states(home: AppHouse, **asked: Any) -> dict[str, str]:
    rows = home.call("finding list", "ann", **asked)["findings"]
    return {row["rule"]: row["state"] for row in rows}


def code_of(ask: Callable[[], object]) -> str:
    with pytest.raises(Refused) as caught:
        ask()
    return caught.value.code


def test_reports_move_findings_and_the_same_again_changes_nothing(home: AppHouse) -> None:
    first = take(home, packed("r1", "r2"))
    assert first["counts"] == {"new": 2, "confirmed": 0, "fixed": 0, "regressed": 0}
    size = home.installation.log.size()
    assert take(home, packed("r1", "r2"))["known"] is True
    assert home.installation.log.size() == size
    take(home, packed("r2", ended=False))
    assert states(home) == {"r1": "new", "r2": "confirmed"}
    take(home, packed("r2", "r3"))
    assert states(home) == {"r1": "fixed", "r2": "confirmed", "r3": "new"}
    assert take(home, packed("r1", "r2"))["known"] is True, "an old report comes too late"
    assert states(home, state="open") == {"r2": "confirmed", "r3": "new"}
    assert home.call("journal verify", "ann")["report"]["ok"]


def test_what_was_known_then(home: AppHouse) -> None:
    take(home, packed("r1"))
    then = home.installation.log.entries(home.installation.log.size() - 2, 1)[0].time_ms
    time.sleep(0.05)
    take(home, packed("r2"))
    from surefoot.trust.entry import text_of_time

    assert states(home, at=text_of_time(then)) == {"r1": "new"}
    assert states(home) == {"r1": "fixed", "r2": "new"}


def test_an_acceptance_has_an_end_and_its_words_can_be_erased(home: AppHouse) -> None:
    take(home, packed("r1"))
    (row,) = home.call("finding list", "ann")["findings"]
    name = {"scope": "api-sast", "fingerprint": row["fingerprint"][:12]}
    assert row["blocks"]
    ask = lambda: home.call("finding accept", "ann", **name, days=365, control="a filter")  # noqa: E731
    assert code_of(ask) == "finding.acceptance.expiry"
    found = home.call("finding accept", "ann", **name, days=5, control="only Zora's filter")
    assert (found["accepted_by"], found["blocks"]) == ("ann", False)
    (fact,) = home.facts("FindingAccepted")
    assert "Zora" not in json.dumps(fact)
    assert home.call("finding list", "ann")["blocking"] == 0
    owned = home.call("finding assign", "ann", **name, owner="bob")
    assert (owned["owner"], owned["due_at"]) == ("bob", row["due_at"])
    ask = lambda: home.call("finding assign", "ann", **name, owner="nobody")  # noqa: E731
    assert code_of(ask) == "policy.person.unknown"


def test_a_report_that_cannot_tell_needs_somebody_s_word(home: AppHouse) -> None:
    take(home, packed("r1"))
    lost = packed("r2", ended=False)
    ask = lambda: take(home, lost, covered=True)  # noqa: E731
    assert code_of(ask) == "finding.cover.input"
    take(home, lost, covered=True, reason="the log of the run shows all of it")
    assert states(home) == {"r1": "fixed", "r2": "new"}
    assert home.facts("FindingsImported")[-1]["covered"] is True


@pytest.mark.parametrize(
    "report",
    [
        "not base64",
        base64.b64encode(b"not zlib").decode(),
        base64.b64encode(zlib.compress(b"{}" * 50_000_000)).decode(),
        packed("r1")[:-8] + "AAAA",
    ],
    ids=["letters", "no zlib", "a bomb", "cut"],
)
def test_a_bad_parcel_changes_nothing(home: AppHouse, report: str) -> None:
    size = home.installation.log.size()
    assert code_of(lambda: take(home, report)) == "finding.report.packed"
    assert not home.facts("FindingsImported")
    assert home.installation.log.size() >= size


def test_who_may_not_is_refused_and_a_scope_has_one_component(home: AppHouse) -> None:
    home.enrol("dora")
    given = {"scope": "s", "component": "api", "form": "sarif", "report": packed("r")}
    ask = lambda: home.call("finding import", "dora", **given)  # noqa: E731
    assert code_of(ask) == "policy.permission.missing"
    take(home, packed("r1"))
    assert code_of(lambda: take(home, packed("r2"), component="web")) == "finding.scope.component"


def test_reports_at_the_same_time_lose_nothing(home: AppHouse) -> None:
    failed: list[BaseException] = []

    def send(number: int) -> None:
        try:
            take(home, packed(f"r{number}", ended=False, path=f"{number}.py"))
        except BaseException as error:  # noqa: BLE001
            failed.append(error)

    threads = [threading.Thread(target=send, args=(n,)) for n in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert not failed
    assert states(home) == {f"r{n}": "new" for n in range(4)}


def test_exports(home: AppHouse) -> None:
    take(home, packed("r1"))
    for form in ("sarif", "junit", "vex", "csv"):
        assert home.call("finding export", "ann", scope="api-sast", form=form)["content"]
    ask = lambda: home.call("finding export", "ann", scope="api-sast", form="pdf")  # noqa: E731
    assert code_of(ask) == "finding.export.form"
