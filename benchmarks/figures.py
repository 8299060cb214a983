"""Figures of a benchmark: each with its aim, if it has one, and whether that was met."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

HERE = Path(__file__).resolve().parent
AIMS = {
    "poll_ratio": (">=", 0.6),
    "bytes_a_device": ("<=", 400),
    "plan_seconds": ("<=", 10),
    "wave_seconds": ("<=", 5),
    "page_ms": ("<=", 200),
    "reports_per_second": (">=", 3_000),
    "lost": ("<=", 0),
    "download_ratio": (">=", 0.9),
}
_results: dict[str, list[str]] = {"met": [], "missed": []}


def say(name: str, value: float | str, aim: str = "") -> None:
    """One figure. `aim` names a bound in `AIMS`."""
    told = ""
    if aim:
        sign, limit = AIMS[aim]
        number = float(value)
        met = number >= limit if sign == ">=" else number <= limit
        _results["met" if met else "missed"].append(name)
        told = f"{sign} {limit:g}  {'met' if met else 'MISSED'}"
    shown = f"{value:,}" if isinstance(value, int | float) else value
    print(f"{name:<58} {shown:>12}  {told}".rstrip(), flush=True)


def summary() -> None:
    """How many aims were met, and which were not."""
    met, missed = _results["met"], _results["missed"]
    print(f"aims met: {len(met)} of {len(met) + len(missed)}")
    for name in missed:
        print(f"missed: {name}")


def asked(script: str, *words: str) -> list[dict[str, Any]]:
    """Another benchmark in a process of its own; the JSON objects that it prints."""
    command: Sequence[str] = (sys.executable, script, *words)
    done = subprocess.run(command, check=True, cwd=HERE, stdout=subprocess.PIPE, text=True)
    return [json.loads(line) for line in done.stdout.splitlines() if line.startswith("{")]
