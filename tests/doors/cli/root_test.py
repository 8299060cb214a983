"""Roots on the command line: what is told when a step was left out."""

from __future__ import annotations

from pathlib import Path

import msgspec
import pytest

from surefoot.doors.cli.main import main
from surefoot.testing.root_scene import FIRST, sealed
from surefoot.trust.root import payload_of

SERVER = ["--server", "http://127.0.0.1:9"]


@pytest.fixture
def draft(tmp_path: Path) -> Path:
    (tmp_path / "draft.json").write_bytes(payload_of(FIRST))
    return tmp_path / "draft.json"


def test_a_draft_that_nobody_signed_is_not_sent(
    draft: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["root", "accept", str(draft), *SERVER]) == 3
    said = capsys.readouterr().err
    assert "found a draft that nobody signed" in said
    assert f"surefoot root sign {draft}" in said and "signed by 2 of ann, bob" in said


def test_a_signed_one_is_sent(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "root.json").write_bytes(sealed(FIRST))
    assert main(["root", "accept", str(tmp_path / "root.json"), *SERVER]) != 0
    assert "nobody signed" not in capsys.readouterr().err


def test_without_a_terminal_signing_says_how(
    draft: Path, capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    assert main(["key", "generate", str(tmp_path / "ann")]) == 0
    line = " ".join((tmp_path / "ann.pub").read_text().split()[:2])
    root = msgspec.structs.replace(FIRST, threshold=1, signers={"ann": line})
    draft.write_bytes(payload_of(root))
    before = draft.read_bytes()
    assert main(["root", "sign", str(draft), "--key", str(tmp_path / "ann")]) == 3
    said = capsys.readouterr().err
    assert f"surefoot root show {draft}" in said and "--yes" in said
    assert draft.read_bytes() == before
