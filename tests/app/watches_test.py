"""Gates that look again and again at a real installation: results, alarms, a look out of turn."""

from __future__ import annotations

import sqlite3
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import msgspec
import pytest
from house import LAMP, AppHouse
from kernel_values import GOOD

from surefoot.core.errors import Refused
from surefoot.core.gate import Evidence
from surefoot.product import parse_definition
from surefoot.trust.digest import Digest

House = Callable[[str], AppHouse]
ENGINE = "{main: {engine: sqlite}}}\n"
WATCHED = LAMP.replace(
    "  dev:\n    targets:", "  dev:\n    watch: {drift: 15}\n    targets:"
).replace("  approver: [approve]", "  approver: [approve]\n  operator: [environment.manage]")


@pytest.fixture
def home(house: House) -> Iterator[AppHouse]:
    """The product runs in dev, which is watched for drift."""
    made = house(WATCHED)
    made.set_up()
    made.call("person grant", "ann", person="bob", role="operator")
    made.installation.watcher._clock = made.clock
    made.release("1.0.0")
    assert made.carry(made.request("dev", release="1.0.0")) == "succeeded"
    yield made


def looked(home: AppHouse) -> dict[str, Any]:
    """Let the watcher make what is due, and wait for it."""
    watcher = home.installation.watcher
    watcher.run()
    thread = watcher._thread
    if thread is not None:
        thread.join(60)
    return rows(home)[0]


def rows(home: AppHouse, **arguments: Any) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = home.call("watch list", "ann", **arguments)["watches"]
    return found


def spoil(home: AppHouse) -> None:
    target = home.installation.targets("dev")["database:main"]
    with sqlite3.connect(target.address().removeprefix("sqlite:///")) as connection:  # type: ignore[attr-defined]
        connection.execute("ALTER TABLE lamp ADD COLUMN sneaked TEXT")


def test_what_is_due_is_looked_at_once_and_written_down(home: AppHouse) -> None:
    assert (rows(home)[0]["verdict"], rows(home)[0]["alarm"]) == ("", False)
    first = looked(home)
    assert (first["verdict"], first["runs"], first["alarm"]) == ("pass", 1, False), first
    assert first["release_version"] == "1.0.0"
    assert looked(home)["runs"] == 1, "not due again yet"
    home.clock.ahead_ms += 15 * 60_000
    assert looked(home)["runs"] == 2
    kept = home.installation.blobs.get(first["evidence"])
    assert msgspec.json.decode(kept, type=Evidence).gate == "drift"


def test_a_change_by_hand_is_an_alarm_until_it_is_gone(home: AppHouse) -> None:
    before = looked(home)
    spoil(home)
    home.clock.ahead_ms += 15 * 60_000
    found = looked(home)
    assert found["verdict"] == "fail" and found["alarm"]
    assert "database:main/schema" in found["reason"]
    alarms = home.facts("AlarmRaised")
    assert alarms == [{"code": "watch.fail", "subject": "drift in dev"}]
    then = rows(home, at=before["checked_at"], environment="dev")
    assert then[0]["verdict"] == "pass", "as it was known then"
    home.clock.ahead_ms += 31 * 60_000
    assert rows(home)[0]["overdue"]


def test_a_look_that_cannot_be_made_is_an_error_and_no_pass(
    home: AppHouse, monkeypatch: pytest.MonkeyPatch
) -> None:
    def broken(environment: str, release: str) -> Evidence:
        raise Refused("x.y", "the look", expected="an answer", found="none", remedy="none")

    monkeypatch.setitem(home.installation.watcher._looks, "drift", broken)  # type: ignore[arg-type]
    found = looked(home)
    assert found["verdict"] == "error" and found["alarm"]


@pytest.mark.parametrize("trouble", ["mistake", "no text"])
def test_a_gate_that_breaks_is_an_error_and_stops_no_other_look(
    house: House, monkeypatch: pytest.MonkeyPatch, trouble: str
) -> None:
    home = house(WATCHED.replace("{drift: 15}", "{drift: 15, provenance: 15}"))
    home.set_up()
    watcher = home.installation.watcher
    watcher._clock = home.clock
    home.release("1.0.0")
    assert home.carry(home.request("dev", release="1.0.0")) == "succeeded"
    looks = watcher._looks
    good = looks["drift"]

    def broken(environment: str, release: Digest) -> Evidence:
        if trouble == "mistake":
            raise RuntimeError("a mistake")
        return msgspec.structs.replace(good(environment, release), gap="\udcff")

    monkeypatch.setitem(looks, "drift", broken)  # type: ignore[arg-type]
    looked(home)
    found = {r["gate"]: r["verdict"] for r in rows(home)}
    assert found == {"drift": "error", "provenance": "pass"}


def test_a_look_whose_result_cannot_be_kept_is_not_made_again_at_once(
    home: AppHouse, monkeypatch: pytest.MonkeyPatch
) -> None:
    made = []

    def full(content: bytes) -> Digest:
        made.append(content)
        raise Refused("x.y", "the disk", expected="room", found="none", remedy="none")

    with monkeypatch.context() as patch:
        patch.setattr(home.installation.watcher._blobs, "put", full)
        for _ in range(3):
            looked(home)
        assert len(made) == 1
        home.clock.ahead_ms += 60_000
        looked(home)
        assert len(made) == 2
    home.clock.ahead_ms += 60_000
    assert looked(home)["verdict"] == "pass"


def test_a_look_out_of_turn_needs_the_right_and_a_gate_that_watches(home: AppHouse) -> None:
    assert home.call("watch run", "bob", name="dev", gate="drift")["watches"][0]["runs"] == 1
    with pytest.raises(Refused, match=r"watch\.unknown"):
        home.call("watch run", "bob", name="dev", gate="smoke")
    home.enrol("carl")
    with pytest.raises(Refused, match=r"policy\."):
        home.call("watch run", "carl", name="dev", gate="drift")


def test_other_gates_look_again_at_what_runs(house: House, tmp_path: Path) -> None:
    root = tmp_path / "host"
    (root / "etc" / "sysctl.d").mkdir(parents=True)
    (root / "etc" / "passwd").write_text("root:x:0:0::/:/bin/sh\n")
    site = root / "etc" / "sysctl.d" / "99-site.conf"
    site.write_text(GOOD)
    asked = f"{{root: {root}, groups: [kernel], evaluated_percent_min: 100}}"
    text = LAMP.replace("pipeline:\n", "pipeline:\n  deploy: [hardening]\n")
    text = text.replace("{main: {engine: sqlite}}}\n", f"{ENGINE}    hardening: {asked}\n")
    home = house(text.replace("  dev:\n", "  dev:\n    watch: {hardening: 60, provenance: 60}\n"))
    home.set_up()
    home.installation.watcher._clock = home.clock
    home.release("1.0.0")
    assert home.carry(home.request("dev", release="1.0.0")) == "succeeded"
    looked(home)
    assert {r["gate"]: r["verdict"] for r in rows(home)} == {
        "hardening": "pass",
        "provenance": "pass",
    }
    site.write_text(GOOD.replace("kptr_restrict = 2", "kptr_restrict = 0"))
    artifact = home.installation.app.manifest(
        home.installation.log.read(lambda w: w.environments["dev"].release)
    ).components[0]
    kept = home.installation.blobs.path(artifact.artifact)
    kept.chmod(0o644)
    kept.write_bytes(b"other bits")
    home.clock.ahead_ms += 60 * 60_000
    looked(home)
    found = {r["gate"]: r for r in rows(home)}
    assert found["hardening"]["verdict"] == "fail" and "kernel" in found["hardening"]["reason"]
    assert found["provenance"]["verdict"] == "error"


@pytest.mark.parametrize(
    ("watch", "said"),
    [
        ("{drifts: 15}", "one of drift"),
        ("{smoke: 15}", "smoke checks under pipeline.smoke"),
        ("{vulnerabilities: 15}", "the key advisories"),
        ("{hardening: 15}", "the key hardening in this environment"),
        ("{transport: 15}", "the key transport in this environment"),
        ("{drift: 0}", "from 1 to 44640"),
        ("{load: 15}", "one of drift"),
    ],
)
def test_mistakes_are_named(watch: str, said: str) -> None:
    with pytest.raises(Refused) as refused:
        parse_definition(WATCHED.replace("{drift: 15}", watch).encode())
    assert said in str(refused.value)
