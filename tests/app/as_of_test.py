"""Every question about a moment that has been is answered as it was answered then."""

from __future__ import annotations

import base64
import json
import time
import zlib
from collections.abc import Callable, Iterator
from typing import Any

import msgspec
import pytest
from house import LAMP, AppHouse

from surefoot.app.moment import shown
from surefoot.app.operation import OPERATIONS, Operation
from surefoot.core.errors import Refused
from surefoot.core.finding import Location, Seen
from surefoot.store.device import AttributesPut, Incoming
from surefoot.trust import device_proof, proof

House = Callable[[str], AppHouse]
WATCHED = LAMP.replace("  dev:\n", "  dev:\n    watch: {drift: 15}\n")

PLACES = ("dev", "production", "dev-copy", "moon")
FOUND = Seen(
    rule="r1",
    title="r1",
    severity="high",
    location=Location(kind="file", component="api", path="a.py", mark="1"),
).fingerprint()
GIVEN: dict[str, tuple[dict[str, Any], ...]] = {
    "deployment list": ({}, {"environment": "dev"}, {"limit": 1}, {"before": 3}),
    "deployment show": tuple({"number": n} for n in range(1, 7)),
    "device prove": tuple({"name": "dev", "id": device} for device in ("one", "nine")),
    "device show": tuple({"name": "dev", "id": device} for device in ("one", "two", "nine")),
    "environment diff": (
        {"left": "dev", "right": "production"},
        {"left": "dev", "right": "dev-copy"},
    ),
    "environment history": tuple({"name": n, "limit": k} for n in PLACES for k in (2, 50)),
    "finding list": ({}, {"scope": "sast"}, {"state": "open"}),
    "finding show": tuple({"scope": "sast", "fingerprint": name} for name in (FOUND, "0" * 64)),
    "finding export": tuple({"scope": "sast", "form": form} for form in ("csv", "sarif")),
    "journal show": ({}, {"limit": 3}, {"stream": "env/dev"}, {"kind": "RoleGranted"}),
    "release show": ({"version": "1.0.0"}, {"version": "1.1.0"}),
    "release list": ({}, {"after": "1.1.0"}),
    "watch list": ({}, {"environment": "dev"}),
    "who-can": tuple(
        {"permission": p} for p in ("deploy.dev", "approve.production", "deploy.dev-copy", "freeze")
    ),
}
# Not recorded, or about the answer itself: the clock, the log's size, addresses, the last poll.
WINDOW = {"from": "2020-01-01", "until": "2999-01-01"}
VOLATILE = {
    *("at", "journal_size", "addresses", "seen_at", "reported_at", "enrolled_at"),
    *("attributes", "bundle", "bytes"),
    # What the registry alone knows of a device, and the journal does not.
    *("consent", "strength", "standing", "profile", "profile_by", "firmware", "auto_confirm"),
    "held",
    "withheld",
}


def questions() -> list[Operation]:
    found = [o for o in OPERATIONS.values() if o.question and not o.timeless]
    return sorted(found, key=lambda o: o.name)


def given(operation: Operation) -> tuple[dict[str, Any], ...]:
    if operation.name in GIVEN:
        return GIVEN[operation.name]
    if "{name}" in operation.path:
        return tuple({"name": name} for name in PLACES)
    return ({},)


def test_every_question_takes_a_time_or_says_why_not() -> None:
    asked = {o.name for o in OPERATIONS.values() if o.question}
    takes = {n for n in asked if "at" in OPERATIONS[n].arguments.__struct_fields__}
    timeless = {n for n in asked if OPERATIONS[n].timeless}
    assert takes | timeless == asked
    assert not takes & timeless
    assert timeless == {
        *(
            "fleet blockers",
            "device codes",
            "deployment evidence",
            "deployment plan-bytes",
            "deployment report",
            "job show",
            "journal entry",
            "journal request",
            "journal wait",
        ),
        *("journal prove-entry", "journal words"),
        *("device issuers", "release never", "rollout list", "rollout show"),
    }
    assert [o.name for o in OPERATIONS.values() if o.timeless and not o.question] == []


def stable(value: Any) -> Any:
    if isinstance(value, dict):
        return {k: stable(v) for k, v in value.items() if k not in VOLATILE}
    if isinstance(value, str) and value.startswith("# Environment"):
        return "\n".join(line for line in value.split("\n") if not line.startswith("As of "))
    return [stable(v) for v in value] if isinstance(value, list) else value


def ask(home: AppHouse, operation: str, arguments: dict[str, Any]) -> Any:
    """The answer; a refusal as its code."""
    try:
        answer = home.call(operation, "bob", **arguments)
    except Refused as refused:
        return refused.code
    if operation == "device prove":
        found = device_proof.verify(answer["bundle"].encode(), lambda b: proof.verify(b, None))
        return stable({"report": found.report, "whole": found.whole}) if found.report else None
    if "bundle" in answer:
        # A later bundle has a later seal beside it; what it proves is the same.
        return stable(msgspec.to_builtins(proof.verify(answer["bundle"].encode(), None).state))
    return json.loads(json.dumps(stable(answer)))


def told(home: AppHouse, device: str, **values: str) -> None:
    put = AttributesPut(mode="merge", values=values)
    home.installation.registry.record([Incoming(environment="dev", device=device, told=put)])
    home.installation.seal_devices()


def scanned(home: AppHouse, *rules: str) -> None:
    """A report of a static analyser."""
    where = {"physicalLocation": {"artifactLocation": {"uri": "a.py"}}}
    results = [{"ruleId": rule, "level": "error", "locations": [where]} for rule in rules]
    driver = {"name": "checker", "rules": [{"id": "r1"}]}
    run = {"tool": {"driver": driver}, "invocations": [{"executionSuccessful": True}]}
    content = json.dumps({"version": "2.1.0", "runs": [{**run, "results": results}]}).encode()
    report = base64.b64encode(zlib.compress(content)).decode()
    given = {"scope": "sast", "component": "api", "form": "sarif"}
    home.call("finding import", "ann", report=report, **given)


def history(home: AppHouse) -> Iterator[None]:
    """Everything that can change, one thing at a time."""
    home.set_up()
    yield
    scanned(home, "r1")
    yield
    home.call("finding accept", "ann", scope="sast", fingerprint=FOUND, days=3, control="none")
    yield
    scanned(home, "r2")
    yield
    home.release("1.0.0")
    yield
    number = home.request("dev", release="1.0.0")
    yield
    assert home.carry(number) == "succeeded"
    yield
    assert home.installation.watcher.look("dev", "drift") is not None
    home.call("freeze add", "ann", name="dev", freeze="feast", **WINDOW)
    yield
    value = {"name": "dev", "secret": "token", "value": "aGlkZGVu"}
    home.call("secret set", "ann", **value)
    home.call("freeze lift", "ann", name="dev", freeze="feast")
    yield
    enrolled = [{"id": each, "token": each} for each in ("one", "two")]
    home.call("device enrol", "ann", name="dev", devices=enrolled)
    told(home, "one", version="1")
    home.call("device tag", "ann", name="dev", devices=["one", "two"], add=["pilot"])
    yield
    assert home.carry(home.call("environment backup", "ann", name="dev")["deployment"])
    home.call("environment clone", "ann", name="dev", to="dev-copy", data="none")
    yield
    home.request("production", release="1.0.0")
    yield
    home.call("deployment cancel", "ann", number=4)
    home.call("person revoke-role", "bob", person="ann", role="approver")
    home.commit(WATCHED.replace("count: 2", "count: 3"))
    home.call("definition accept", "bob", commit="HEAD")
    told(home, "two", version="2")
    home.call("device tag", "ann", name="dev", devices=["two"], add=["lab"], remove=["pilot"])
    home.enrol("eve")
    yield
    home.release("1.1.0")
    yield


@pytest.fixture
def home(house: House) -> AppHouse:
    return house(WATCHED)


def test_an_answer_about_a_moment_is_the_one_given_at_it(home: AppHouse) -> None:
    moments: list[tuple[str, dict[str, Any]]] = []
    for _ in history(home):
        now = shown(home.clock.now_ms())
        answers = {
            f"{o.name} {arguments}": ask(home, o.name, arguments)
            for o in questions()
            for arguments in given(o)
        }
        moments.append((now, answers))
        time.sleep(0.005)
    assert len(moments) == 14
    for at, answers in moments:
        for operation in questions():
            for arguments in given(operation):
                was = answers[f"{operation.name} {arguments}"]
                found = ask(home, operation.name, {**arguments, "at": at})
                if isinstance(was, str) and was.endswith(".unknown") and found != was:
                    assert is_absent(found), (operation.name, arguments, at)
                else:
                    assert found == was, (operation.name, arguments, at)


def is_absent(answer: Any) -> bool:
    """What was not there yet is an answer: it says so, or is empty but for names and numbers."""
    if answer is None:
        return True
    exists = answer.get("exists")
    if exists is False or (isinstance(exists, dict) and not all(exists.values())):
        return True
    texts = {name: value for name, value in answer.items() if isinstance(value, str)}
    lists = {name: value for name, value in answer.items() if isinstance(value, list | dict)}
    return "did not exist then" in texts.get("markdown", "") or not any(lists.values())


def test_before_the_beginning_there_was_nothing(home: AppHouse) -> None:
    home.set_up()
    for operation in questions():
        for arguments in given(operation):
            found = ask(home, operation.name, {**arguments, "at": "2001-01-01T00:00Z"})
            nothing = found == "policy.permission.unknown" or is_absent(found)
            assert nothing or operation.name == "definition show", (operation.name, found)


def test_two_moments_differ_by_firmware_shares_too(home: AppHouse) -> None:
    home.set_up()
    home.call("device enrol", "ann", name="dev", devices=[{"id": "one", "token": "one"}])
    told(home, "one", version="1")
    before = shown(home.clock.now_ms())
    time.sleep(0.005)
    told(home, "one", version="2")
    asked = {"left": f"dev@{before}", "right": "dev"}
    rows = home.call("environment diff", "bob", **asked)["differences"]
    assert {row["path"]: (row["left"], row["right"]) for row in rows} == {
        "firmware/1": ("1 of 1 devices", "absent"),
        "firmware/2": ("absent", "1 of 1 devices"),
    }
    then = home.call("environment show", "bob", name="dev", at=before)
    assert then["firmware_shares"] == {"1": 1}


def test_nothing_is_told_about_the_future(home: AppHouse) -> None:
    home.set_up()
    for operation in questions():
        for arguments in given(operation):
            found = ask(home, operation.name, {**arguments, "at": "2999-01-01T00:00Z"})
            assert found in ("time.future.input", "proof.time.input"), (operation.name, found)
