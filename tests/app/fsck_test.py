"""`journal fsck` on a whole data folder: statuses, words, repair, and an export beside it."""

from __future__ import annotations

import json
import shutil
import sqlite3
from collections.abc import Callable
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest
from dishonest import rewritten

from surefoot.compose import offline
from surefoot.doors.cli.main import main
from surefoot.store.sqlite import FILE_NAME

Run = Callable[..., tuple[int, dict[str, Any]]]


@pytest.fixture
def data(delivered: Path, tmp_path: Path) -> Path:
    """A copy to damage."""
    return Path(shutil.copytree(delivered, tmp_path / "data"))


@pytest.fixture
def run(data: Path, capsys: pytest.CaptureFixture[str]) -> Run:
    """Status and answer of the command."""

    def fsck(*words: str) -> tuple[int, dict[str, Any]]:
        status = main(["journal", "fsck", "--data", str(data), "-o", "json", *words])
        return status, json.loads(capsys.readouterr().out)

    return fsck


def typed(data: Path, sql: str) -> None:
    """What an administrator does to the database."""
    with closing(sqlite3.connect(data / "store" / FILE_NAME)) as connection, connection:
        connection.execute(sql)


def test_a_sound_folder_and_its_export_are_intact(run: Run, data: Path, tmp_path: Path) -> None:
    offline.export(data, tmp_path / "export", lambda done, of: None)
    status, found = run("--export", str(tmp_path / "export"))
    assert (status, found["findings"], found["counts"]) == (0, [], {})
    assert found["blobs"] > 3


def test_a_missing_state_is_explained_and_mended(run: Run, data: Path) -> None:
    typed(data, "DELETE FROM entry_states WHERE idx = (SELECT MAX(idx) FROM entry_states)")
    status, found = run()
    (finding,) = found["findings"]
    assert (status, finding["code"], finding["mends"]) == (5, "journal.state.differs", True)
    assert "--repair" in finding["do"]
    status, found = run("--repair")
    assert (status, found["findings"], len(found["mended"])) == (0, [], 1)
    status, found = run("--repair")
    assert (status, found["findings"], found["mended"]) == (0, [], [])


def test_a_blob_of_another_content_is_named(run: Run, data: Path) -> None:
    for path in (data / "blobs" / "sha256").rglob("*"):
        if path.is_file():
            path.chmod(0o600)
            path.write_bytes(b"another")
    status, found = run()
    assert status == 5
    assert set(found["counts"]) == {"store.blob.differs"}


def test_an_export_of_another_story_is_named(run: Run, data: Path, tmp_path: Path) -> None:
    told = rewritten(
        data,
        tmp_path / "forged",
        lambda leaf: None if leaf.kind == "ObservationRecorded" else leaf,
    )
    status, found = run("--export", str(told))
    assert status == 5
    assert [f["code"] for f in found["findings"]] == ["journal.export.differs"]


def test_words_say_what_it_means(data: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["journal", "fsck", "--data", str(data)]) == 0
    assert "intact" in capsys.readouterr().out
    typed(data, "UPDATE journal_head SET root = 'x'")
    assert main(["journal", "fsck", "--data", str(data)]) == 5
    shown = capsys.readouterr().out
    assert "[journal.head.differs]" in shown
