"""`surefoot baseline`: collect what is there, and compare two."""

from __future__ import annotations

import json
import tarfile
from pathlib import Path

import pytest

from surefoot.doors.cli.main import main
from surefoot.trust.digest import digest_of

LAMP = """\
surefoot: 1
product: lamp
components:
  schema: {kind: migrations, path: migrations, database: main}
environments:
  dev:
    targets: {databases: {main: {engine: sqlite}}}
    values: {greeting: hello}
    secrets: [pin]
"""


@pytest.fixture
def root(tmp_path: Path) -> Path:
    root = tmp_path / "root"
    (root / "etc").mkdir(parents=True)
    (root / "etc" / "passwd").write_text("root:x:0:0::/:/bin/sh\n")
    return root


def test_collect_and_diff(root: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    definition = tmp_path / "surefoot.yaml"
    definition.write_text(LAMP)
    first, second = tmp_path / "a.json", tmp_path / "b.json"
    words = ["--root", str(root), "--definition", str(definition), "--environment", "dev"]
    assert main(["-o", "json", "baseline", "collect", str(first), *words]) == 0
    assert json.loads(capsys.readouterr().out)["digest"] == digest_of(first.read_bytes())
    entries = json.loads(first.read_text())["entries"]
    assert entries["setting: greeting"] == "hello" and entries["secret: pin"] == "set"
    (root / "etc" / "passwd").write_text("root:x:0:0::/:/bin/bash\neve:x:5:5::/:/bin/sh\n")
    assert main(["baseline", "collect", str(second), "--root", str(root)]) == 0
    capsys.readouterr()
    assert main(["baseline", "diff", str(first), str(second)]) == 0
    told = capsys.readouterr().out
    assert "- setting: greeting" in told and "+ accounts: account eve" in told
    assert "3 only in the first, 1 only in the second" in told


def test_collect_an_artifact(tmp_path: Path) -> None:
    artifact, file = tmp_path / "a.tar", tmp_path / "a.json"
    with tarfile.open(artifact, "w") as archive:
        entry = tarfile.TarInfo("run")
        entry.mode = 0o755
        archive.addfile(entry)
    assert main(["baseline", "collect", str(file), "--artifact", f"api={artifact}"]) == 0
    assert json.loads(file.read_text())["entries"] == {"api: program /run": "mode 0755"}


@pytest.mark.parametrize(
    "words",
    [
        ["collect", "a.json", "--environment", "dev"],
        ["collect", "a.json", "--artifact", "api"],
        ["collect", "a.json", "--artifact", "api=missing"],
        ["diff", "missing", "missing"],
    ],
)
def test_what_cannot_be_done_is_refused(
    words: list[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    assert main(["baseline", *words]) == 3
