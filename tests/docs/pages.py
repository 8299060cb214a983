"""What the tests of the documentation read: pages, their headings, links and console blocks."""

from __future__ import annotations

import re
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

ROOT = Path(__file__).resolve().parents[2]
DOCS = ROOT / "docs"

_FENCE = re.compile(r"^```(\w*)\n(.*?)^```$", re.MULTILINE | re.DOTALL)
_LINK = re.compile(r"\]\(([^)\s]+)\)")


class Line(NamedTuple):
    """A command as a page shows it."""

    page: str
    command: str


def tracked() -> list[Path]:
    """Every file that belongs to the project, new ones included."""
    listed = subprocess.run(
        ["git", "ls-files", "-z", "--cached", "--others", "--exclude-standard"],
        cwd=ROOT,
        capture_output=True,
        check=False,
    )
    if listed.returncode:
        # An unpacked archive has no git: everything that is there then belongs to it.
        hidden = {".venv", "__pycache__", ".git"}
        found = (p for p in ROOT.rglob("*") if p.is_file() and not hidden & set(p.parts))
        return sorted(found)
    names = listed.stdout.decode().split("\0")
    return sorted(ROOT / name for name in names if name and (ROOT / name).is_file())


def pages() -> list[Path]:
    """Every page of prose in the project, without those that the example ships."""
    return [p for p in tracked() if p.suffix == ".md"]


def prose(page: Path) -> str:
    """The text without its fenced and indented blocks and without code spans."""
    text = _FENCE.sub("", page.read_text(encoding="utf-8"))
    lines = [line for line in text.splitlines() if not line.startswith("    ")]
    return re.sub(r"`[^`\n]*`", "", "\n".join(lines))


def links(page: Path) -> list[str]:
    """Where a page's links go, as written."""
    return _LINK.findall(prose(page))


def anchors(page: Path) -> set[str]:
    """The anchors of a page's headings, as GitHub and GitLab make them."""
    text = _FENCE.sub("", page.read_text(encoding="utf-8"))
    found: set[str] = set()
    for line in text.splitlines():
        if re.match(r"#{1,6} ", line):
            title = re.sub(r"\[([^]]*)\]\([^)]*\)", r"\1", line.lstrip("#").strip().lower())
            found.add(re.sub(r"[^\w\- ]", "", title).replace(" ", "-"))
    return found


def blocks(page: Path, language: str) -> Iterator[str]:
    """The fenced blocks of a page in a language."""
    for kind, content in _FENCE.findall(page.read_text(encoding="utf-8")):
        if kind == language:
            yield content


def commands() -> list[Line]:
    """Every `$ surefoot ...` line of every console block."""
    return [
        Line(str(page.relative_to(ROOT)), line.removeprefix("$ "))
        for page in pages()
        for block in blocks(page, "console")
        for line in block.splitlines()
        if line.startswith("$ surefoot ")
    ]
