"""What is undocumented fails: commands, operations, variables, modules, and examples that lie."""

from __future__ import annotations

import ast
import pkgutil
import re
import shlex
from pathlib import Path

import pytest
from pages import DOCS, ROOT, Line, commands, pages

import surefoot
from surefoot.app.operation import OPERATIONS
from surefoot.compose import FounderKey, Settings, initialise, installation
from surefoot.core.errors import Corrupt, Failed, Refused
from surefoot.doors import codes
from surefoot.doors.cli.commands import COMMANDS, NOUNS
from surefoot.doors.cli.tree import parser_for
from surefoot.doors.web.application import PAGES
from surefoot.trust.keys import private_key

PACKAGE = ROOT / "src" / "surefoot"
REFERENCE = DOCS / "reference"
# fmt: off
WORDS = (
    "release", "component", "artifact", "environment", "value", "secret", "deployment", "plan",
    "step", "target", "observation", "drift", "gate", "evidence", "finding", "baseline",
    "approval", "policy", "role", "actor", "fact", "journal", "checkpoint", "witness", "proof",
    "device", "fleet", "rollout", "wave", "session", "incident", "post-mortem",
)
# fmt: on
VARIABLE = re.compile(r"SUREFOOT_[A-Z_]+")

assert installation.Installation  # importing it registers the operations


def _page(name: str) -> str:
    return (REFERENCE / name).read_text(encoding="utf-8")


def test_every_command_is_in_the_reference() -> None:
    text = _page("cli.md")
    words = [command.words for command in COMMANDS]
    assert [w for w in words if f"### surefoot {w}\n" not in text] == []


def test_every_word_of_a_command_is_in_the_reference() -> None:
    text = _page("cli.md")
    missing = []
    for command in COMMANDS:
        section = text.partition(f"### surefoot {command.words}\n")[2].partition("\n### ")[0]
        missing += [f"{command.words} {w.name}" for w in command.takes if w.name not in section]
    assert missing == []


def test_every_operation_is_in_the_reference() -> None:
    text = _page("api.md")
    named = {o.name: f"`{o.method} /v1{o.path}`" for o in OPERATIONS.values()}
    assert len(named) > 40
    assert [name for name, route in named.items() if route not in text] == []


def test_every_operation_says_what_it_does() -> None:
    assert [o.name for o in OPERATIONS.values() if not o.sentence.endswith(".")] == []


def test_every_operation_has_a_command() -> None:
    """What the API can do, the command line can do; signing is woven into some of its commands."""
    woven = {"release register": "release create"}
    routes = {(c.method, c.path) for c in COMMANDS}
    words = {c.words for c in COMMANDS}
    missing = [
        o.name
        for o in OPERATIONS.values()
        if (o.method, o.path) not in routes and woven.get(o.name) not in words
    ]
    assert missing == []


def test_every_page_of_the_web_is_in_the_reference() -> None:
    text = _page("pages.md")
    shown = [re.sub(r":\w+}", "}", path) for path, _ in PAGES]
    assert [path for path in shown if path not in text] == []


def test_every_variable_that_is_read_is_documented() -> None:
    text = _page("environment-variables.md")
    places = [*PACKAGE.rglob("*.py"), *(ROOT / "scripts").iterdir(), ROOT / "Makefile"]
    read = {name for p in places if p.is_file() for name in VARIABLE.findall(p.read_text())}
    assert sorted(name for name in read if f"`{name}`" not in text) == []
    told = set(VARIABLE.findall(text))
    assert sorted(told - read) == [], "documented, and read nowhere"


def test_every_code_has_a_section() -> None:
    text = _page("errors.md")
    assert [name for name in codes.every() if f"`{name}`" not in text] == []


def test_the_kinds_of_error_have_the_documented_status() -> None:
    text = _page("cli.md")
    for kind in (Refused, Failed, Corrupt):
        assert re.search(rf"\| {kind.exit_status} \| {kind.__name__.lower()}", text)


def _modules() -> list[str]:
    found = pkgutil.walk_packages([str(PACKAGE)], "surefoot.")
    return ["surefoot", *(module.name for module in found)]


def test_every_module_says_what_it_is() -> None:
    bare = []
    for name in _modules():
        path = PACKAGE.joinpath(*name.split(".")[1:])
        file = path / "__init__.py" if path.is_dir() else path.with_suffix(".py")
        if not ast.get_docstring(ast.parse(file.read_text(encoding="utf-8"))):
            bare.append(name)
    assert len(_modules()) > 150
    assert bare == []


def test_the_version_is_the_same_everywhere() -> None:
    project = (ROOT / "pyproject.toml").read_text()
    assert f'version = "{surefoot.__version__}"' in project
    assert f"\n## {surefoot.__version__}\n" in (ROOT / "CHANGELOG.md").read_text()


@pytest.mark.parametrize("line", sorted(set(commands())), ids=lambda line: line.command[:60])
def test_every_shown_command_is_one(line: Line, capsys: pytest.CaptureFixture[str]) -> None:
    words = shlex.split(line.command, comments=True)[1:]
    for sign in ("|", ">", "<", "&&"):
        if sign in words:
            words = words[: words.index(sign)]
    try:
        options = parser_for(COMMANDS, NOUNS, words).parse_args(words)
    except SystemExit:
        pytest.fail(f"{line.page}: {line.command}: {capsys.readouterr().err}")
    asked_for_words = options.show_version or getattr(options, "command", None) is not None
    assert asked_for_words, f"{line.page}: {line.command} names no command"


def test_commands_in_prose_exist() -> None:
    """`surefoot noun verb` in backticks, on any page, names a command."""
    known = {c.words for c in COMMANDS}
    nouns = {c.noun for c in COMMANDS}
    wrong: list[str] = []
    for page in pages():
        for words in re.findall(r"`surefoot ([a-z][a-z -]*)", " ".join(page.read_text().split())):
            first, *rest = words.split()
            if not (
                first in known or (first in nouns and f"{first} {' '.join(rest[:1])}" in known)
            ):
                wrong.append(f"{page.relative_to(ROOT)}: {words}")
    assert wrong == []


def test_the_settings_of_a_data_folder_are_documented() -> None:
    text = _page("data-folder.md")
    names = Settings.__struct_fields__
    assert [name for name in names if f"| `{name}` |" not in text] == []


def test_the_files_of_a_data_folder_are_documented(tmp_path: Path) -> None:
    founders = tuple(
        FounderKey(person=name, key=private_key(name.encode() * 16).public.line())
        for name in ("an", "bo")
    )
    settings = Settings(installation="try", product="try", repository=str(tmp_path))
    initialise(tmp_path / "data", settings, founders)
    text = _page("data-folder.md")
    made = [p for p in (tmp_path / "data").rglob("*") if p.is_file()]
    names = {str(p.relative_to(tmp_path / "data")) for p in made if p.parent.name != "store"}
    assert "keys/log" in names
    assert sorted(name for name in names if f"`{name}`" not in text) == []


def test_every_word_of_the_product_is_in_the_glossary() -> None:
    text = _page("glossary.md")
    assert [word for word in WORDS if f"\n| {word} |" not in text] == []


def test_the_gates_and_targets_have_pages() -> None:
    gates = _page("gates.md")
    names = [p.stem for p in (PACKAGE / "gates").glob("*.py") if "class" in p.read_text()]
    for name in ("tests", "smoke", "secrets", "provenance"):
        assert name in names and name in gates
    for name in ("process", "database", "fleet"):
        assert Path(REFERENCE / "targets" / f"{name}.md").is_file()
