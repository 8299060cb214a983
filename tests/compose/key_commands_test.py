"""The commands of the guide on the log's keys, typed as they stand there."""

from __future__ import annotations

import json
import sys
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).parent))

from key_house import PEOPLE, House

from surefoot.doors.cli.main import main
from surefoot.trust.keys import private_text


@pytest.fixture
def house(tmp_path: Path) -> House:
    for name, key in PEOPLE.items():
        (tmp_path / name).touch(mode=0o600)
        (tmp_path / name).write_bytes(private_text(key, name))
    return House(tmp_path)


def run(house: House, *words: str) -> int:
    named = {"--data": [str(house.data)]}
    typed = [part for word in words for part in (word, *named.get(word, []))]
    return main([*typed, "-o", "json"])


def signed(house: House, name: str) -> str:
    file = house.data.parent / name
    for person in PEOPLE:
        key = str(house.data.parent / person)
        assert main(["root", "sign", str(file), "--yes", "--key", key]) == 0
    return str(file)


def test_a_key_is_rotated(house: House, capsys: pytest.CaptureFixture[str]) -> None:
    house.write()
    assert run(house, "journal", "rotate-key", "--data", "--overlap-hours", "2") == 0
    told = json.loads(capsys.readouterr().out)
    assert [told["old"], told["new"]] == [key.text() for key in house.verifiers()]
    assert run(house, "journal", "rotate-key", "--data", "--overlap-hours", "-1") == 3
    assert house.report()["ok"]


def test_an_epoch_is_drafted_signed_and_opened(
    house: House, capsys: pytest.CaptureFixture[str]
) -> None:
    house.write()
    file = str(house.data.parent / "next.json")
    command = ("journal", "new-epoch", "--data")
    for bad in ((), ("--lost",), ("--lost", "--compromised", "--draft", file)):
        assert run(house, *command, *bad) == 3
    assert run(house, *command, "--lost", "--draft", file) == 0
    assert run(house, *command, "--lost", "--root", file) == 3
    whole = signed(house, "next.json")
    capsys.readouterr()
    assert run(house, *command, "--lost", "--root", whole) == 0
    assert json.loads(capsys.readouterr().out)["origin"] == "surefoot/home@2"
    assert house.verifiers()[1].name == "surefoot/home@2"
    assert house.report()["ok"]
