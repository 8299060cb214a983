"""Snapshots of advisories taken, refused and used: in releases, on hosts, and in lists."""

from __future__ import annotations

import base64
import json
import zlib
from collections.abc import Callable
from typing import Any

import pytest
from house import HOUR_MS, MOODY, AppHouse

from surefoot.core.errors import Refused
from surefoot.insight import advisories
from surefoot.testing.advisory_snapshot import MadeSnapshot, lines, record, snapshot
from surefoot.trust.entry import text_of_time
from surefoot.trust.keys import PrivateKey

House = Callable[[str], AppHouse]

SIGNER = PrivateKey(b"m" * 32)
STRANGER = PrivateKey(b"s" * 32)
RULES = f"""\
advisories:
  signers: ["{SIGNER.public.line("mirror")}"]
  age_hours_max: 24
"""
SHIPPED = (
    MOODY.replace("release: [provenance]", "release: [vulnerabilities]")
    .replace("manifest: manifest.json", "manifest: manifest.json\n      locks: [parts.lock]")
    .replace("surefoot: 1\n", "surefoot: 1\n" + RULES)
)
STATUS = (
    "Package: libssl3\nStatus: install ok installed\nSource: openssl\nVersion: 3.0.11-1\n\n"
    "Package: bash\nStatus: install ok installed\nVersion: 5.2-1\n"
)
SYSTEM = 'ID=debian\nVERSION_ID="12"\n'


def made(home: AppHouse, *more: Any, age_hours: int = 1, **given: Any) -> MadeSnapshot:
    """A snapshot with a record on demo and one on openssl, changed when it was made."""
    at = home.clock.now_ms() - age_hours * HOUR_MS
    when = text_of_time(at)
    records = [
        record("PYSEC-1", "PyPI/demo", "1.1", modified=when, aliases=["CVE-2026-1"]),
        record("DEBIAN-CVE-2026-2", "Debian:12/openssl", "3.0.12-1", modified=when),
        *more,
    ]
    found = lines(records, given.get("exploited", ()))
    return snapshot(found, given.get("signer", SIGNER), given.get("made_at_ms", at))


def b64(content: bytes) -> str:
    return base64.b64encode(content).decode()


def packed(text: str) -> str:
    return b64(zlib.compress(text.encode()))


def take(home: AppHouse, given: MadeSnapshot, who: str = "ann") -> Any:
    """As the command does it."""
    answer = home.call("advisories import", who, envelope=b64(given.sealed))
    for part in given.parts if answer["missing"] else ():
        answer = home.call("advisories import", who, envelope=b64(given.sealed), part=b64(part))
    return answer


def code_of(ask: Callable[[], object]) -> str:
    with pytest.raises(Refused) as caught:
        ask()
    return caught.value.code


@pytest.fixture
def home(house: House) -> AppHouse:
    found = house(SHIPPED)
    found.set_up()
    found.installation.gating.now_ms = found.clock.now_ms
    return found


def host(home: AppHouse, status: str = STATUS, **more: Any) -> Any:
    given = {"component": "gateway", "form": "dpkg", "content": packed(status), **more}
    return home.call("advisories host", "ann", **{"system": SYSTEM, **given})


def states(home: AppHouse, scope: str) -> dict[str, str]:
    rows = home.call("finding list", "ann", scope=scope)["findings"]
    return {row["rule"]: row["state"] for row in rows}


def test_a_snapshot_is_in_force_when_its_last_part_is_there(home: AppHouse) -> None:
    assert home.call("advisories show", "ann")["because"] == "none was imported"
    given = made(home)
    first = home.call("advisories import", "ann", envelope=b64(given.sealed))
    assert (first["in_force"], len(first["missing"])) == (False, len(given.parts))
    assert home.facts("AdvisoriesImported") == []
    assert take(home, given)["in_force"]
    body = home.facts("AdvisoriesImported")[0]
    assert (body["signer"], body["records"]) == (SIGNER.public.fingerprint, 2)
    shown = home.call("advisories show", "ann")
    assert shown["usable"] and shown["ecosystems"] == {"Debian:12": 1, "PyPI": 1}
    size = home.installation.log.size()
    assert take(home, given)["known"]
    assert home.installation.log.size() == size
    home.clock.ahead_ms = 48 * HOUR_MS
    assert "at most 24 h" in home.call("advisories show", "ann")["because"]
    assert home.call("journal verify", "ann")["report"]["ok"]


def test_what_was_in_force_then(home: AppHouse) -> None:
    first = take(home, made(home, age_hours=3))["snapshot"]
    log = home.installation.log
    then = text_of_time(log.entries(log.size() - 2, 1)[0].time_ms)
    home.clock.ahead_ms = 5_000
    second = take(home, made(home))["snapshot"]
    assert home.call("advisories show", "ann", at=then)["snapshot"] == first
    assert home.call("advisories show", "ann")["snapshot"] == second


def test_snapshots_that_are_refused(home: AppHouse) -> None:
    good = made(home, age_hours=2)
    stranger = made(home, signer=STRANGER)
    assert code_of(lambda: take(home, stranger)) == "advisories.snapshot.signature"
    take(home, good)
    older = made(home, age_hours=3)
    assert code_of(lambda: take(home, older)) == "advisories.snapshot.older"
    future = made(home, made_at_ms=home.clock.now_ms() + 2 * HOUR_MS)
    assert code_of(lambda: take(home, future)) == "advisories.snapshot.future"
    next_one = made(home)
    other = b64(stranger.parts[0][:-1])
    ask = {"envelope": b64(next_one.sealed), "part": other}
    assert code_of(lambda: home.call("advisories import", "ann", **ask)) == "advisories.part.input"
    ask["part"] = "!"
    assert code_of(lambda: home.call("advisories import", "ann", **ask)) == "advisories.part.input"
    home.enrol("carl")
    assert code_of(lambda: take(home, next_one, "carl")) == "policy.permission.missing"
    assert home.call("advisories show", "ann")["snapshot"] == good_digest(home)


def test_a_snapshot_that_lost_most_of_what_was_known_is_refused(home: AppHouse) -> None:
    """A source that was cut short would make known weaknesses unknown."""
    more = [record(f"GHSA-{n}", f"PyPI/p{n}", "1") for n in range(40)]
    take(home, made(home, *more, age_hours=3))
    take(home, made(home, *more[:20], age_hours=2))
    cut_short = made(home, *more[:5])
    assert code_of(lambda: take(home, cut_short)) == "advisories.snapshot.less"
    ask = {"envelope": b64(cut_short.sealed), "less": True}
    assert code_of(lambda: home.call("advisories import", "ann", **ask)) == "advisories.less.input"
    ask["reason"] = "we ship no Python any more"
    for part in cut_short.parts:
        answer = home.call("advisories import", "ann", part=b64(part), **ask)
    assert answer["in_force"] and home.facts("AdvisoriesImported")[-1]["records"] == 7


def good_digest(home: AppHouse) -> str:
    return str(home.facts("AdvisoriesImported")[-1]["snapshot"])


def test_nobody_is_believed_when_the_definition_names_nobody(house: House) -> None:
    home = house(MOODY)
    home.set_up()
    assert code_of(lambda: take(home, made(home))) == "advisories.signer.none"


def test_a_signer_that_is_no_longer_named_is_not_believed(home: AppHouse) -> None:
    other = STRANGER.public.line("new")
    home.commit(SHIPPED.replace(SIGNER.public.line("mirror"), other))
    home.call("definition accept", "bob", commit="HEAD")
    assert code_of(lambda: take(home, made(home))) == "advisories.snapshot.signature"
    assert take(home, made(home, signer=STRANGER))["in_force"]


def cut(home: AppHouse, version: str, *packages: str) -> Any:
    (home.product / "bulb" / "parts.lock").write_text("\n".join(packages) + "\n")
    home.commit(SHIPPED)
    return home.job("release build", version=version, commit="HEAD")


def test_an_old_dependency_stops_a_release_until_it_is_updated(home: AppHouse) -> None:
    answer = cut(home, "1.0.0", "demo==1.0")
    assert answer["error"]["code"] == "gate.vulnerabilities.inconclusive"
    take(home, made(home))
    answer = cut(home, "1.0.0", "demo==1.0")
    assert answer["error"]["code"] == "gate.vulnerabilities.fail"
    assert "demo 1.0: CVE-2026-1" in answer["error"]["found"]
    assert states(home, "packages.bulb") == {"CVE-2026-1": "new"}
    assert cut(home, "1.0.0", "demo==1.1")["status"] == "done"
    assert states(home, "packages.bulb") == {"CVE-2026-1": "fixed"}


def test_what_is_accepted_for_a_time_passes_that_long(home: AppHouse) -> None:
    take(home, made(home))
    cut(home, "1.0.0", "demo==1.0")
    row = home.call("finding list", "ann", scope="packages.bulb")["findings"][0]
    given = {"scope": "packages.bulb", "fingerprint": row["fingerprint"]}
    home.call("finding accept", "ann", days=3, control="the port is closed", **given)
    assert cut(home, "1.0.0", "demo==1.0")["status"] == "done"
    home.clock.ahead_ms = 4 * 24 * HOUR_MS
    take(home, made(home))
    assert cut(home, "1.0.1", "demo==1.0")["error"]["code"] == "gate.vulnerabilities.fail"
    home.clock.ahead_ms = 0


def test_an_advisory_that_is_given_a_number_later_stays_the_same(home: AppHouse) -> None:
    """Its due date and what was accepted stay, though its fingerprint would be another now."""
    first = record("GHSA-x", "PyPI/early", "1.1")
    take(home, made(home, first, age_hours=2))
    cut(home, "1.0.0", "early==1.0")
    row = home.call("finding list", "ann", scope="packages.bulb")["findings"][0]
    given = {"scope": "packages.bulb", "fingerprint": row["fingerprint"]}
    home.call("finding accept", "ann", days=3, control="the port is closed", **given)
    later = record("GHSA-x", "PyPI/early", "1.1", aliases=["CVE-2026-7"])
    take(home, made(home, later))
    assert cut(home, "1.0.0", "early==1.0")["status"] == "done", "accepted still"
    rows = home.call("finding list", "ann", scope="packages.bulb")["findings"]
    assert [(r["rule"], r["state"], r["due_at"]) for r in rows] == [
        ("CVE-2026-7", "confirmed", row["due_at"])
    ]
    assert rows[0]["fingerprint"] == row["fingerprint"]


def test_an_acceptance_ends_when_attackers_use_it(home: AppHouse) -> None:
    take(home, made(home, age_hours=2))
    cut(home, "1.0.0", "demo==1.0")
    row = home.call("finding list", "ann", scope="packages.bulb")["findings"][0]
    given = {"scope": "packages.bulb", "fingerprint": row["fingerprint"]}
    home.call("finding accept", "ann", days=3, control="the port is closed", **given)
    take(home, made(home, exploited=[("CVE-2026-1", 1)]))
    answer = cut(home, "1.0.0", "demo==1.0")
    assert answer["error"]["code"] == "gate.vulnerabilities.fail"


def test_a_release_is_judged_again_by_a_newer_snapshot(home: AppHouse) -> None:
    take(home, made(home, age_hours=2))
    cut(home, "1.0.0", "demo==1.1")
    home.release("1.0.0")
    newer = record("PYSEC-9", "PyPI/demo", "1.2", aliases=["CVE-2026-9"])
    take(home, made(home, newer))
    row = home.call("advisories check", "ann", version="1.0.0")["components"][0]
    assert (row["component"], row["conclusive"], row["counts"]["new"]) == ("bulb", True, 1)
    assert states(home, "packages.bulb") == {"CVE-2026-9": "new"}


def test_the_packages_of_a_host_become_findings(home: AppHouse) -> None:
    assert code_of(lambda: host(home)) == "advisories.snapshot.none"
    take(home, made(home))
    row = host(home)
    assert (row["packages"], row["judged"], row["conclusive"]) == (2, 2, True)
    assert states(home, "packages.gateway") == {"DEBIAN-CVE-2026-2": "new"}
    host(home, STATUS, system="ID=debian\n")
    assert states(home, "packages.gateway") == {"DEBIAN-CVE-2026-2": "new"}, "nothing was judged"
    row = host(home, STATUS.replace("3.0.11-1", "3.0.12-1"))
    assert row["counts"]["fixed"] == 1
    facts = home.facts("FindingsImported")
    report = json.loads(home.installation.app.blobs.get(facts[-1]["report"]))
    assert report["snapshot"] == good_digest(home)


def test_an_old_snapshot_fixes_nothing(home: AppHouse) -> None:
    take(home, made(home))
    host(home)
    home.clock.ahead_ms = 48 * HOUR_MS
    row = host(home, STATUS.replace("3.0.11-1", "3.0.12-1"))
    assert not row["conclusive"] and row["counts"]["fixed"] == 0
    assert states(home, "packages.gateway") == {"DEBIAN-CVE-2026-2": "new"}


@pytest.mark.parametrize(
    "given",
    [
        {"content": packed(STATUS[:-5])},
        {"content": packed("")},
        {"content": packed("{}"), "form": "sbom"},
        {"content": b64(b"x")},
        {"content": b64(zlib.compress(b"0" * (advisories.PART_UNPACKED_MAX * 3)))},
    ],
)
def test_a_list_that_is_not_whole_changes_nothing(home: AppHouse, given: Any) -> None:
    take(home, made(home))
    host(home)
    assert code_of(lambda: host(home, **given)) in (
        "advisories.list.input",
        "finding.report.packed",
    )
    assert states(home, "packages.gateway") == {"DEBIAN-CVE-2026-2": "new"}


def document(justification: str) -> str:
    return packed(
        json.dumps(
            {
                "bomFormat": "CycloneDX",
                "vulnerabilities": [
                    {
                        "id": "CVE-2026-1",
                        "analysis": {"state": "not_affected", "justification": justification},
                        "affects": [{"ref": "pkg:pypi/demo@1.0"}],
                    }
                ],
            }
        )
    )


def test_a_statement_with_its_reason_clears(home: AppHouse) -> None:
    take(home, made(home))
    assert cut(home, "1.0.0", "demo==1.0")["error"]["code"] == "gate.vulnerabilities.fail"
    bare = {"component": "bulb", "document": document("")}
    assert code_of(lambda: home.call("advisories vex", "ann", **bare)) == "advisories.vex.input"
    home.call("advisories vex", "ann", component="bulb", document=document("code_not_reachable"))
    assert cut(home, "1.0.0", "demo==1.0")["status"] == "done"
    row = home.call("finding list", "ann", scope="packages.bulb")["findings"][0]
    assert (row["cleared"], row["blocks"]) == ("code_not_reachable", False)
    out = home.call("finding export", "ann", scope="packages.bulb", form="vex")["content"]
    analysis = json.loads(out)["vulnerabilities"][0]["analysis"]
    assert analysis == {"state": "not_affected", "justification": "code_not_reachable"}
    assert cut(home, "1.0.1", "demo==1.0.1")["error"]["code"] == "gate.vulnerabilities.fail"
