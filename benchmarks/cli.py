"""Start-up of the command line beside the bare interpreter, alternating, in one run; prints JSON.

Limits held by eye, not by a test: help under 150 ms, a question under 250 ms, on an idle machine.
`python benchmarks/cli.py [ROUNDS]`.
"""

from __future__ import annotations

import json
import os
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

CLI = (sys.executable, "-m", "surefoot.doors.cli.main")


def timed(words: tuple[str, ...], folder: Path, environment: dict[str, str]) -> float:
    """Milliseconds of one run to its end."""
    started = time.perf_counter()
    done = subprocess.run(words, cwd=folder, env=environment, capture_output=True, check=False)
    assert done.returncode == 0, done.stderr
    return (time.perf_counter() - started) * 1000


def measure(folder: Path, environment: dict[str, str], rounds: int) -> dict[str, Any]:
    """Medians in milliseconds, and how many bare interpreters each is."""
    cases = {
        "interpreter": (sys.executable, "-c", "pass"),
        "help": (*CLI, "--help"),
        "verb_help": (*CLI, "deployment", "approve", "--help"),
        "question_public": (*CLI, "installation", "show"),
        "question_signed": (*CLI, "person", "list"),
    }
    times: dict[str, list[float]] = {name: [] for name in cases}
    for _ in range(rounds):
        for name, words in cases.items():
            times[name].append(timed(words, folder, environment))
    bare = statistics.median(times["interpreter"])
    return {
        name: {
            "p50_ms": round(statistics.median(t), 1),
            "ratio": round(statistics.median(t) / bare, 1),
        }
        for name, t in times.items()
    }


def main() -> None:
    """Make an installation, serve it, measure, end it."""
    rounds = int(sys.argv[1]) if len(sys.argv) > 1 else 15
    with tempfile.TemporaryDirectory(prefix="surefoot-") as name:
        folder = Path(name)
        environment = {**os.environ, "SUREFOOT_CONFIG": str(folder / "config.json")}
        prepare = [("key", "generate", "ann"), ("key", "generate", "bob")]
        founders = ("--founder", "ann=ann.pub", "--founder", "bob=bob.pub")
        prepare.append(("init", "data", *founders, "--repository", ".", "--product", "bench"))
        for words in prepare:
            timed((*CLI, *words), folder, environment)
        ports = ("--listen", "127.0.0.1:0", "--devices", "127.0.0.1:0", "-o", "json")
        server = subprocess.Popen(
            (*CLI, "server", "run", "--data", "data", *ports),
            cwd=folder,
            env=environment,
            stdout=subprocess.PIPE,
            text=True,
        )
        try:
            assert server.stdout is not None
            addresses = json.loads(server.stdout.readline())
            use = ("use", "--server", addresses["socket"], "--key", "ann")
            timed((*CLI, *use), folder, environment)
            print(json.dumps({"cli": measure(folder, environment, rounds)}, indent=2))
        finally:
            server.terminate()
            server.wait(30)


if __name__ == "__main__":
    main()
