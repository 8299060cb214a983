"""The walk through one deployment names functions; a tracer sees them called in that order."""

from __future__ import annotations

import importlib
import re
import sys
from collections.abc import Iterator
from pathlib import Path
from types import FrameType
from typing import Any

import pytest

from surefoot.testing.simulator import Node

PAGE = Path(__file__).resolve().parents[2] / "docs" / "explanation" / "one-deployment.md"
ROOMS = "app|core|engine|journal|store|targets|trust"
NAMED = re.compile(rf"`((?:{ROOMS})(?:\.\w+){{2,3}})`")
UNTRACED = ("app.", "engine.loop.")


def named() -> list[str]:
    text = PAGE.read_text().partition("## 1.")[2]
    return NAMED.findall(text)


@pytest.fixture(scope="module")
def calls(tmp_path_factory: pytest.TempPathFactory) -> Iterator[list[str]]:
    """Every function of ours that the second deployment called, in order."""
    node = Node(tmp_path_factory.mktemp("walk") / "installation", "walker")
    node.prepare()
    seen: list[str] = []

    def note(frame: FrameType, event: str, _: Any) -> None:
        if event == "call":
            module = frame.f_globals.get("__name__", "")
            if module.startswith("surefoot."):
                name = f"{module}.{frame.f_code.co_qualname}"
                seen.append(name.removeprefix("surefoot."))

    before = sys.getprofile()
    sys.setprofile(note)
    try:
        status = node.deploy("1.1.0")
    finally:
        sys.setprofile(before)
        node.close()
    assert status == "succeeded"
    yield seen


@pytest.mark.parametrize("name", sorted(set(named())))
def test_each_named_function_exists(name: str) -> None:
    room, module, *rest = name.split(".")
    found: Any = importlib.import_module(f"surefoot.{room}.{module}")
    for part in rest:
        found = getattr(found, part)
    assert callable(found)


def test_the_functions_are_called_in_the_order_of_the_page(calls: list[str]) -> None:
    traced = [name for name in named() if not name.startswith(UNTRACED)]
    assert len(traced) > 30, "the walk has lost its steps"
    at = 0
    for name in traced:
        later = [i for i in range(at, len(calls)) if calls[i] == name]
        assert later, f"{name} is not called after {calls[at - 1]}"
        at = later[0] + 1
