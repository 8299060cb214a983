"""`surefoot verify` with roots: the page, the record, and the exit statuses."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path

import pytest

from surefoot.doors.cli.main import main
from surefoot.testing.proof_scene import ANN, BOB, CID, VKEY
from surefoot.testing.root_scene import FIRST, SECOND, RootScene, sealed


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    made = tmp_path_factory.mktemp("proofs")
    scene = RootScene(made / "scene")
    for name, content in scene.bundles.items():
        (made / f"{name}.json").write_bytes(content)
    scene.close()
    (made / "root.json").write_bytes(sealed(FIRST))
    (made / "2.root.json").write_bytes(sealed(SECOND, ANN, BOB, CID))
    yield made


def test_the_page_says_who_stands_behind_it(
    folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    words = ["verify", str(folder / "evidence.json"), "--root", str(folder / "root.json")]
    assert main(words) == 0
    page = capsys.readouterr().out
    assert "by witness time  between 2026-11-17T09:50:10Z and 2026-11-17T10:00:40Z" in page
    assert "by server time   between 2026-11-17T09:50:00.000Z" in page
    assert "witnesses and auditor, under root version 1" in page
    assert "ApprovalGiven, entry 6 of the same tree, signed by bob" in page
    assert "server's clock was right" not in page and "into its map" not in page


def test_newer_roots_are_followed_and_older_ones_are_not(
    folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    first, second = (["--root", str(folder / name)] for name in ("root.json", "2.root.json"))
    words = ["verify", str(folder / "witnessed.json"), "-o", "json"]
    assert main([*words, *first, *second]) == 0
    record = json.loads(capsys.readouterr().out)
    assert (record["root_version"], record["backed_by"]) == (2, "witnesses and auditor")
    assert record["after"]["witness_time"] == "2026-11-17T10:00:40.000Z"
    assert main([*words, *second, *first]) == 3
    assert "root.file.input" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("name", "words", "status", "code"),
    [
        ("moved", ["--root", "root.json"], 5, "proof.quorum.missing"),
        ("stranger", ["--root", "root.json"], 5, "proof.key.differs"),
        ("witnessed", [], 3, "proof.key.unpinned"),
        ("witnessed", ["--root", "root.json", "--log-key", VKEY], 3, "request.argument.input"),
        ("witnessed", ["--root", "witnessed.json"], 3, "root.file.input"),
    ],
)
def test_what_is_not_shown_ends_with_its_status(
    folder: Path,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
    name: str,
    words: list[str],
    status: int,
    code: str,
) -> None:
    monkeypatch.chdir(folder)
    assert main(["verify", f"{name}.json", *words]) == status
    assert code in capsys.readouterr().err


def test_with_the_log_key_alone_it_is_self_timestamped(
    folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["verify", str(folder / "witnessed.json"), "--log-key", VKEY]) == 0
    page = capsys.readouterr().out
    assert "self-timestamped: no witness is pinned" in page and "the log's key alone" in page
