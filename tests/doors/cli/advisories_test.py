"""Snapshots made and read by the command line, and what it reads of a host."""

from __future__ import annotations

import base64
import json
import zlib
from pathlib import Path
from typing import Any

import pytest

from surefoot.core.errors import Refused
from surefoot.doors.cli import advisories, main
from surefoot.insight import advisories as snapshots
from surefoot.testing.advisory_snapshot import record
from surefoot.trust.digest import digest_of
from surefoot.trust.keys import PrivateKey, private_text

KEY = PrivateKey(b"m" * 32)
RECORDS = (record("PYSEC-1", "PyPI/demo", "1.1"), record("PYSEC-2", "PyPI/other", "2"))


class Asked:
    """The server's side of an import, with parts that it has; keeps what is sent."""

    def __init__(self, statement: snapshots.Statement | None = None) -> None:
        self.sent: list[dict[str, Any]] = []
        self.missing = [part.digest for part in statement.parts] if statement else []

    def ask(self, method: str, path: str, body: dict[str, Any]) -> dict[str, Any]:
        self.sent.append(body)
        if "part" in body:
            self.missing.remove(digest_of(base64.b64decode(body["part"])))
        return {"missing": [*self.missing], "in_force": not self.missing}


@pytest.fixture
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("SUREFOOT_CONFIG", str(tmp_path / "config.json"))
    key = tmp_path / "mirror"
    key.touch(mode=0o600)
    key.write_bytes(private_text(KEY, "mirror"))
    (tmp_path / "osv.jsonl").write_text("".join(json.dumps(r) + "\n" for r in RECORDS))
    return tmp_path


def run(*words: str) -> int:
    return main.main([*words, "-o", "json"])


def make(*words: str) -> int:
    return run("advisories", "make", "new", "--osv", "osv.jsonl", "--key", "mirror", *words)


def statement_of(file: Path) -> snapshots.Statement:
    line = file.read_bytes().split(b"\n", 1)[0]
    return snapshots.open_statement(line, [KEY.public])[0]


def test_a_snapshot_is_made_and_sent_part_by_part(
    home: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert make("--made-at", "2026-02-01T00:00Z") == 0
    statement = statement_of(home / "new")
    assert statement.made_at_ms == snapshots.time_of("2026-02-01T00:00:00Z")
    assert statement.ecosystems() == {"PyPI": 2}
    asked = Asked(statement)
    monkeypatch.setattr(advisories, "client_for", lambda options: asked)
    assert run("advisories", "import", "new") == 0
    assert asked.missing == [] and len(asked.sent) == 1 + len(statement.parts)
    assert run("advisories", "import", "new") == 0
    assert len(asked.sent) == 2 + len(statement.parts), "what is there is not sent again"


def test_a_file_is_not_written_over_and_bad_sources_make_none(home: Path) -> None:
    assert make() == 0
    held = (home / "new").read_bytes()
    assert make() == 3
    assert (home / "new").read_bytes() == held
    (home / "new").unlink()
    (home / "osv.jsonl").write_text('{"id":"X"}\n')
    assert make() == 3
    (home / "osv.jsonl").write_text("")
    assert make() == 3
    assert not (home / "new").exists()


@pytest.mark.parametrize(
    "change", [lambda c: c[:-1], lambda c: c + b"x", lambda c: b"", lambda c: b"x\n"]
)
def test_a_file_that_is_not_whole_is_refused(
    home: Path, monkeypatch: pytest.MonkeyPatch, change: Any
) -> None:
    make()
    asked = Asked(statement_of(home / "new"))
    monkeypatch.setattr(advisories, "client_for", lambda options: asked)
    (home / "new").write_bytes(change((home / "new").read_bytes()))
    assert run("advisories", "import", "new") == 3


def root(home: Path) -> Path:
    top = home / "root"
    (top / "var/lib/dpkg").mkdir(parents=True)
    (top / "etc").mkdir()
    (top / "usr/lib").mkdir(parents=True)
    (top / "var/lib/dpkg/status").write_text("Package: bash\n")
    (top / "usr/lib/os-release").write_text("ID=debian\n")
    (top / "etc/os-release").symlink_to("../usr/lib/os-release")
    return top


def test_a_root_file_system_in_a_folder_is_sent(
    home: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    top = root(home)
    asked = Asked()
    monkeypatch.setattr(advisories, "client_for", lambda options: asked)
    assert run("advisories", "host", "gateway", "--root", str(top)) == 0
    sent = asked.sent[0]
    assert zlib.decompress(base64.b64decode(sent["content"])) == b"Package: bash\n"
    assert (sent["form"], sent["system"]) == ("dpkg", "ID=debian\n")
    (top / "var/lib/dpkg/status").unlink()
    assert run("advisories", "host", "gateway", "--root", str(top)) == 3


@pytest.mark.parametrize("target", ["/etc/passwd", "../../../../../outside"])
def test_a_link_out_of_the_folder_is_not_followed(home: Path, target: str) -> None:
    top = root(home)
    (home / "outside").write_text("Package: secret\n")
    status = top / "var/lib/dpkg/status"
    status.unlink()
    status.symlink_to(target)
    with pytest.raises(Refused):
        advisories._inside(top, "var/lib/dpkg/status")
