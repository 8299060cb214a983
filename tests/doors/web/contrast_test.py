"""Contrast of the colours the style sheet uses, light and dark (WCAG 2.2, 1.4.3 and 1.4.11)."""

import re

import pytest

from surefoot.doors.web.visit import static_files

SHEET = static_files()["surefoot.css"].content.decode()

TEXT = [
    *[(ink, on) for ink in ("ink", "ink-soft") for on in ("ground", "surface", "sunken")],
    *[("accent", on) for on in ("ground", "surface", "accent-ground", "sunken")],
    ("accent-ink", "accent"),
    ("ink", "accent-ground"),
    ("bar-ink", "bar"),
    ("bar-soft", "bar"),
    *[(f"{tone}-ink", f"{tone}-ground") for tone in ("ok", "run", "wait", "bad", "idle")],
    *[(f"{tone}-ink", "surface") for tone in ("ok", "run", "wait", "bad", "idle")],
    ("bad-ink", "ground"),
]
SHAPES = [
    *[("line-strong", on) for on in ("surface", "ground")],
    *[("focus", on) for on in ("surface", "ground", "sunken")],
    *[(f"share-{n}", "surface") for n in range(1, 7)],
]


def _colours(block: str) -> dict[str, str]:
    return dict(re.findall(r"--([a-z0-9-]+): (#[0-9a-f]{6});", block))


def _themes() -> dict[str, dict[str, str]]:
    light = _colours(SHEET.split("@media (prefers-color-scheme: dark)")[0])
    dark = _colours(SHEET.split("@media (prefers-color-scheme: dark)")[1].split("/* ----")[0])
    assert set(dark) == set(light)
    return {"light": light, "dark": dark}


def _luminance(colour: str) -> float:
    channels = [int(colour[i : i + 2], 16) / 255 for i in (1, 3, 5)]
    linear = [c / 12.92 if c <= 0.04045 else ((c + 0.055) / 1.055) ** 2.4 for c in channels]
    return 0.2126 * linear[0] + 0.7152 * linear[1] + 0.0722 * linear[2]


def _contrast(one: str, other: str) -> float:
    high, low = sorted((_luminance(one), _luminance(other)), reverse=True)
    return (high + 0.05) / (low + 0.05)


@pytest.mark.parametrize("theme", ["light", "dark"])
@pytest.mark.parametrize(("pairs", "least"), [(TEXT, 4.5), (SHAPES, 3.0)], ids=["text", "shapes"])
def test_pairs_can_be_told_apart(theme: str, pairs: list[tuple[str, str]], least: float) -> None:
    colours = _themes()[theme]
    found = {f"{a} on {b}": round(_contrast(colours[a], colours[b]), 2) for a, b in pairs}
    assert {pair: ratio for pair, ratio in found.items() if ratio < least} == {}


def test_colours_are_used_through_variables_alone() -> None:
    components = SHEET.split("/* ---- elements")[1]
    assert re.findall(r"#[0-9a-fA-F]{3,8}\b|rgba?\(|hsla?\(", components) == []
