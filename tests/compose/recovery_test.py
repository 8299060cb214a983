"""A data folder whose backup was put back: made whole from an export, or gone on without it."""

from __future__ import annotations

import shutil
import sys
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).parent))

from key_house import House, quiet

from surefoot.compose import key_life, offline, recovery, rooting
from surefoot.core.errors import Corrupt, Refused
from surefoot.doors.cli.main import main
from surefoot.trust.note import open_checkpoint
from surefoot.trust.root import open_trusted, read_root


@pytest.fixture
def house(tmp_path: Path) -> House:
    """Three entries, a backup of the database, three more, an export; then the backup is back."""
    made = House(tmp_path)
    for number in range(3):
        made.write(f"before.{number}")
    shutil.copytree(made.data / "store", tmp_path / "backup")
    for number in range(3):
        made.write(f"after.{number}")
    offline.export(made.data, tmp_path / "mirror", quiet)
    made.write("after.export")
    put_back(made, tmp_path)
    return made


def put_back(house: House, folder: Path) -> None:
    shutil.rmtree(house.data / "store")
    shutil.copytree(folder / "backup", house.data / "store")


def test_the_command_puts_back_what_the_export_has(tmp_path: Path) -> None:
    house = House(tmp_path)
    house.write()
    shutil.copytree(house.data / "store", tmp_path / "backup")
    last = house.write("after.backup")
    offline.export(house.data, tmp_path / "mirror", quiet)
    put_back(house, tmp_path)
    with pytest.raises(Corrupt, match=r"journal\.tail\.missing"):
        house.write()
    words = ["journal", "recover", "--data", str(house.data), "--mirror", str(tmp_path / "mirror")]
    assert main(words) == 0
    key = house.verifiers()[0]
    found = recovery.from_mirror(house.data, tmp_path / "mirror")
    assert (found["leaves_put_back"], found["checkpoint"]) == (0, last)
    assert open_checkpoint(house.write(), key).size == open_checkpoint(last, key).size + 2
    assert [fact["code"] for fact in house.facts("AlarmRaised")] == ["x.y", "after.backup", "x.y"]
    assert house.report()["ok"]


def test_an_export_that_is_too_old_changes_nothing(house: House, tmp_path: Path) -> None:
    with pytest.raises(Refused, match=r"are missing, 2 in all.*journal\.mirror\.missing"):
        recovery.from_mirror(house.data, tmp_path / "mirror")
    with pytest.raises(Corrupt, match=r"journal\.tail\.missing"):
        house.write()


def test_going_on_without_says_what_is_lost(house: House, tmp_path: Path) -> None:
    path = house.data / "checkpoint" / "last"
    last = open_checkpoint(path.read_text(), house.verifiers()[0])
    with rooting.looked_at(house.data, ("journal.tail.missing",)) as log:
        size = log.size()
    signed = house.sign(recovery.draft_discontinuity(house.data))
    told = recovery.open_discontinuity(house.data, signed)
    assert (told["lost_from"], told["lost_until"]) == (size, last.size)
    assert recovery.open_discontinuity(house.data, signed)["origin"] == "surefoot/home@2"
    old, new = house.verifiers()
    (fact,) = house.facts("EpochOpened")
    assert (fact["cause"], fact["lost_from"], fact["lost_until"]) == (
        "discontinuity",
        size,
        last.size,
    )
    assert open_checkpoint(fact["before"], old) == last
    for _ in range(5):
        house.write("much.later")
    note = house.write()
    root = read_root(signed)
    assert open_trusted(note, root)[1].vkey == new.text()
    assert open_checkpoint(path.read_text(), new).size > last.size
    report = house.report()
    assert report["ok"], report["problems"]
    words = f"entry {size} opens epoch 2: discontinuity; leaves {size} to {last.size - 1}"
    assert report["epochs"][0].startswith(words)
    offline.export(house.data, tmp_path / "new", quiet)
    kept = (path.parent / "last.epoch-1").read_text()
    report = offline.verify_export(tmp_path / "new", signed, kept, quiet)
    assert [p["code"] for p in report["problems"]] == ["journal.epoch.discontinuity"]
    assert f"leaves {size} to {last.size - 1} are lost" in report["problems"][0]["found"]


@pytest.mark.parametrize("place", ["write_opening", "keep_keys"])
def test_a_crash_on_the_way_is_ended_by_the_next(
    house: House, monkeypatch: pytest.MonkeyPatch, place: str
) -> None:
    def crash(*_: object) -> None:
        raise KeyboardInterrupt

    signed = house.sign(recovery.draft_discontinuity(house.data))
    with monkeypatch.context() as patched, pytest.raises(KeyboardInterrupt):
        patched.setattr(recovery, place, crash)
        recovery.open_discontinuity(house.data, signed)
    with pytest.raises(Corrupt):
        house.write()
    recovery.open_discontinuity(house.data, signed)
    assert len(house.facts("EpochOpened")) == 1
    house.write()
    assert house.report()["ok"]


def test_nothing_is_given_up_when_nothing_is_lost(tmp_path: Path) -> None:
    house = House(tmp_path)
    house.write()
    with pytest.raises(Refused, match=r"journal\.epoch\.input"):
        recovery.draft_discontinuity(house.data)
    with rooting.looked_at(house.data) as log:
        size = log.size()
    other = house.sign(recovery.draft_discontinuity(house.data, size + 7))
    signed = house.sign(key_life.draft_epoch(house.data, "lost"))
    with pytest.raises(Refused, match=r"journal\.epoch\.input"):
        recovery.open_discontinuity(house.data, signed)
    assert house.facts("EpochOpened") == []
    told = recovery.open_discontinuity(house.data, other, size + 7)
    assert (told["lost_from"], told["lost_until"]) == (size, size + 7)
    assert house.report()["ok"]


@pytest.mark.parametrize(
    "words",
    [
        [],
        ["--mirror", "x", "--new-epoch"],
        ["--new-epoch"],
    ],
)
def test_half_a_command_is_refused(house: House, words: list[str]) -> None:
    assert main(["journal", "recover", "--data", str(house.data), *words]) == 3
