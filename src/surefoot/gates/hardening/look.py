"""What rules see of a machine, wherever it is: files by path, kernel values, sockets.

Keeps: a rule does not know whether it looks at the host, at a root file system in a folder, or into
an artifact; what cannot be seen is `Unseen`, which is never the same as "not there"; no path leads
out of the root. Does not: judge.
"""

from __future__ import annotations

from collections.abc import Iterator
from fnmatch import fnmatchcase
from typing import Literal, Protocol

import msgspec

FILE_BYTES_MAX = 4 * 1024 * 1024
HOPS_MAX = 40
ENTRIES_MAX = 1_000_000

Kind = Literal["file", "folder", "link", "other"]


class Unseen(Exception):
    """Something is there, or may be, and could not be looked at: `path` and why."""

    def __init__(self, path: str, why: str) -> None:
        super().__init__(f"{path}: {why}")


class Stat(msgspec.Struct, frozen=True, kw_only=True):
    """A file's own facts; `mode` are the twelve permission bits."""

    kind: Kind
    mode: int
    uid: int
    gid: int
    size_bytes: int = 0


class Socket(msgspec.Struct, frozen=True, kw_only=True):
    """A listening socket of the machine."""

    protocol: Literal["tcp", "udp"]
    address: str
    port: int


class Look(Protocol):
    """Paths are absolute in the root. Reads nothing twice and changes nothing."""

    @property
    def whole(self) -> bool:
        """Whether it is a machine's whole root, not a part like an artifact."""

    @property
    def live(self) -> bool:
        """Whether a kernel runs here, which can be asked for values and sockets."""

    def read(self, path: str) -> bytes | None:
        """A regular file's bytes, links followed inside; None when there is none.

        Raises `Unseen` for what may not be read, is too large, or is no regular file.
        """

    def stat(self, path: str, follow: bool = True) -> Stat | None:
        """The facts of what is there; None for nothing. Raises `Unseen`."""

    def link(self, path: str) -> str:
        """Where a link leads, as written; empty for what is no link. Raises `Unseen`."""

    def names(self, folder: str) -> list[str] | None:
        """The sorted names in a folder; None when there is no folder. Raises `Unseen`."""

    def entries(self, folder: str) -> dict[str, Stat] | None:
        """As `names`, each with its own facts, links not followed. Raises `Unseen`."""

    def sysctl(self, key: str) -> str:
        """The kernel's value now. Raises `Unseen`, also when the kernel has no such value."""

    def sockets(self) -> tuple[Socket, ...]:
        """What listens now. Raises `Unseen` where nothing runs."""


def text_of(look: Look, path: str) -> str | None:
    """A configuration file as text. Raises `Unseen` for what is not UTF-8."""
    content = look.read(path)
    if content is None:
        return None
    try:
        return content.decode("utf-8")
    except UnicodeDecodeError:
        raise Unseen(path, "not UTF-8 text") from None


def glob(look: Look, pattern: str) -> list[str]:
    """Paths of a pattern with `*` and `?` in its parts, sorted; links are not followed at the end.

    Raises `Unseen` for a folder that cannot be listed.
    """
    found = [""]
    for part in [part for part in pattern.split("/") if part]:
        if not any(mark in part for mark in "*?["):
            found = [f"{path}/{part}" for path in found]
            continue
        found = [
            f"{path}/{name}"
            for path in found
            for name in look.names(path or "/") or ()
            if fnmatchcase(name, part) and (not name.startswith(".") or part.startswith("."))
        ]
    return [path for path in found if look.stat(path, follow=False) is not None]


def walk(look: Look, folder: str, unseen: list[str]) -> Iterator[tuple[str, Stat]]:
    """Everything below a folder and itself; links are not followed, folders unseen are noted.

    Raises `Unseen` when there is more than can be looked at.
    """
    start = look.stat(folder, follow=False)
    if start is None:
        return
    stack = [(folder, start)]
    count = 0
    while stack:
        path, stat = stack.pop()
        count += 1
        if count > ENTRIES_MAX:
            raise Unseen(folder, f"more than {ENTRIES_MAX} entries")
        yield path, stat
        if stat.kind != "folder":
            continue
        try:
            inside = look.entries(path) or {}
        except Unseen as error:
            unseen.append(str(error))
            continue
        stack += [(f"{path.rstrip('/')}/{name}", inside[name]) for name in reversed(inside)]


def resolve_name(uid: int, names: dict[str, int]) -> str:
    """The first name of a number, else the number."""
    return next((name for name, number in names.items() if number == uid), str(uid))


def ids_of(look: Look, path: str) -> dict[str, int]:
    """Names and numbers of `/etc/passwd` or `/etc/group`; empty where it is not there."""
    found: dict[str, int] = {}
    for line in (text_of(look, path) or "").splitlines():
        fields = line.split(":")
        if len(fields) > 2 and fields[2].isdecimal() and len(fields[2]) < 11:
            found.setdefault(fields[0], int(fields[2]))
    return found
