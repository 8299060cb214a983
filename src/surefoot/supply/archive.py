"""Tar files that are the same bytes for the same content, and where two artifacts first differ.

Keeps: members sorted by name, one given time, user and group 0 without names, modes 0644 and 0755
alone, no compression; symbolic links kept as links; anything else than files, folders and links
refused.
Does not: unpack.
"""

from __future__ import annotations

import io
import os
import tarfile
from pathlib import Path

from surefoot.core.errors import Refused

FILES_MAX = 200_000
BYTES_MAX = 1024 * 1024 * 1024


def tar_of(folder: Path, time_seconds: int) -> bytes:
    """The folder as a tar: everything below it, by relative name, every time set to the given one.

    Raises `Refused` for sockets, devices and pipes, and for more than the limits.
    """
    out = io.BytesIO()
    total_bytes = 0
    with tarfile.open(fileobj=out, mode="w", format=tarfile.PAX_FORMAT) as tar:
        for count, path in enumerate(_below(folder), 1):
            member = _member(folder, path, time_seconds)
            total_bytes += member.size
            if count > FILES_MAX or total_bytes > BYTES_MAX:
                raise Refused(
                    "archive.folder.size",
                    member.name,
                    expected=f"at most {FILES_MAX} files and {BYTES_MAX} bytes",
                    found=f"{count} files and {total_bytes} bytes so far",
                )
            if member.isreg():
                with path.open("rb") as content:
                    tar.addfile(member, content)
            else:
                tar.addfile(member)
    return out.getvalue()


def first_difference(first: bytes, second: bytes) -> str:
    """Where two artifacts first differ, in words; empty when they are the same bytes."""
    if first == second:
        return ""
    try:
        return _tar_difference(first, second) or _byte_difference(first, second)
    except (tarfile.TarError, EOFError, OSError):
        return _byte_difference(first, second)


def _below(folder: Path) -> list[Path]:
    found = [
        Path(at) / name for at, folders, files in os.walk(folder) for name in (*folders, *files)
    ]
    return sorted(found, key=lambda path: os.fsencode(path.relative_to(folder)))


def _member(folder: Path, path: Path, time_seconds: int) -> tarfile.TarInfo:
    member = tarfile.TarInfo(path.relative_to(folder).as_posix())
    member.mtime = time_seconds
    if path.is_symlink():
        member.type, member.mode, member.linkname = tarfile.SYMTYPE, 0o777, os.readlink(path)
    elif path.is_dir():
        member.type, member.mode = tarfile.DIRTYPE, 0o755
    elif path.is_file():
        member.size = path.stat().st_size
        member.mode = 0o755 if path.stat().st_mode & 0o111 else 0o644
    else:
        raise Refused(
            "archive.file.kind",
            member.name,
            expected="a file, folder or link",
            found="another kind",
        )
    return member


def _tar_difference(first: bytes, second: bytes) -> str:
    with (
        tarfile.open(fileobj=io.BytesIO(first)) as one,
        tarfile.open(fileobj=io.BytesIO(second)) as two,
    ):
        members, others = one.getmembers()[:FILES_MAX], two.getmembers()[:FILES_MAX]
        for member, other in zip(members, others, strict=False):
            if what := _member_difference(one, member, two, other):
                return what
    if len(members) != len(others):
        return f"{len(members)} members against {len(others)}"
    return ""


def _member_difference(
    one: tarfile.TarFile, member: tarfile.TarInfo, two: tarfile.TarFile, other: tarfile.TarInfo
) -> str:
    if member.name != other.name:
        return f"member {member.name} against {other.name}"
    for field in ("type", "size", "mtime", "mode", "uid", "gid", "uname", "gname", "linkname"):
        left, right = getattr(member, field), getattr(other, field)
        if left != right:
            return f"member {member.name}: {field} {left!r} against {right!r}"
    if member.isreg():
        left_file, right_file = one.extractfile(member), two.extractfile(other)
        assert left_file is not None and right_file is not None
        left_bytes, right_bytes = left_file.read(), right_file.read()
        if left_bytes != right_bytes:
            return f"member {member.name}: {_byte_difference(left_bytes, right_bytes)}"
    return ""


def _byte_difference(first: bytes, second: bytes) -> str:
    shared = min(len(first), len(second))
    low, high = 0, shared
    while low < high:
        # The first differing byte, by halving: comparing slices is what bytes do fast.
        middle = (low + high + 1) // 2
        if first[:middle] == second[:middle]:
            low = middle
        else:
            high = middle - 1
    if low == shared:
        return f"{len(first)} bytes against {len(second)}, the same up to byte {shared}"
    return f"byte {low}: {first[low]:#04x} against {second[low]:#04x}"
