"""Plots as SVG text: no script, nothing fetched, colours of the page they stand in.

Keeps: whatever is written into them is escaped; at most `POINTS_MAX` points a line.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from html import escape

import msgspec

POINTS_MAX = 600
_WIDTH, _HEIGHT = 560, 230
_WIDE = 900
_TICK_GAP = 56
_LEFT, _RIGHT, _TOP, _BOTTOM = 56, 24, 12, 40


class Line(msgspec.Struct, frozen=True, kw_only=True):
    """One line of a plot; `colour` is a class of the page's style."""

    name: str
    colour: str
    points: Sequence[tuple[float, float]]
    stairs: bool = False


class Span(msgspec.Struct, frozen=True, kw_only=True):
    """One row of a plot of intervals: ratios, the limit, and how it came out."""

    name: str
    low: float
    middle: float
    high: float
    limit: float
    outcome: str


def lines(
    title: str,
    rows: Sequence[Line],
    *,
    unit: str,
    across: str,
    limits: Sequence[tuple[str, float]] = (),
    ticks: Sequence[tuple[float, str]] = (),
) -> str:
    """A plot of lines over a common axis; `ticks` are marks of that axis, else round numbers."""
    points = [point for row in rows for point in row.points]
    if not points:
        return ""
    first, last = min(x for x, _ in points), max(x for x, _ in points)
    highest = max([y for _, y in points] + [limit for _, limit in limits]) or 1.0
    steps = round_steps(highest)
    top = steps[-1]

    def x_of(x: float) -> float:
        return _LEFT + (x - first) / ((last - first) or 1.0) * (_WIDTH - _LEFT - _RIGHT)

    def y_of(y: float) -> float:
        return _HEIGHT - _BOTTOM - min(y, top) / top * (_HEIGHT - _TOP - _BOTTOM)

    parts = [_open(title, _WIDTH, _HEIGHT)]
    for step in steps:
        parts.append(_rule(y_of(step), f"{step:g}"))
    for x, label in ticks or [
        (x, f"{x:g}") for x in round_steps(last, 8) if first <= x <= last and x == int(x)
    ]:
        parts.append(f'<text class="tick" x="{x_of(x):.1f}" y="{_HEIGHT - 22}">{label}</text>')
    parts.append(f'<text class="axis" x="{_LEFT}" y="{_HEIGHT - 5}">{escape(across)}</text>')
    parts.append(
        f'<text class="axis up" x="12" y="{_HEIGHT / 2:.0f}" '
        f'transform="rotate(-90 12 {_HEIGHT / 2:.0f})">{escape(unit)}</text>'
    )
    for name, limit in limits:
        y = y_of(limit)
        parts.append(f'<path class="limit" d="M{_LEFT} {y:.1f}H{_WIDTH - _RIGHT}"/>')
        parts.append(
            f'<text class="limit" x="{_WIDTH - _RIGHT}" y="{y - 4:.1f}">{escape(name)}</text>'
        )
    for row in rows:
        parts.append(_path(row, x_of, y_of))
    return "".join([*parts, "</svg>", _legend(rows)])


def _path(row: Line, x_of: Callable[[float], float], y_of: Callable[[float], float]) -> str:
    points = thinned(row.points)
    if len(points) == 1:
        x, y = points[0]
        return f'<circle class="{row.colour} dot" cx="{x_of(x):.1f}" cy="{y_of(y):.1f}" r="3"/>'
    words = [f"M{x_of(points[0][0]):.1f} {y_of(points[0][1]):.1f}"]
    for x, y in points[1:]:
        words.append(
            f"H{x_of(x):.1f}V{y_of(y):.1f}" if row.stairs else f"L{x_of(x):.1f} {y_of(y):.1f}"
        )
    return f'<path class="{row.colour} line" d="{"".join(words)}"/>'


def spans(title: str, rows: Sequence[Span]) -> str:
    """A plot of ratios with their intervals; 1 is the same as the baseline."""
    if not rows:
        return ""
    height = _TOP + 26 * len(rows) + _BOTTOM
    reach = max([1.15] + [max(row.high, row.limit, 1 / max(row.low, 0.05)) for row in rows])
    reach = min(reach, 8.0)
    left, right = 300, _WIDE - 70

    def x_of(ratio: float) -> float:
        share = (math.log(min(max(ratio, 1 / reach), reach)) / math.log(reach) + 1) / 2
        return left + share * (right - left)

    parts = [_open(title, _WIDE, height)]
    bottom = height - _BOTTOM
    taken: list[float] = []
    for percent in (0, -50, 50, 10, -20, 20, 100, 200, 400):
        x = x_of(1 + percent / 100)
        far = all(abs(x - other) >= _TICK_GAP for other in taken)
        if far and 1 / reach < 1 + percent / 100 < reach:
            taken.append(x)
            kind = "zero" if percent == 0 else "grid"
            parts.append(f'<path class="{kind}" d="M{x:.1f} {_TOP}V{bottom}"/>')
            parts.append(f'<text class="tick" x="{x:.1f}" y="{bottom + 16}">{percent:+d} %</text>')
    for number, row in enumerate(rows):
        change = f"{100 * (row.middle - 1):+.1f} %"
        y = _TOP + 26 * number + 13
        limit = x_of(row.limit)
        parts.append(
            f'<text class="name" x="{left - 10}" y="{y + 4}">{escape(row.name[:38])}</text>'
            f'<path class="limit" d="M{limit:.1f} {y - 10}V{y + 10}"/>'
            f'<path class="{row.outcome} wide" d="M{x_of(row.low):.1f} {y}H{x_of(row.high):.1f}"/>'
            f'<circle class="{row.outcome} dot" cx="{x_of(row.middle):.1f}" cy="{y}" r="5"/>'
            f'<text class="value" x="{right + 8}" y="{y + 4}">{change}</text>'
        )
    return "".join([*parts, "</svg>"])


def round_steps(highest: float, most: int = 5) -> list[float]:
    """Round numbers from 0 to at least `highest`, about `most` of them."""
    if highest <= 0:
        return [0.0, 1.0]
    rough = highest / most
    scale = 10 ** math.floor(math.log10(rough))
    step = next((k * scale for k in (1, 2, 2.5, 5) if k * scale >= rough), 10 * scale)
    return [round(k * step, 10) for k in range(math.ceil(highest / step - 1e-9) + 1)]


def thinned(points: Sequence[tuple[float, float]]) -> list[tuple[float, float]]:
    """At most `POINTS_MAX` points; of several the highest stays, for peaks are what matters."""
    if len(points) <= POINTS_MAX:
        return list(points)
    size = math.ceil(len(points) / POINTS_MAX)
    return [
        max(points[i : i + size], key=lambda point: point[1]) for i in range(0, len(points), size)
    ]


def _open(title: str, width: int, height: int) -> str:
    return (
        f'<svg viewBox="0 0 {width} {height}" role="img" aria-label="{escape(title)}">'
        f"<title>{escape(title)}</title>"
    )


def _rule(y: float, label: str) -> str:
    return (
        f'<path class="grid" d="M{_LEFT} {y:.1f}H{_WIDTH - _RIGHT}"/>'
        f'<text class="side" x="{_LEFT - 8}" y="{y + 4:.1f}">{label}</text>'
    )


def _legend(rows: Sequence[Line]) -> str:
    items = "".join(
        f'<li><span class="{row.colour}"></span>{escape(row.name)}</li>' for row in rows
    )
    return f'<ul class="legend">{items}</ul>'
