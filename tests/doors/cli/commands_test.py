"""The table of commands, the parser, and what errors look like."""

from __future__ import annotations

import importlib
import json
from pathlib import Path

import msgspec
import pytest

from surefoot.app.operation import OPERATIONS
from surefoot.compose import folder as _registers  # noqa: F401  every operation registers itself
from surefoot.core.errors import Refused
from surefoot.doors.cli import main, settings, show
from surefoot.doors.cli.commands import COMMANDS, NOUNS
from surefoot.doors.cli.tree import parser_for, settle

BY_WORDS = {command.words: command for command in COMMANDS}
MADE_OF_OTHERS = {"release register"}
"""Operations that a command of another name asks: `release create` registers."""


def test_every_noun_is_explained_and_used() -> None:
    assert {command.noun for command in COMMANDS} == set(NOUNS)
    assert len(BY_WORDS) == len(COMMANDS)


@pytest.mark.parametrize("name", sorted(OPERATIONS))
def test_every_operation_has_its_command(name: str) -> None:
    if name in MADE_OF_OTHERS:
        return
    command, operation = BY_WORDS[name], OPERATIONS[name]
    assert (command.method, command.path) == (operation.method, operation.path)


@pytest.mark.parametrize("command", [c for c in COMMANDS if c.run == "asking:ask"], ids=str)
def test_a_plain_command_takes_exactly_its_operations_arguments(command: object) -> None:
    assert isinstance(command, tuple)
    words = command.words  # type: ignore[attr-defined]
    fields = msgspec.structs.fields(OPERATIONS[words].arguments)
    known = {field.encode_name for field in fields}
    required = {field.encode_name for field in fields if field.required}
    typed = {word.key for word in command.takes}  # type: ignore[attr-defined]
    assert typed <= known
    assert required <= typed


TIMELESS = {
    "deployment watch": "it follows what comes next",
    "release never": "it has two times of its own",
}


@pytest.mark.parametrize("command", [c for c in COMMANDS if c.method == "GET"], ids=str)
def test_every_question_takes_at_or_says_why_not(command: object) -> None:
    words = command.words  # type: ignore[attr-defined]
    takes = any(word.name == "--at" for word in command.takes)  # type: ignore[attr-defined]
    why = TIMELESS.get(words) or OPERATIONS[words].timeless
    assert takes != bool(why), (words, why)


@pytest.mark.parametrize("command", COMMANDS, ids=lambda c: c.words)
def test_every_command_can_be_loaded_and_has_help(
    command: object, capsys: pytest.CaptureFixture[str]
) -> None:
    place, name = command.run.split(":")  # type: ignore[attr-defined]
    assert callable(getattr(importlib.import_module(f"surefoot.doors.cli.{place}"), name))
    with pytest.raises(SystemExit) as ended:
        main.main([*command.words.split(), "--help"])  # type: ignore[attr-defined]
    assert ended.value.code == 0
    assert command.help.split()[0] in capsys.readouterr().out  # type: ignore[attr-defined]


def test_common_options_stand_before_or_after() -> None:
    parser = parser_for(COMMANDS, NOUNS, None)
    before = parser.parse_args(["-o", "json", "--key", "k", "person", "list"])
    after = parser.parse_args(["person", "list", "-o", "json", "--key", "k"])
    assert (before.output, before.key) == (after.output, after.key) == ("json", "k")


@pytest.mark.parametrize(
    ("typed", "prove", "output"),
    [
        ("environment show a --prove x.json", "x.json", "text"),
        ("environment show a --prove x.json -o json", "x.json", "json"),
        ("environment show a --prove -o x.json", "x.json", "text"),
        ("release never 1.0.0 a -o x.json --prove", "x.json", "text"),
        ("device show a d --prove --output x.json", "x.json", "text"),
        ("-o x.json environment show a --prove", "x.json", "text"),
        ("environment show a", "", "text"),
    ],
)
def test_a_proofs_file_may_be_named_by_o(typed: str, prove: str, output: str) -> None:
    parser = parser_for(COMMANDS, NOUNS, None)
    options = parser.parse_args(typed.split())
    settle(parser, options)
    assert (options.prove, options.output) == (prove, output)


@pytest.mark.parametrize(
    ("typed", "said"),
    [
        ("environment show a --prove", "name the file"),
        ("environment show a --prove -o json", "name the file"),
        ("environment show a -o x.json", "unknown 'x.json'; choose from text, json"),
        ("environment show a --prove y.json -o x.json", "unknown 'x.json'"),
        ("person list -o xml", "unknown 'xml'"),
        ("person list -o", "expected one argument"),
        ("journal erase 4", "--reason"),
    ],
)
def test_a_form_of_output_that_is_none_is_refused(
    capsys: pytest.CaptureFixture[str], typed: str, said: str
) -> None:
    with pytest.raises(SystemExit) as ended:
        main.main(typed.split())
    assert ended.value.code == 2
    assert said in capsys.readouterr().err


def test_a_typing_mistake_is_met_with_a_suggestion(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as ended:
        main.main(["enviroment", "show"])
    assert ended.value.code == 2
    assert "did you mean environment?" in capsys.readouterr().err


def test_a_noun_alone_lists_its_verbs(capsys: pytest.CaptureFixture[str]) -> None:
    assert main.main(["deployment"]) == 2
    assert "approve" in capsys.readouterr().out


def test_an_error_is_a_record_under_json(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setenv("SUREFOOT_CONFIG", str(tmp_path / "none.json"))
    monkeypatch.delenv("SUREFOOT_SERVER", raising=False)
    assert main.main(["person", "list", "-o", "json"]) == 3
    record = json.loads(capsys.readouterr().err)
    assert record["code"] == "settings.server.missing"
    assert record["remedy"]


def test_what_a_server_says_cannot_steer_the_terminal(capsys: pytest.CaptureFixture[str]) -> None:
    show.table(("a",), [["\x1b[31mred\x07"]])
    show.fields([("name", "two\nlines\x1b[2J")])
    main.show_error(Refused("a.b.input", "s\x1b]0;t\x07"), "text")
    captured = capsys.readouterr()
    assert "\x1b" not in captured.out + captured.err
    assert "two / lines" in captured.out


@pytest.mark.parametrize("content", ["{", "[]", '{"sever": "x"}', '{"key": 1}'])
def test_broken_settings_are_refused(tmp_path: Path, content: str) -> None:
    file = tmp_path / "config.json"
    file.write_text(content)
    with pytest.raises(Refused, match=r"settings\.file\.input"):
        settings.load(file)


def test_settings_are_kept_and_overridden(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    file = tmp_path / "config.json"
    monkeypatch.setenv("SUREFOOT_CONFIG", str(file))
    monkeypatch.delenv("SUREFOOT_KEY", raising=False)
    monkeypatch.delenv("SUREFOOT_SERVER", raising=False)
    settings.save(file, settings.Settings("unix:/a", "k", "home"))
    parser = parser_for(COMMANDS, NOUNS, None)
    kept = settings.resolve(parser.parse_args(["person", "list"]))
    assert kept == settings.Settings("unix:/a", "k", "home")
    other = settings.resolve(parser.parse_args(["person", "list", "--server", "unix:/b"]))
    assert other == settings.Settings("unix:/b", "k", "")
