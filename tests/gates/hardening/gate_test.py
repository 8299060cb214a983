"""The gate `hardening`: what it could not see is never a pass, and exceptions end."""

from __future__ import annotations

import os
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from roots import BAD, FOLDER, GOOD, KEY, write_folder, write_tar

from surefoot.core.gate import Evidence, judge
from surefoot.core.target import Plain
from surefoot.gates.hardening.evaluate import Evaluation
from surefoot.gates.hardening.folder import FolderLook, HostLook
from surefoot.gates.hardening.gate import HardeningGate
from surefoot.gates.hardening.rule import standard
from surefoot.store.blobs import FileBlobs
from surefoot.testing.gate_conformance import GateConformance
from surefoot.trust.digest import Digest, digest_of

SUBJECT = digest_of(b"a release")
NOW = 1_700_000_000_000
DAY = 86_400_000


@pytest.fixture
def blobs(tmp_path: Path) -> FileBlobs:
    return FileBlobs(tmp_path / "blobs")


@pytest.fixture
def gate(blobs: FileBlobs) -> HardeningGate:
    return HardeningGate(blobs, lambda: NOW)


def artifact(blobs: FileBlobs, tmp_path: Path, files: dict[str, Any]) -> Digest:
    return blobs.put(write_tar(tmp_path / "artifact.tar", files).read_bytes())


def of(*rows: tuple[str, Digest], **more: Any) -> Plain:
    return {"components": [{"name": n, "artifact": d} for n, d in rows], **more}


def verdict(evidence: Evidence) -> str:
    return judge(evidence, SUBJECT).verdict


SERVICE = {"/app/main.py": "print()\n", "/app/static": (FOLDER, 0o755)}


class Case:
    subject = SUBJECT

    def __init__(self, gate: HardeningGate, good: Plain, bad: Plain) -> None:
        self.gate = gate
        self.good = good
        self.bad = bad
        self.malformed: Plain = {"root": "/", "components": [{"name": "api"}]}

    def open_good(self) -> HardeningGate:
        return self.gate

    def open_bad(self) -> HardeningGate:
        return self.gate


class TestHardening(GateConformance):
    @pytest.fixture
    def case(self, gate: HardeningGate, blobs: FileBlobs, tmp_path: Path) -> Case:
        good = artifact(blobs, tmp_path, SERVICE)
        bad = artifact(blobs, tmp_path, SERVICE | {"/app/tls.key": (KEY, 0o644)})
        return Case(gate, of(("api", good)), of(("api", bad)))


def test_a_finding_says_file_expected_found_and_fix(
    gate: HardeningGate, blobs: FileBlobs, tmp_path: Path
) -> None:
    leaked = artifact(blobs, tmp_path, SERVICE | {"/app/conf/site": (KEY, 0o644)})
    evidence = gate.run(SUBJECT, of(("api", leaked)))
    (finding,) = evidence.findings
    assert finding.rule == "file-private-key" and finding.severity == "critical"
    assert finding.place == "/app/conf/site"
    assert finding.title == (
        "api: No private key is readable by everybody; expected a private key that only its "
        "owner and group read, found mode 0644"
    )
    assert "chmod 0600" in finding.remedy
    assert verdict(evidence) == "fail"
    assert "AAAA" not in str(evidence)


@pytest.mark.parametrize("content", [b"", b"firmware\0image", b"\x1f\x8b\x08cut"])
def test_an_artifact_that_is_no_tree_is_inconclusive(
    content: bytes, gate: HardeningGate, blobs: FileBlobs, tmp_path: Path
) -> None:
    good = artifact(blobs, tmp_path, SERVICE)
    evidence = gate.run(SUBJECT, of(("api", good), ("firmware", blobs.put(content))))
    assert verdict(evidence) == "inconclusive"
    assert evidence.coverage["firmware"]["percent"] == 0  # type: ignore[call-overload,index]


def test_an_empty_tree_is_inconclusive(
    gate: HardeningGate, blobs: FileBlobs, tmp_path: Path
) -> None:
    (tmp_path / "empty").mkdir()
    for asked in (
        of(("api", artifact(blobs, tmp_path, {}))),
        {"root": str(tmp_path / "empty")},
        {"root": str(tmp_path / "nowhere")},
    ):
        assert verdict(gate.run(SUBJECT, asked)) == "inconclusive"


def test_a_missing_artifact_is_an_error(gate: HardeningGate) -> None:
    assert verdict(gate.run(SUBJECT, of(("api", digest_of(b"gone"))))) == "error"


@pytest.mark.parametrize(
    "asked",
    [
        {},
        {"root": "/x", "groups": ["nothing"]},
        {"root": "/x", "evaluated_percent_min": 0},
        {"root": "/x", "except": [{"rule": "no-rule", "reason": "a", "until": 1}]},
        {"root": "/x", "except": [{"rule": "ssh-passwords", "reason": "a"}]},
    ],
)
def test_bad_arguments_are_an_error(asked: Plain, gate: HardeningGate) -> None:
    evidence = gate.run(SUBJECT, asked)
    assert evidence.trouble.startswith("bad arguments")
    assert verdict(evidence) == "error"


def test_rules_that_are_not_evaluated_count(
    gate: HardeningGate, blobs: FileBlobs, tmp_path: Path
) -> None:
    """Unreadable configurations of SSH: 11 rules are not evaluated, and that is too many of 11."""
    broken = GOOD | {"/etc/ssh/sshd_config": "PermitRootLogin\n"}
    digest = artifact(blobs, tmp_path, broken)
    asked = {"groups": ["ssh"]}
    evidence = gate.run(SUBJECT, of(("host", digest), **asked))
    assert verdict(evidence) == "inconclusive"
    whole = gate.run(SUBJECT, of(("host", digest), groups=["files", "accounts"]))
    assert verdict(whole) == "pass", whole


def test_a_group_asked_for_by_name_must_be_there(
    gate: HardeningGate, blobs: FileBlobs, tmp_path: Path
) -> None:
    digest = artifact(blobs, tmp_path, SERVICE)
    evidence = gate.run(SUBJECT, of(("api", digest), groups=["files", "nginx"]))
    assert evidence.coverage["api"]["groups_without_a_rule_evaluated"] == ["nginx"]  # type: ignore[call-overload,index]
    assert verdict(evidence) == "inconclusive"


def test_the_share_that_is_asked_for_decides(
    gate: HardeningGate, blobs: FileBlobs, tmp_path: Path
) -> None:
    """Of a root file system all but the sockets are evaluated."""
    digest = artifact(blobs, tmp_path, GOOD)
    verdicts = [
        verdict(gate.run(SUBJECT, of(("host", digest), evaluated_percent_min=percent)))
        for percent in (90, 100)
    ]
    assert verdicts == ["pass", "inconclusive"]


@pytest.mark.parametrize(
    ("until", "place", "expected"),
    [
        (NOW + DAY, "*", "pass"),
        (NOW + DAY, "/opt/app/*", "pass"),
        (NOW + DAY, "/srv/*", "fail"),
        (NOW, "*", "fail"),
        (NOW - DAY, "*", "fail"),
    ],
)
def test_an_exception_holds_until_its_end(
    until: int, place: str, expected: str, gate: HardeningGate, blobs: FileBlobs, tmp_path: Path
) -> None:
    digest = artifact(blobs, tmp_path, GOOD | BAD["file-private-key"])
    exception = {
        "rule": "file-private-key",
        "place": place,
        "reason": "a test key",
        "until": until,
    }
    evidence = gate.run(SUBJECT, of(("host", digest), **{"except": [exception]}))
    assert verdict(evidence) == expected
    assert ("accepted: a test key" in evidence.findings[0].title) is (expected == "pass")


def test_fingerprints_outlive_lines_and_runs(
    gate: HardeningGate, blobs: FileBlobs, tmp_path: Path
) -> None:
    bad = GOOD | BAD["ssh-root-login"]
    later = bad | {"/etc/ssh/sshd_config.d/00-bad.conf": "# moved\n\nPermitRootLogin yes\n"}
    found = [
        gate.run(SUBJECT, of(("host", artifact(blobs, tmp_path, files)))).findings[0]
        for files in (bad, later)
    ]
    assert found[0].fingerprint == found[1].fingerprint
    assert found[0].place != found[1].place


def test_a_root_in_a_folder(gate: HardeningGate, tmp_path: Path) -> None:
    root = write_folder(tmp_path / "root", GOOD | BAD["kernel-cookies"])
    evidence = gate.run(SUBJECT, {"root": str(root), "role": "gateway", "groups": ["kernel"]})
    assert [f.rule for f in evidence.findings] == ["kernel-cookies"]
    assert evidence.findings[0].title.startswith("gateway: ")


@pytest.mark.parametrize(
    ("form", "path", "groups"),
    [
        ("nginx", "/etc/nginx/nginx.conf", {"nginx"}),
        ("postgres", "/etc/postgresql", {"postgres"}),
        ("mosquitto", "/etc/mosquitto/mosquitto.conf", {"mqtt"}),
        ("accounts", "/etc/passwd", {"accounts"}),
    ],
)
def test_configurations_as_installed_are_understood(
    form: str, path: str, groups: set[str], require_tool: Callable[[str], str]
) -> None:
    if form in ("nginx", "mosquitto"):
        require_tool(form)
    if not Path(path).exists():
        pytest.skip(f"{form} has no configuration of the package here")
    rules = tuple(rule for rule in standard() if rule.group in groups)
    rows = Evaluation(HostLook(), rules).rows()
    readable = os.geteuid() == 0
    not_parsed = [row for row in rows if row.state == "unseen" and "parsed" in row.why]
    assert not_parsed == []
    assert not readable or all(row.state != "unseen" for row in rows), rows


def test_postgres_as_the_package_samples_it(tmp_path: Path) -> None:
    """The server's own commented sample, as `initdb` would leave it."""
    samples = sorted(Path("/usr/share/postgresql").glob("*/postgresql.conf.sample"))
    if not samples:
        pytest.skip("PostgreSQL's samples are not installed here")
    cluster = tmp_path / "root" / "etc" / "postgresql" / "15" / "main"
    cluster.mkdir(parents=True)
    shutil.copy(samples[-1], cluster / "postgresql.conf")
    rules = tuple(rule for rule in standard() if getattr(rule.check, "form", "") == "postgres")
    rows = Evaluation(FolderLook(tmp_path / "root"), rules).rows()
    assert {row.state for row in rows} == {"good"}
