"""Brings a checkout of the example to a later release, by copying that release's files over it.

Usage: python3 releases/apply.py RELEASE [--into FOLDER]

Files of releases/RELEASE/ replace the ones of the same path. `compatibility.yaml` there replaces
the section of that name in surefoot.yaml. A migration named NNNN_words.sql gets the next free
number. Releases build on one another: 1.1.0, then 1.2.0, then 1.2.1; `bad-migration` and
`old-dependency` go on any.
"""

from __future__ import annotations

import argparse
import re
import shutil
import sys
from pathlib import Path

HERE = Path(__file__).resolve().parent


def apply(release: Path, folder: Path) -> list[str]:
    """Copy; return the changed paths. Raises `SystemExit` for a release that is not there."""
    if not release.is_dir():
        known = sorted(path.name for path in HERE.iterdir() if path.is_dir())
        raise SystemExit(f"release: expected one of {', '.join(known)}, found {release.name!r}")
    changed = []
    for source in sorted(path for path in release.rglob("*") if path.is_file()):
        path = source.relative_to(release)
        if "__pycache__" in path.parts:
            continue
        if path == Path("compatibility.yaml"):
            path = Path("surefoot.yaml")
            _replace_section(folder / path, source.read_text())
        else:
            path = path.with_name(path.name.replace("NNNN_", _next_number(folder) + "_"))
            (folder / path).parent.mkdir(parents=True, exist_ok=True)
            shutil.copyfile(source, folder / path)
        changed.append(path.as_posix())
    return changed


def _next_number(folder: Path) -> str:
    numbers = [int(path.name[:4]) for path in (folder / "migrations").glob("[0-9]*.sql")]
    return f"{max(numbers, default=0) + 1:04d}"


def _replace_section(definition: Path, section: str) -> None:
    # From the section's own comment to the blank line before the next key.
    pattern = r"(?m)^# What works with what[^\n]*\ncompatibility:\n(?:[ #][^\n]*\n|\n(?=[ ]))*"
    text, count = re.subn(pattern, lambda _: section, definition.read_text())
    if count != 1:
        raise SystemExit(f"{definition}: expected one section compatibility, found {count}")
    definition.write_text(text)


def main() -> None:
    """The command line."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("release")
    parser.add_argument("--into", type=Path, default=HERE.parent, help="the checkout to change")
    words = parser.parse_args()
    for path in apply(HERE / words.release, words.into):
        sys.stdout.write(path + "\n")


if __name__ == "__main__":
    main()
