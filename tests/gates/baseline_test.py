"""The gate `baseline`: new against what was approved fails, and nothing secret is written down."""

from __future__ import annotations

import io
import json
import tarfile
from pathlib import Path
from typing import Any

import pytest

from surefoot.core.gate import Evidence, judge
from surefoot.core.target import Plain
from surefoot.gates.baseline.gate import BaselineGate, difference
from surefoot.gates.baseline.snapshot import Snapshot, decode, of_artifacts, of_host
from surefoot.gates.hardening.archive import ArchiveLook
from surefoot.gates.hardening.folder import FolderLook
from surefoot.store.blobs import FileBlobs
from surefoot.testing.gate_conformance import GateConformance
from surefoot.trust.digest import Digest, digest_of

SUBJECT = digest_of(b"a release")
NOW = 1_700_000_000_000
SECRET = "hunter2-and-more"
FILES = {
    "etc/passwd": "root:x:0:0::/:/bin/sh\n",
    "etc/shadow": "root:$y$j9T$salt$" + SECRET + ":1::::::\n",
    "etc/group": "root:x:0:\n",
    "etc/ssh/sshd_config": "PermitRootLogin no\nMaxAuthTries 3\n",
    "etc/sudoers": "root ALL=(ALL) ALL\nann ALL=(root) /bin/a\nann ALL=(root) /bin/b\n",
    "etc/nginx/nginx.conf": "http { server { listen 443 ssl; set $x " + SECRET + ";"
    " proxy_set_header Authorization " + SECRET + "; server_tokens off; } }\n",
    "etc/systemd/system/api.service": "[Service]\nEnvironment=PIN=" + SECRET + "\n"
    "ExecStart=/opt/api --key " + SECRET + "\n",
    "etc/postgresql/15/main/postgresql.conf": "primary_conninfo = 'password=" + SECRET + "'\n",
    "etc/postgresql/15/main/pg_hba.conf": "local all all peer\n",
    "var/lib/dpkg/status": "Package: nginx\nStatus: install ok installed\nArchitecture: all\n"
    "Version: 1\n\nPackage: gone\nStatus: deinstall ok config-files\n",
    "opt/api": "x",
}


@pytest.fixture
def root(tmp_path: Path) -> Path:
    root = tmp_path / "root"
    for name, content in FILES.items():
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        (root / name).write_text(content)
    return root


@pytest.fixture
def blobs(tmp_path: Path) -> FileBlobs:
    return FileBlobs(tmp_path / "blobs")


def collected(root: Path, **declared: str) -> Snapshot:
    return of_host(FolderLook(root), ("/opt/*",), declared)


def tar(tmp_path: Path, *members: tuple[str, int, bytes]) -> Path:
    path = tmp_path / "api.tar"
    with tarfile.open(path, "w") as archive:
        for name, mode, content in members:
            entry = tarfile.TarInfo(name)
            entry.mode, entry.size = mode, len(content)
            archive.addfile(entry, io.BytesIO(content))
    return path


def run(blobs: FileBlobs, approved: Snapshot, root: Path, **more: Any) -> Evidence:
    asked: Plain = {
        "baseline": blobs.put(approved.encode()),
        "root": str(root),
        "files": ["/opt/*"],
    }
    return BaselineGate(blobs, lambda: NOW).run(SUBJECT, asked | more)


def verdict(evidence: Evidence) -> str:
    return judge(evidence, SUBJECT).verdict


class Case:
    subject = SUBJECT

    def __init__(self, blobs: FileBlobs, root: Path) -> None:
        self._blobs = blobs
        self.good: Plain = {
            "baseline": blobs.put(collected(root).encode()),
            "root": str(root),
            "files": ["/opt/*"],
        }
        self.bad = self.good | {"declared": {"setting: debug": "yes"}}
        self.malformed: Plain = {"baseline": 1}

    def open_good(self) -> BaselineGate:
        return BaselineGate(self._blobs, lambda: NOW)

    def open_bad(self) -> BaselineGate:
        return self.open_good()


class TestBaseline(GateConformance):
    @pytest.fixture
    def case(self, blobs: FileBlobs, root: Path) -> Case:
        return Case(blobs, root)


def test_no_secret_is_written_down(root: Path) -> None:
    content = collected(root).encode().decode()
    assert SECRET not in content
    assert '"package: nginx"' in content and "package: gone" not in content
    assert decode(content.encode()) == collected(root)


CHANGES: dict[str, tuple[str, str, str, str]] = {
    "an account": ("etc/passwd", FILES["etc/passwd"] + "eve:x:5:5::/:/bin/sh\n", "new", "high"),
    "a grant": ("etc/sudoers", FILES["etc/sudoers"] + "ann ALL=(root) ALL\n", "changed", "high"),
    "a setting": (
        "etc/ssh/sshd_config",
        "PermitRootLogin yes\nMaxAuthTries 3\n",
        "changed",
        "medium",
    ),
    "a setting is gone": ("etc/ssh/sshd_config", "PermitRootLogin no\n", "gone", "medium"),
    "a file": ("opt/api", "other", "changed", "medium"),
    "another file": ("opt/more", "x", "new", "medium"),
    "a package": (
        "var/lib/dpkg/status",
        FILES["var/lib/dpkg/status"] + "\nPackage: nc\nStatus: install ok installed\n",
        "new",
        "medium",
    ),
    "a kernel value": ("etc/sysctl.d/a.conf", "kernel.kptr_restrict = 0\n", "new", "medium"),
}


@pytest.mark.parametrize("what", CHANGES)
def test_what_changed_is_found(what: str, blobs: FileBlobs, root: Path) -> None:
    approved = collected(root)
    assert verdict(run(blobs, approved, root)) == "pass"
    name, content, rule, severity = CHANGES[what]
    (root / name).parent.mkdir(parents=True, exist_ok=True)
    (root / name).write_text(content)
    evidence = run(blobs, approved, root)
    rows = [(f.rule, f.severity) for f in evidence.findings]
    assert rows == [(f"baseline-{rule}", severity)]
    assert verdict(evidence) == "fail"
    assert evidence.raw is not None
    assert verdict(run(blobs, decode(blobs.get(evidence.raw)), root)) == "pass"


def test_a_patch_is_nothing_new_and_less_is_told(blobs: FileBlobs, root: Path) -> None:
    approved = collected(root)
    status = root / "var/lib/dpkg/status"
    status.write_text(FILES["var/lib/dpkg/status"].replace("Version: 1", "Version: 2"))
    assert run(blobs, approved, root).findings == ()
    status.write_text("")
    evidence = run(blobs, approved, root)
    assert [(f.rule, f.severity) for f in evidence.findings] == [("baseline-less", "info")]
    assert verdict(evidence) == "pass"


def test_what_was_seen_and_is_not_now_is_inconclusive(blobs: FileBlobs, root: Path) -> None:
    approved = collected(root)
    (root / "etc/fstab").write_text("one\n")
    evidence = run(blobs, approved, root)
    assert verdict(evidence) == "inconclusive"
    assert "mounts" in str(evidence.coverage["not_seen"])


@pytest.mark.parametrize(
    ("member", "value"),
    [("collector", "0"), ("of", "release"), ("entries", {})],
)
def test_another_collector_is_no_whole_comparison(
    member: str, value: Any, blobs: FileBlobs, root: Path
) -> None:
    content = json.loads(collected(root).encode()) | {member: value}
    asked: Plain = {"baseline": blobs.put(json.dumps(content).encode()), "root": str(root)}
    assert verdict(BaselineGate(blobs, lambda: NOW).run(SUBJECT, asked)) != "pass"
    if member != "entries":
        asked["files"] = ["/opt/*"]
        found = BaselineGate(blobs, lambda: NOW).run(SUBJECT, asked)
        assert verdict(found) == "inconclusive"


@pytest.mark.parametrize(
    "content",
    [b"", b"{}", b"[]", b'{"surefoot_baseline": 2, "collector": "1", "of": "host", "entries": {}}'],
)
def test_what_is_no_baseline_is_an_error(content: bytes, blobs: FileBlobs, root: Path) -> None:
    asked: Plain = {"baseline": blobs.put(content), "root": str(root)}
    assert verdict(BaselineGate(blobs, lambda: NOW).run(SUBJECT, asked)) == "error"
    gone: Plain = {"baseline": digest_of(b"gone"), "root": str(root)}
    assert verdict(BaselineGate(blobs, lambda: NOW).run(SUBJECT, gone)) == "error"


@pytest.mark.parametrize(("until", "expected"), [(NOW + 1, "pass"), (NOW, "fail")])
def test_an_exception_ends(until: int, expected: str, blobs: FileBlobs, root: Path) -> None:
    approved = collected(root)
    (root / "opt/more").write_text("x")
    exception = {"rule": "baseline-new", "place": "file: /opt/*", "reason": "x", "until": until}
    assert verdict(run(blobs, approved, root, **{"except": [exception]})) == expected


def test_the_difference_to_other_environments_is_in_the_report(
    blobs: FileBlobs, root: Path
) -> None:
    approved = collected(root)
    other = collected(root, **{"setting: greeting": "staging"})
    (root / "opt/api").write_text("other")
    third = collected(root)
    (root / "opt/api").write_text("x")
    others = {"staging": blobs.put(other.encode()), "dev": blobs.put(third.encode())}
    evidence = run(blobs, approved, root, others=others)
    assert verdict(evidence) == "pass"
    told: Any = evidence.figures["environments"]
    assert told["staging"]["only_there"] == ["setting: greeting"]
    assert list(told["dev"]["different"]) == ["file: /opt/api"]
    assert difference(approved, approved)["counts"] == [0, 0, 0]


def test_programs_of_an_artifact(blobs: FileBlobs, tmp_path: Path) -> None:
    members = [("run.py", 0o644, b"x"), ("bin/tool", 0o755, b"x"), ("lib.so", 0o644, b"\x7fELF1")]
    look = ArchiveLook(tar(tmp_path, *members), "api")
    approved = of_artifacts({"api": look}, {})
    look.close()
    assert list(approved.entries) == ["api: library /lib.so", "api: program /bin/tool"]

    def judged(*more: tuple[str, int, bytes]) -> str:
        artifact: Digest = blobs.put(tar(tmp_path, *members, *more).read_bytes())
        asked: Plain = {
            "baseline": blobs.put(approved.encode()),
            "components": [{"name": "api", "artifact": artifact}],
        }
        return verdict(BaselineGate(blobs, lambda: NOW).run(SUBJECT, asked))

    assert judged() == "pass"
    assert judged(("more.py", 0o644, b"x")) == "pass"
    assert judged(("bin/miner", 0o755, b"x")) == "fail"
    assert judged(("bin/root", 0o4644, b"x")) == "fail"


def test_an_artifact_that_is_no_tar_is_an_error(blobs: FileBlobs, root: Path) -> None:
    asked: Plain = {
        "baseline": blobs.put(collected(root).encode()),
        "components": [{"name": "api", "artifact": blobs.put(b"image")}],
    }
    assert verdict(BaselineGate(blobs, lambda: NOW).run(SUBJECT, asked)) == "error"
