"""Which commit last set each line of a file, from the repository's own objects.

Keeps: every version of the file is read by name and hashed again; neither git's blame nor any
configuration of the repository takes part. A line belongs to the newest commit on some path of
history in which it was not there before; a merge sets only what none of its parents had.
Does not: follow renames or moved lines, or say who a person is.
"""

from __future__ import annotations

import difflib
from collections.abc import Mapping, Sequence
from pathlib import Path

from surefoot.core.errors import Refused
from surefoot.supply.source import ObjectReader, run

VERSIONS_MAX = 2_000
FILE_BYTES_MAX = 256 * 1024
LINES_MAX = 10_000

Ancestry = Mapping[str, Sequence[str]]


def last_set(repository: Path, commit: str, path: str) -> tuple[str, ...]:
    """The commit that last set each line of a file at a commit, in the lines' order.

    Raises `Refused("source.history.size")` beyond the bounds, and as the reader does.
    """
    words = ("rev-list", "--topo-order", "--full-history", "--parents")
    listed = run(repository, *words, f"--max-count={VERSIONS_MAX + 1}", commit, "--", path)
    ancestry = {line.split()[0]: line.split()[1:] for line in listed.decode().splitlines()}
    if len(ancestry) > VERSIONS_MAX:
        raise _too_much(path, f"at most {VERSIONS_MAX} versions")
    blobs: dict[str, tuple[str, ...]] = {}
    with ObjectReader(repository) as reader:
        versions = {name: _lines(reader, name, path, blobs) for name in ancestry}
    return attribute(ancestry, versions)


def attribute(ancestry: Ancestry, versions: Mapping[str, tuple[str, ...]]) -> tuple[str, ...]:
    """The commit for each line of the first version. Children come before their parents."""
    newest = next(iter(ancestry), "")
    lines = versions.get(newest, ())
    found = [""] * len(lines)
    wanted: dict[str, dict[int, list[int]]] = {newest: {n: [n] for n in range(len(lines))}}
    for commit, parents in ancestry.items():
        left = wanted.pop(commit, {})
        for parent in parents:
            if not left:
                break
            _pass_on(versions[commit], versions.get(parent, ()), left, wanted, parent)
        for places in left.values():
            for place in places:
                found[place] = commit
    return tuple(found)


def _pass_on(
    lines: tuple[str, ...],
    before: tuple[str, ...],
    left: dict[int, list[int]],
    wanted: dict[str, dict[int, list[int]]],
    parent: str,
) -> None:
    """Hand the lines that the parent had too to the parent."""
    if not before:
        return
    matcher = difflib.SequenceMatcher(None, before, lines, autojunk=False)
    for match in matcher.get_matching_blocks():
        for offset in range(match.size):
            places = left.pop(match.b + offset, None)
            if places is not None:
                theirs = wanted.setdefault(parent, {})
                theirs.setdefault(match.a + offset, []).extend(places)


def _lines(
    reader: ObjectReader, commit: str, path: str, blobs: dict[str, tuple[str, ...]]
) -> tuple[str, ...]:
    """The file's lines at a commit; none where there was no such file."""
    try:
        mode, name = reader.below(reader.commit(commit).tree, path)
    except Refused as refused:
        if refused.code != "source.path.unknown":
            raise
        return ()
    if mode & 0o170000 != 0o100000:
        return ()
    if name not in blobs:
        content = reader.read(name, "blob", FILE_BYTES_MAX)
        lines = tuple(content.decode(errors="replace").split("\n"))
        if len(lines) > LINES_MAX:
            raise _too_much(path, f"at most {LINES_MAX} lines")
        blobs[name] = lines
    return blobs[name]


def _too_much(path: str, expected: str) -> Refused:
    return Refused("source.history.size", path[:200], expected=expected, found="more")
