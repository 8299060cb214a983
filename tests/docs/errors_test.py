"""Every error code that the source can raise is explained, and nothing else is."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator
from pathlib import Path

import pytest

from surefoot.core.errors import Refused
from surefoot.doors import codes
from surefoot.doors.cli import drivers, hardening, reference

ROOT = Path(__file__).resolve().parents[2]
FORM = re.compile(r"[a-z]+(?:-[a-z]+)*(?:\.[a-z]+(?:-[a-z]+)*)+")
KINDS = {"Refused": "refused", "Failed": "failed", "Corrupt": "corrupt"}
RAISING = re.compile(r"refus|fail|corrupt|bad|problem|mistake|taken|differ", re.IGNORECASE)
NO_CODES = {"table.column", "simulated.fault"}
"""Texts of that form which are no codes: words of an error, and a fault that tests inject."""


def _constants(node: ast.expr) -> Iterator[str]:
    if isinstance(node, ast.Constant) and isinstance(node.value, str):
        if FORM.fullmatch(node.value):
            yield node.value
    elif isinstance(node, ast.IfExp):
        yield from _constants(node.body)
        yield from _constants(node.orelse)


def _raised() -> Iterator[tuple[str, str, str]]:
    """Code, name of the call, and place."""
    for path in sorted((ROOT / "src").rglob("*.py")):
        for node in ast.walk(ast.parse(path.read_text())):
            if not isinstance(node, ast.Call):
                continue
            function = node.func
            name = function.id if isinstance(function, ast.Name) else ""
            name = function.attr if isinstance(function, ast.Attribute) else name
            if name not in KINDS and not RAISING.search(name):
                continue
            for argument in node.args[:2]:
                for code in _constants(argument):
                    yield code, name, f"{path.relative_to(ROOT)}:{node.lineno}"


def test_every_code_in_the_source_is_explained() -> None:
    known = codes.every()
    missing = {
        code: place for code, _, place in _raised() if code not in known and code not in NO_CODES
    }
    assert not missing, "add them to src/surefoot/doors/error_codes.json"


def test_every_explanation_says_the_kind_that_is_raised() -> None:
    known = codes.every()
    kinds: dict[str, set[str]] = {}
    for code, name, _ in _raised():
        if name in KINDS:
            kinds.setdefault(code, set()).add(KINDS[name])
    wrong = {
        code: found
        for code, found in kinds.items()
        if code in known and known[code].kind not in found
    }
    assert not wrong


def test_nothing_is_explained_that_cannot_happen() -> None:
    source = "\n".join(path.read_text() for path in (ROOT / "src").rglob("*.py"))
    dead = [name for name in codes.every() if "*" not in name and name not in source]
    assert not dead


def test_every_explanation_is_a_sentence_and_says_what_to_do() -> None:
    for code in codes.every().values():
        assert code.meaning.endswith("."), code.name
        assert code.do.endswith("."), code.name


def test_a_code_with_a_name_inside_is_found_by_its_pattern() -> None:
    assert codes.find("gate.tests.fail").name == "gate.*.fail"
    with pytest.raises(Refused, match=r"did you mean plan\.parent\.moved"):
        codes.find("plan.parent.move")


@pytest.mark.parametrize(
    ("page", "text"),
    [
        ("errors.md", reference.errors_page),
        ("cli.md", reference.cli_page),
        ("hardening-rules.md", hardening.page),
        ("targets/index.md", drivers.page),
    ],
)
def test_the_reference_page_is_the_one_made_from_the_table(page: str, text: object) -> None:
    assert callable(text)
    kept = (ROOT / "docs" / "reference" / page).read_text(encoding="utf-8")
    assert kept == text(), "renew: python -m surefoot.doors.cli.reference docs/reference"


def test_every_error_says_what_was_expected_and_found() -> None:
    """The remedy may come from the code's explanation; these two only the place itself knows."""
    silent = []
    for path in sorted((ROOT / "src").rglob("*.py")):
        for node in ast.walk(ast.parse(path.read_text())):
            if isinstance(node, ast.Call) and getattr(node.func, "id", "") in KINDS and node.args:
                given = {keyword.arg for keyword in node.keywords}
                if not {"expected", "found"} <= given:
                    silent.append(f"{path.relative_to(ROOT)}:{node.lineno}")
    assert silent == []


def test_a_remedy_that_is_missing_comes_from_the_explanation() -> None:
    bare = Refused("environment.unknown", "x", expected="y", found="z").record()
    assert codes.complete(bare)["remedy"] == codes.every()["environment.unknown"].do
    own = Refused("environment.unknown", "x", expected="y", found="z", remedy="do").record()
    assert codes.complete(own) == own
    stranger = {"code": "no.such.code", "remedy": ""}
    assert codes.complete(stranger) == stranger
