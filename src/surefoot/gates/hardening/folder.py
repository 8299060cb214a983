"""A root file system in a folder, and the local host, which is the one at `/` with a kernel.

Keeps: every step of a path is taken by itself, from an open folder, without following links; a link
is read and resolved inside the root, `..` stops at the root: nothing outside is ever opened, even
when the tree changes meanwhile. Does not: write.
"""

from __future__ import annotations

import errno
import ipaddress
import os
import stat as modes
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Literal, TypeVar

from surefoot.gates.hardening.look import FILE_BYTES_MAX, HOPS_MAX, Kind, Socket, Stat, Unseen

_LISTED = os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC
# A folder on the way need not be readable, only passable.
_PASSED = os.O_PATH | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC
_FILE = os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC
_PIECE_BYTES = 64 * 1024
_LISTENING = "0A"
_Listed = TypeVar("_Listed", list[str], dict[str, Stat])


class FolderLook:
    """A root file system in a folder: what needs a running kernel is not seen."""

    whole = True
    live = False

    def __init__(self, root: Path) -> None:
        self._root = root

    def read(self, path: str) -> bytes | None:
        """See `Look`."""
        try:
            with self._parent(path) as found:
                if found is None:
                    return None
                folder, name = found
                # Looked at before it is opened: opening a device may do something.
                at = os.stat(name or ".", dir_fd=folder, follow_symlinks=False)
                if not modes.S_ISREG(at.st_mode):
                    raise Unseen(path, "no regular file")
                descriptor = os.open(name or ".", _FILE, dir_fd=folder)
                try:
                    if not modes.S_ISREG(os.fstat(descriptor).st_mode):
                        raise Unseen(path, "no regular file")
                    content = _content(descriptor)
                finally:
                    os.close(descriptor)
        except FileNotFoundError:
            return None
        except OSError as error:
            raise Unseen(path, _words(error)) from None
        if len(content) > FILE_BYTES_MAX:
            raise Unseen(path, f"larger than {FILE_BYTES_MAX} bytes")
        return content

    def stat(self, path: str, follow: bool = True) -> Stat | None:
        """See `Look`."""
        try:
            with self._parent(path, follow) as found:
                if found is None:
                    return None
                folder, name = found
                return _stat(os.stat(name or ".", dir_fd=folder, follow_symlinks=False))
        except FileNotFoundError:
            return None
        except OSError as error:
            raise Unseen(path, _words(error)) from None

    def link(self, path: str) -> str:
        """See `Look`."""
        try:
            with self._parent(path, follow=False) as found:
                if found is None or not found[1]:
                    return ""
                return os.readlink(found[1], dir_fd=found[0])
        except OSError as error:
            # EINVAL: no link.
            if error.errno in (errno.EINVAL, errno.ENOENT):
                return ""
            raise Unseen(path, _words(error)) from None

    def names(self, folder: str) -> list[str] | None:
        """See `Look`."""
        found = self._listed(folder, os.listdir)
        return None if found is None else sorted(found)

    def entries(self, folder: str) -> dict[str, Stat] | None:
        """See `Look`."""
        return self._listed(folder, _entries)

    def _listed(self, folder: str, read: Callable[[int], _Listed]) -> _Listed | None:
        try:
            with self._parent(folder) as found:
                if found is None:
                    return None
                above, name = found
                opened = os.open(name or ".", _LISTED, dir_fd=above)
                try:
                    return read(opened)
                finally:
                    os.close(opened)
        except (FileNotFoundError, NotADirectoryError):
            return None
        except OSError as error:
            raise Unseen(folder, _words(error)) from None

    def sysctl(self, key: str) -> str:
        """See `Look`."""
        raise Unseen(key, "a folder has no kernel")

    def sockets(self) -> tuple[Socket, ...]:
        """See `Look`."""
        raise Unseen("listening sockets", "nothing runs in a folder")

    @contextmanager
    def _parent(self, path: str, follow: bool = True) -> Iterator[tuple[int, str] | None]:
        """The open folder that holds the last part of a path, and that part's name."""
        opened = [os.open(self._root, _PASSED & ~os.O_NOFOLLOW)]
        try:
            yield self._step(opened, path, follow)
        finally:
            for descriptor in opened:
                os.close(descriptor)

    def _step(self, opened: list[int], path: str, follow: bool) -> tuple[int, str] | None:
        parts = [part for part in reversed(path.split("/")) if part not in ("", ".")]
        hops = 0
        while parts:
            part = parts.pop()
            if part == "..":
                if len(opened) > 1:
                    os.close(opened.pop())
                continue
            if "\0" in part or len(part) > 255:
                return None
            found = os.stat(part, dir_fd=opened[-1], follow_symlinks=False)
            if modes.S_ISLNK(found.st_mode) and (parts or follow):
                hops += 1
                if hops > HOPS_MAX:
                    raise Unseen(path, "too many links")
                target = os.readlink(part, dir_fd=opened[-1])
                if target.startswith("/"):
                    while len(opened) > 1:
                        os.close(opened.pop())
                parts += [p for p in reversed(target.split("/")) if p not in ("", ".")]
                continue
            if not parts:
                return opened[-1], part
            try:
                opened.append(os.open(part, _PASSED, dir_fd=opened[-1]))
            except NotADirectoryError:
                return None
        return opened[-1], ""


class HostLook(FolderLook):
    """The local host: files from `/`, and the kernel's own account of values and sockets."""

    live = True

    def __init__(self) -> None:
        super().__init__(Path("/"))

    def sysctl(self, key: str) -> str:
        """See `Look`."""
        if not all(c.isalnum() or c in "._-" for c in key) or ".." in key:
            raise Unseen(key, "no key of the kernel")
        found = self.read("/proc/sys/" + key.replace(".", "/"))
        if found is None:
            raise Unseen(key, "the kernel has no such value")
        return " ".join(found.decode("ascii", "replace").split())

    def sockets(self) -> tuple[Socket, ...]:
        """See `Look`."""
        found: list[Socket] = []
        kinds: tuple[tuple[Literal["tcp", "udp"], str], ...] = (
            ("tcp", "tcp"),
            ("tcp", "tcp6"),
            ("udp", "udp"),
            ("udp", "udp6"),
        )
        for protocol, name in kinds:
            content = self.read(f"/proc/net/{name}")
            if content is None and not name.endswith("6"):
                raise Unseen("listening sockets", f"no /proc/net/{name}")
            for line in (content or b"").decode("ascii", "replace").splitlines()[1:]:
                fields = line.split()
                if len(fields) < 4 or (protocol == "tcp" and fields[3] != _LISTENING):
                    continue
                if protocol == "udp" and not fields[2].endswith(":0000"):
                    continue
                address, _, port = fields[1].partition(":")
                found.append(
                    Socket(protocol=protocol, address=_address(address), port=int(port, 16))
                )
        return tuple(found)


def _address(text: str) -> str:
    """The address behind the kernel's hexadecimal words, each in the machine's byte order."""
    raw = b"".join(bytes.fromhex(text[i : i + 8])[::-1] for i in range(0, len(text), 8))
    with suppress(ValueError):
        return str(ipaddress.ip_address(raw))
    return text


def _content(descriptor: int) -> bytes:
    """All of it, at most one byte more than is allowed, in pieces that /proc can give too."""
    pieces: list[bytes] = []
    left = FILE_BYTES_MAX + 1
    while left and (piece := os.read(descriptor, min(left, _PIECE_BYTES))):
        pieces.append(piece)
        left -= len(piece)
    return b"".join(pieces)


def _entries(opened: int) -> dict[str, Stat]:
    found: dict[str, Stat] = {}
    for name in sorted(os.listdir(opened)):
        # What went away meanwhile is not there.
        with suppress(FileNotFoundError):
            found[name] = _stat(os.stat(name, dir_fd=opened, follow_symlinks=False))
    return found


def _stat(found: os.stat_result) -> Stat:
    kind: Kind = "other"
    if modes.S_ISREG(found.st_mode):
        kind = "file"
    elif modes.S_ISDIR(found.st_mode):
        kind = "folder"
    elif modes.S_ISLNK(found.st_mode):
        kind = "link"
    return Stat(
        kind=kind,
        mode=found.st_mode & 0o7777,
        uid=found.st_uid,
        gid=found.st_gid,
        size_bytes=found.st_size,
    )


def _words(error: OSError) -> str:
    return (error.strerror or type(error).__name__).lower()
