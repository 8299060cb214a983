"""A tool that hangs, floods, dies or reports nothing is told as what it is."""

import os
import sys
import time
from pathlib import Path

import pytest

from surefoot.core.errors import Failed
from surefoot.gates.tool import ToolRun, run_tool


def run(code: str, folder: Path, seconds: float = 90, size: int = 1_000_000) -> ToolRun:
    return run_tool(
        [sys.executable, "-c", code], folder=folder, timeout_seconds=seconds, output_bytes_max=size
    )


def test_output_errors_and_status_are_reported(tmp_path: Path) -> None:
    done = run("import sys; print('out'); print('err', file=sys.stderr); sys.exit(3)", tmp_path)
    assert (done.exit_status, done.output, done.errors) == (3, b"out\n", b"err\n")
    assert done.trouble == ""


def test_the_environment_is_minimal(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CI_TOKEN", "do-not-pass-on")
    done = run("import os; print(sorted(os.environ), os.getcwd(), os.environ['HOME'])", tmp_path)
    assert b"CI_TOKEN" not in done.output and str(tmp_path).encode() in done.output


def test_a_tool_that_hangs_is_ended_with_its_children(tmp_path: Path) -> None:
    code = (
        "import subprocess, sys, time\n"
        "child = subprocess.Popen([sys.executable, '-c', 'import time; time.sleep(60)'])\n"
        "open('child', 'w').write(str(child.pid)); time.sleep(60)"
    )
    for seconds in (1.5, 6, 24):
        done = run(code, tmp_path, seconds=seconds)
        assert done.trouble == "did not end in time"
        if (tmp_path / "child").exists():
            break
    assert _gone(int((tmp_path / "child").read_text()))


def test_a_child_left_behind_is_ended_too(tmp_path: Path) -> None:
    code = (
        "import subprocess, sys\n"
        "child = subprocess.Popen([sys.executable, '-c', 'import time; time.sleep(60)'],"
        " stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)\n"
        "open('child', 'w').write(str(child.pid))"
    )
    assert run(code, tmp_path).trouble == ""
    assert _gone(int((tmp_path / "child").read_text()))


def test_a_flood_is_ended_and_told(tmp_path: Path) -> None:
    done = run("while True: print('x' * 1000)", tmp_path, size=100_000)
    assert done.trouble == "printed more than 100000 bytes"
    assert len(done.output) < 300_000


def test_a_tool_that_dies_by_a_signal_is_told(tmp_path: Path) -> None:
    done = run("import os; print('[]', flush=True); os.kill(os.getpid(), 9)", tmp_path)
    assert done.trouble == "ended by signal 9"


def test_a_missing_tool_is_an_error(tmp_path: Path) -> None:
    with pytest.raises(Failed, match="install the tool"):
        run_tool(["no-such-tool-anywhere"], folder=tmp_path, timeout_seconds=1)


def _gone(pid: int) -> bool:
    for _ in range(4500):
        try:
            os.kill(pid, 0)
            if Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] == "Z":
                return True
        except (ProcessLookupError, FileNotFoundError):
            return True
        time.sleep(0.02)
    return False
