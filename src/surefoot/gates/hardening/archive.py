"""A tar as a file system, or a part of one: names, modes and owners as they stand in it.

Keeps: a tar with a list of accounts is a machine's whole root; nothing is unpacked; names with `..`
and a second member of a name are refused; links are resolved among the members; a tar without its
end is no tar. Does not: take a compressed tar that grows beyond a bound.
"""

from __future__ import annotations

import tarfile
from pathlib import Path

from surefoot.gates.hardening.look import (
    ENTRIES_MAX,
    FILE_BYTES_MAX,
    HOPS_MAX,
    Kind,
    Socket,
    Stat,
    Unseen,
)

_BLOCK_BYTES = 512
_HEADERS_BYTES_MAX = 4 * 1024 * 1024 * 1024


class ArchiveLook:
    """See the module. `close` when done; raises `Unseen` for what is no whole tar."""

    live = False

    def __init__(self, path: Path, name: str) -> None:
        self._name = name
        self._members: dict[tuple[str, ...], tarfile.TarInfo] = {}
        self._below: dict[tuple[str, ...], set[str]] = {(): set()}
        try:
            self._tar = tarfile.open(path, "r:*")  # noqa: SIM115 -- kept open to read from
        except (tarfile.TarError, OSError, EOFError) as error:
            raise Unseen(name, f"not a tar ({type(error).__name__})") from None
        try:
            self._index()
        except (tarfile.TarError, OSError, EOFError, ValueError) as error:
            self.close()
            raise Unseen(name, f"not a whole tar ({type(error).__name__})") from None
        except Unseen:
            self.close()
            raise

    @property
    def whole(self) -> bool:
        """See `Look`."""
        return ("etc", "passwd") in self._members

    def close(self) -> None:
        """Give the file back."""
        self._tar.close()

    def _index(self) -> None:
        total = 0
        for number, member in enumerate(self._tar):
            total += member.size
            if number >= ENTRIES_MAX or total > _HEADERS_BYTES_MAX:
                raise Unseen(self._name, "more than can be looked at")
            parts = tuple(p for p in member.name.split("/") if p not in ("", "."))
            if ".." in parts:
                raise Unseen(self._name, "a name that leads out of it")
            if parts and parts in self._members and not member.isdir():
                raise Unseen(self._name, f"{member.name[:80]!r} is in it twice")
            self._members[parts] = member
            for depth in range(len(parts)):
                self._below.setdefault(parts[:depth], set()).add(parts[depth])
            if member.isdir():
                self._below.setdefault(parts, set())
        # The reader stops at a broken header as at the end; only an empty block is the end.
        file = self._tar.fileobj
        assert file is not None
        file.seek(self._tar.offset)
        if file.read(_BLOCK_BYTES) != bytes(_BLOCK_BYTES):
            raise Unseen(self._name, "not a whole tar (no end)")

    def read(self, path: str) -> bytes | None:
        """See `Look`."""
        parts = self._resolve(path, follow=True)
        member = self._members.get(parts) if parts is not None else None
        if member is not None and member.islnk():
            member = self._members.get(tuple(p for p in member.linkname.split("/") if p != "."))
        if member is None:
            if parts in self._below:
                raise Unseen(path, "no regular file")
            return None
        if not member.isreg():
            raise Unseen(path, "no regular file")
        if member.size > FILE_BYTES_MAX:
            raise Unseen(path, f"larger than {FILE_BYTES_MAX} bytes")
        try:
            file = self._tar.extractfile(member)
            content = file.read() if file else b""
        except (tarfile.TarError, OSError, EOFError) as error:
            raise Unseen(path, f"cut short ({type(error).__name__})") from None
        if len(content) != member.size:
            raise Unseen(path, "cut short")
        return content

    def stat(self, path: str, follow: bool = True) -> Stat | None:
        """See `Look`."""
        parts = self._resolve(path, follow)
        if parts is None:
            return None
        member = self._members.get(parts)
        if member is None:
            # A folder that is only in the names of what it holds.
            known = parts in self._below
            return Stat(kind="folder", mode=0o755, uid=0, gid=0) if known else None
        kind: Kind = "other"
        if member.isreg() or member.islnk():
            kind = "file"
        elif member.isdir():
            kind = "folder"
        elif member.issym():
            kind = "link"
        return Stat(
            kind=kind,
            mode=member.mode & 0o7777,
            uid=member.uid,
            gid=member.gid,
            size_bytes=member.size,
        )

    def link(self, path: str) -> str:
        """See `Look`."""
        member = self._members.get(self._resolve(path, follow=False) or ())
        return member.linkname if member is not None and member.issym() else ""

    def names(self, folder: str) -> list[str] | None:
        """See `Look`."""
        parts = self._resolve(folder, follow=True)
        found = self._below.get(parts) if parts is not None else None
        return None if found is None else sorted(found)

    def entries(self, folder: str) -> dict[str, Stat] | None:
        """See `Look`."""
        names = self.names(folder)
        if names is None:
            return None
        found = {name: self.stat(f"{folder}/{name}", follow=False) for name in names}
        return {name: stat for name, stat in found.items() if stat is not None}

    def sysctl(self, key: str) -> str:
        """See `Look`."""
        raise Unseen(key, "an artifact has no kernel")

    def sockets(self) -> tuple[Socket, ...]:
        """See `Look`."""
        raise Unseen("listening sockets", "nothing runs in an artifact")

    def _resolve(self, path: str, follow: bool) -> tuple[str, ...] | None:
        todo = [p for p in reversed(path.split("/")) if p not in ("", ".")]
        at: list[str] = []
        hops = 0
        while todo:
            part = todo.pop()
            if part == "..":
                del at[-1:]
                continue
            at.append(part)
            member = self._members.get(tuple(at))
            if member is not None and member.issym() and (todo or follow):
                hops += 1
                if hops > HOPS_MAX:
                    raise Unseen(path, "too many links")
                at = [] if member.linkname.startswith("/") else at[:-1]
                todo += [p for p in reversed(member.linkname.split("/")) if p not in ("", ".")]
        return tuple(at)
