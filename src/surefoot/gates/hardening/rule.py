"""Rules as data: what is looked at, what is expected, why, and how to put it right.

Keeps: an unknown key, a duplicate name, a pattern that does not compile or a rule without a test of
anything is refused when the rules are loaded, not when they run. The file's name is the group.
Does not: look.
"""

from __future__ import annotations

from collections.abc import Iterable
from functools import cache
from importlib.resources import files
from typing import Annotated, Literal, TypeAlias

import msgspec
from msgspec import Meta

from surefoot.core.errors import Refused
from surefoot.gates.hardening.formats import FORMATS
from surefoot.product.node import Trouble, read_tree
from surefoot.product.read import Mistake, Reader

Name = Annotated[str, Meta(pattern=r"[a-z][a-z0-9-]{2,60}", description="a name")]
Line = Annotated[str, Meta(min_length=1, max_length=400, pattern=r"[^\x00-\x1f\x7f]+")]
Title = Annotated[str, Meta(min_length=4, max_length=100, pattern=r"[^\x00-\x1f\x7f]+")]
Path = Annotated[str, Meta(pattern=r"/[^\x00-\x20\x7f]*", description="a path from the root")]
Octal = Annotated[str, Meta(pattern=r"0[0-7]{3,4}", description="a mode like 0640")]
Severity = Literal["low", "medium", "high", "critical"]


class Modes(msgspec.Struct, frozen=True, kw_only=True, tag_field="kind", tag="modes"):
    """Files of these patterns have no more than this mode, and one of these owners."""

    paths: Annotated[tuple[Path, ...], Meta(min_length=1)]
    at_most: Octal
    owners: tuple[str, ...] = ("root",)
    groups: tuple[str, ...] = ()


class Tree(msgspec.Struct, frozen=True, kw_only=True, tag_field="kind", tag="tree"):
    """Nothing of this sort is below these folders; `known` are patterns of what may be."""

    sort: Literal["world-writable", "setuid", "unowned", "open-key", "open-folder"]
    below: Annotated[tuple[Path, ...], Meta(min_length=1)]
    known: tuple[str, ...] = ()


class Setting(msgspec.Struct, frozen=True, kw_only=True, tag_field="kind", tag="setting"):
    """A value of a configuration: each scope that meets `when` and not `unless` is judged.

    `absent` is what counts where nothing is set; without it, only what is set is judged.
    `meaning` says in words what is expected, where key and value do not.
    `only` and `never` are words of a list with patterns; `all_of` must be among them.
    """

    form: str
    key: Annotated[str, Meta(min_length=1, max_length=80)]
    absent: str | None = None
    meaning: Line | None = None
    allowed: tuple[str, ...] = ()
    refused: tuple[str, ...] = ()
    at_least: int | None = None
    at_most: int | None = None
    only: tuple[str, ...] = ()
    never: tuple[str, ...] = ()
    all_of: tuple[str, ...] = ()
    when: dict[str, tuple[str, ...]] = {}
    unless: dict[str, tuple[str, ...]] = {}


Check: TypeAlias = Modes | Tree | Setting
TESTS = ("allowed", "refused", "at_least", "at_most", "only", "never", "all_of")

_FAMILY = {"at_most": "at_least"}
_NONE: tuple[object, ...] = ((), None)


class Rule(msgspec.Struct, frozen=True, kw_only=True):
    """One rule. `references` are names of documents with the number in them."""

    id: Name
    title: Title
    reason: Line
    severity: Severity
    fix: Line
    check: Check
    references: Annotated[tuple[Line, ...], Meta(max_length=8)] = ()
    group: str = ""


class RuleFile(msgspec.Struct, frozen=True, kw_only=True):
    """A file of rules of one group."""

    rules: Annotated[tuple[Rule, ...], Meta(min_length=1)]


def load(content: bytes, group: str) -> tuple[Rule, ...]:
    """The rules of one file. Raises `Refused("hardening.rules.input")` with every mistake."""
    reader = Reader()
    try:
        read = reader.read(read_tree(content), RuleFile)
    except Trouble as trouble:
        raise _refused(
            group,
            [Mistake(place=trouble.place, path=(), expected=trouble.expected, found=trouble.found)],
        ) from None
    if reader.mistakes:
        raise _refused(group, reader.mistakes)
    assert isinstance(read, RuleFile)
    rules = tuple(msgspec.structs.replace(rule, group=group) for rule in read.rules)
    check(rules, group)
    return rules


def check(rules: Iterable[Rule], group: str) -> None:
    """What must hold between rules. Raises `Refused`."""
    seen: set[str] = set()
    for rule in rules:
        if rule.id in seen:
            raise _complaint(group, rule, "an id of its own", "it stands there already")
        seen.add(rule.id)
        if rule.group and not rule.id.startswith(rule.group.rstrip("s")):
            raise _complaint(group, rule, f"an id that begins with {rule.group}", rule.id)
        tested = rule.check
        if isinstance(tested, Setting):
            if tested.form != "sysctl" and tested.form not in FORMATS:
                raise _complaint(group, rule, "a form that is known", tested.form[:40])
            tests = {
                _FAMILY.get(name, name) for name in TESTS if getattr(tested, name) not in _NONE
            }
            if len(tests) != 1:
                raise _complaint(group, rule, "one of " + ", ".join(TESTS), "none, or several")


@cache
def standard() -> tuple[Rule, ...]:
    """The rules of the package, by group and in their order."""
    folder = files("surefoot.gates.hardening") / "rules"
    found: list[Rule] = []
    for file in sorted(folder.iterdir(), key=lambda each: each.name):
        if file.name.endswith(".yaml"):
            found += load(file.read_bytes(), file.name.removesuffix(".yaml"))
    check([msgspec.structs.replace(rule, group="") for rule in found], "all")
    return tuple(found)


def _complaint(group: str, rule: Rule, expected: str, found: str) -> Refused:
    return Refused(
        "hardening.rules.input",
        f"rule {rule.id} of {group}",
        expected=expected,
        found=found,
        remedy="correct the rule",
    )


def _refused(group: str, mistakes: list[Mistake]) -> Refused:
    first = min(mistakes, key=lambda m: m.place)
    path = ".".join(str(part) for part in first.path)
    return Refused(
        "hardening.rules.input",
        f"rules of {group}, line {first.place.line} {path}".rstrip(),
        expected=first.expected,
        found=first.found,
        remedy=first.remedy or "correct the rule",
    )
