"""`surefoot hardening check` ends well only when all is well."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from surefoot.doors.cli.main import main


@pytest.fixture
def root(tmp_path: Path) -> Path:
    config = tmp_path / "etc" / "ssh" / "sshd_config"
    config.parent.mkdir(parents=True)
    config.write_text("PasswordAuthentication no\nKbdInteractiveAuthentication no\n")
    return tmp_path


def test_a_good_root_ends_with_0(root: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["hardening", "check", str(root), "--group", "ssh"]) == 0
    assert "percent        100" in capsys.readouterr().out


def test_a_bad_root_is_refused_with_file_reason_and_fix(
    root: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (root / "etc" / "ssh" / "sshd_config").write_text("PermitRootLogin yes\n")
    assert main(["hardening", "check", str(root), "--group", "ssh"]) == 3
    told = capsys.readouterr()
    assert "high  ssh-root-login  /etc/ssh/sshd_config:1" in told.out
    assert "fix: set PermitRootLogin no." in told.out
    assert "gate.hardening.fail" in told.err


def test_what_was_not_evaluated_is_named(root: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (root / "etc" / "ssh" / "sshd_config").write_text("PermitRootLogin\n")
    assert main(["hardening", "check", str(root), "--group", "ssh"]) == 3
    told = capsys.readouterr()
    assert "not evaluated  ssh-root-login  /etc/ssh/sshd_config:1: cannot be parsed" in told.out
    assert "gate.hardening.inconclusive" in told.err


def test_json_holds_the_verdict(root: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["-o", "json", "hardening", "check", str(root), "--group", "ssh"]) == 0
    answer = json.loads(capsys.readouterr().out)
    assert answer["verdict"] == "pass" and answer["gate"] == "hardening"


def test_a_group_that_is_not_known_is_an_error(
    root: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["hardening", "check", str(root), "--group", "shh"]) == 3
    assert "no group of rules 'shh'" in capsys.readouterr().err
