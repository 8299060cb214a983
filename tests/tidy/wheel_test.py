"""A wheel holds all that its commands need: every file of the package, and the example product."""

import subprocess
import sys
import zipfile
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]


def _tracked(folder: str) -> set[str]:
    words = ("git", "ls-files", "-z", folder)
    told = subprocess.run(words, cwd=ROOT, check=True, capture_output=True, text=True).stdout
    return set(told.split("\0")) - {""}


def test_a_wheel_holds_the_package_and_the_example(tmp_path: Path) -> None:
    copy = tmp_path / "checkout"
    for file in _tracked("."):
        (copy / file).parent.mkdir(parents=True, exist_ok=True)
        (copy / file).write_bytes((ROOT / file).read_bytes())
    words = ("-m", "pip", "wheel", "--quiet", "--no-deps", "--no-build-isolation", "--no-index")
    subprocess.run(
        (sys.executable, *words, "--wheel-dir", str(tmp_path), str(copy)),
        check=True,
        capture_output=True,
    )
    (wheel,) = tmp_path.glob("surefoot-*.whl")
    with zipfile.ZipFile(wheel) as archive:
        held = set(archive.namelist())
    wanted = {file.removeprefix("src/") for file in _tracked("src")}
    wanted |= {f"surefoot/{file}" for file in _tracked("examples")}
    assert sorted(wanted - held) == []
