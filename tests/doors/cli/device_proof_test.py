"""The page of a proof about a device: what, when, how we know, and what it does not show."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path

import msgspec
import pytest

from surefoot.doors.cli import main
from surefoot.doors.cli.device_proof import strength_of
from surefoot.journal.proof import Prover
from surefoot.testing.device_scene import VKEY, Scene
from surefoot.testing.journal import ANN, draft
from surefoot.trust.payload import Payload, opening


@pytest.fixture
def file(tmp_path: Path) -> Iterator[tuple[Scene, Path, int]]:
    scene = Scene(tmp_path / "fleet")
    scene.tell("1.0.0", "bee", "cat")
    scene.seal()
    scene.tell("1.1.0", "cat")
    at_ms = scene.seal()
    path = tmp_path / "proof.json"
    path.write_bytes(scene.prove("bee", at_ms))
    yield scene, path, at_ms
    scene.house.database.close()


def test_a_stranger_reads_one_page(
    file: tuple[Scene, Path, int], capsys: pytest.CaptureFixture[str]
) -> None:
    _, path, _ = file
    assert main.main(["verify", str(path), "--log-key", VKEY]) == 0
    page = capsys.readouterr().out
    assert "bee of production ran 1.0.0, reported: the device said so" in page
    for heading in ("how we know", "what this does not prove", "the report"):
        assert heading in page
    assert "1 batches hold no later report" in page and "which you pinned" in page


def test_programs_read_a_record(
    file: tuple[Scene, Path, int], capsys: pytest.CaptureFixture[str]
) -> None:
    _, path, _ = file
    assert main.main(["verify", str(path), "--log-key", VKEY, "-o", "json"]) == 0
    record = json.loads(capsys.readouterr().out)
    assert (record["proved"], record["whole"], record["batches"]) == (True, True, 2)
    assert record["report"]["runs"] == "1.0.0"


def test_without_a_pinned_key_it_ends_with_3_and_changed_with_5(
    file: tuple[Scene, Path, int], capsys: pytest.CaptureFixture[str]
) -> None:
    _, path, _ = file
    assert main.main(["verify", str(path)]) == 3
    assert "NOT PINNED" in capsys.readouterr().out
    path.write_bytes(path.read_bytes().replace(b"1.0.0", b"6.6.6"))
    assert main.main(["verify", str(path), "--log-key", VKEY]) == 5


def test_a_part_says_what_it_does_not_show(
    file: tuple[Scene, Path, int], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    scene, _, at_ms = file
    part = tmp_path / "part.json"
    part.write_bytes(scene.prove("bee", at_ms, batches_max=1))
    assert main.main(["verify", str(part), "--log-key", VKEY]) == 0
    page = capsys.readouterr().out
    assert "the last 1 batches held no report of bee" in page
    assert "there were too many to show" in page


@pytest.mark.parametrize(
    ("report", "word"),
    [
        ({"runs": "", "to": "verified", "version": "1"}, "unknown"),
        ({"runs": "1", "to": "installing", "version": "2"}, "reported"),
        ({"runs": "1", "to": "verified", "version": "2"}, "reported"),
        ({"runs": "2", "to": "verified", "version": "2"}, "verified"),
        ({"runs": "1", "to": "returned", "version": "1"}, "verified"),
    ],
)
def test_what_a_device_only_said_is_not_called_verified(report: dict[str, str], word: str) -> None:
    assert strength_of(dict(report)).startswith(word)  # type: ignore[arg-type]


def test_a_state_proof_is_verified_by_the_same_command_and_its_words_are_opened(
    file: tuple[Scene, Path, int], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    scene, _, _ = file
    words = Payload(salt=bytes(range(32)), text="because Zacharias asked")
    noted = msgspec.structs.replace(draft(note=1), reason=words.commitment(), payloads=(words,))
    receipt = scene.log.transact(lambda w: [noted], ANN, "note")
    assert receipt is not None
    path, opened = tmp_path / "state.json", tmp_path / "words.json"
    prover = Prover(scene.log, scene.house.database, VKEY, "test")
    path.write_bytes(prover.state("env/dev", receipt.time_ms))
    asked = ["verify", str(path), "--log-key", VKEY, "--words", str(opened)]
    opened.write_bytes(opening([words]))
    assert main.main(asked) == 0
    assert "words of entry" in capsys.readouterr().out
    other = Payload(salt=bytes(range(32)), text="because Ann asked")
    opened.write_bytes(opening([other]))
    assert main.main(asked) == 5
    for content in (b"", b"{}", opening([words]) + b" ", b'{"format":"x","words":[]}'):
        opened.write_bytes(content)
        assert main.main(asked) == 3
