"""All benchmarks in one run, one after the other, each beside its reference; ends with a summary.

    make bench        or        .venv/bin/python benchmarks/run.py [NAME ...]

Absolute figures belong to this machine on this day; the ratios are what to compare.
"""

from __future__ import annotations

import os
import platform
import subprocess
import sys
import time
from pathlib import Path

HERE = Path(__file__).resolve().parent
ORDER = ("journal", "proof", "engine", "device_door", "download", "keeper", "cli")


def main(names: list[str]) -> int:
    """Run the named benchmarks, else all; returns the number that could not be run."""
    print(
        f"machine: {platform.machine()}, {os.cpu_count()} cores, Python {platform.python_version()}"
    )
    bad = 0
    for name in names or ORDER:
        script = HERE / f"{name}.py"
        print(f"\n== {name}", flush=True)
        begun = time.monotonic()
        status = subprocess.run([sys.executable, str(script)], check=False).returncode
        print(f"== {name}: exit {status}, {time.monotonic() - begun:.0f} s", flush=True)
        bad += status != 0
    return bad


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
