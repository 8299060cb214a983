"""`device simulate` without an environment: a whole rollout on this machine, and its books.

Keeps: nothing of an installation is touched; everything is in a temporary folder that goes at the
end. Books that do not balance end the command with the status of what is corrupt.
"""

from __future__ import annotations

import argparse
import importlib
import re
import tempfile
from pathlib import Path
from typing import Any

import msgspec

from surefoot.core.errors import Corrupt, Refused
from surefoot.doors.cli import asking, show
from surefoot.doors.cli.progress import progress_for

_COUNT_MAX = 1_000_000
_STORMS_MAX = 20
_PERCENT = re.compile(r"(\d{1,2}(?:\.\d{1,3})?)%?")


def run(options: argparse.Namespace) -> None:
    """Roll out, close the books, show them. Raises `Corrupt` when they do not balance."""
    # By name: it brings a device door with it, which the other commands need not load.
    drill: Any = importlib.import_module("surefoot.testing.drill")
    wanted = drill.Drill(**_wanted(options))
    progress = progress_for(options.output, f"{wanted.count} devices")
    with tempfile.TemporaryDirectory(prefix="surefoot-drill-") as folder:
        try:
            found = drill.run(wanted, Path(folder), progress.step)
        finally:
            progress.end()
    if options.output == "json":
        books = [line._asdict() for line in found.books]
        asking.emit(options, {**msgspec.to_builtins(found, str_keys=True), "books": books})
    else:
        _show(found)
    if not found.balances:
        raise _unbalanced(found)


def _show(found: Any) -> None:
    show.table(
        ("books", "expected", "found", ""),
        [
            (line.what, line.expected, line.found, "" if line.expected == line.found else "DIFFER")
            for line in found.books
        ],
    )
    show.line()
    seen = {**found.counts, "answers": found.statuses}
    show.fields([("seconds", found.seconds), ("rollout", found.verdict), *seen.items()])


def _wanted(options: argparse.Namespace) -> dict[str, Any]:
    count = int(options.devices) if options.devices.isascii() and options.devices.isdigit() else 0
    if not 1 <= count <= _COUNT_MAX:
        found = f"--devices {options.devices[:40]}"
        raise _refused(f"an environment, or --devices from 1 to {_COUNT_MAX}", found)
    if not 0 <= options.storms <= _STORMS_MAX:
        raise _refused(f"--storms from 0 to {_STORMS_MAX}", str(options.storms))
    return {
        "count": count,
        "failures_percent": _percent("--failures", options.failures),
        "silent_percent": _percent("--silent", options.silent),
        "duplicates_percent": _percent("--duplicates", options.duplicates),
        "storms": options.storms,
        "seed": options.seed,
    }


def _percent(name: str, text: str) -> float:
    found = _PERCENT.fullmatch(text)
    if found is None:
        raise _refused(f"{name} as a share below 100%, like 2%", text[:40])
    return float(found.group(1))


def _refused(expected: str, found: str) -> Refused:
    return Refused(
        "device.simulate.input",
        "simulated devices",
        expected=expected,
        found=found,
        remedy="see: surefoot device simulate --help",
    )


def _unbalanced(found: Any) -> Corrupt:
    bad = [line for line in found.books if line.expected != line.found]
    return Corrupt(
        "device.simulate.books",
        f"{bad[0].what} ({len(bad)} lines differ)",
        expected=str(bad[0].expected),
        found=str(bad[0].found),
        remedy="run it again with the same --seed, and report what you see",
    )
