"""Files of one component: generations, unpacked artifacts, configurations.

    COMPONENT/generations/G/artifact/            the unpacked tar, never written to again
    COMPONENT/generations/G/configuration.json   the values, mode 0640
    COMPONENT/generations/G/tree.json            path -> kind, mode and digest, as unpacked
    COMPONENT/generations/G/generation.json      the arguments of `start`; written last
    COMPONENT/live                               symbolic link to the live generation
    COMPONENT/data/                              the service's own files (STATE_DIRECTORY)
    COMPONENT/keeper.json events.jsonl counts/   the keeper's

Keeps: an archive can write nowhere but below its own folder: no absolute path, no `..`, no link
out, no device, no hard link, no name twice; sizes and numbers are bounded. A generation without
`generation.json` was left by a crash and is made anew.
Does not: start or ask processes.
"""

from __future__ import annotations

import hashlib
import os
import posixpath
import shutil
import stat
import tarfile
from collections.abc import Iterator
from pathlib import Path
from typing import IO, NoReturn

import msgspec

from surefoot.core.errors import Refused
from surefoot.store.durable import sync_folder, write_durably
from surefoot.targets.process_words import Start, configuration_of

MEMBERS_MAX = 100_000
FILE_BYTES_MAX = 2 * 1024**3
TREE_BYTES_MAX = 4 * 1024**3
GENERATIONS_KEPT = 3
_PIECE = 1024 * 1024


class Place:
    """The folder of one generation."""

    def __init__(self, component: Path, generation: str) -> None:
        self.folder = component / "generations" / generation
        self.artifact = self.folder / "artifact"
        self.configuration = self.folder / "configuration.json"
        self.tree = self.folder / "tree.json"
        self.arguments = self.folder / "generation.json"

    def read(self) -> Start | None:
        """The arguments it was made from, None when it is missing or incomplete."""
        try:
            return msgspec.json.decode(self.arguments.read_bytes(), type=Start)
        except FileNotFoundError:
            return None

    def make(self, start: Start, archive: Path) -> None:
        """Unpack and write everything, durably; what is complete and unchanged stays.

        Raises `Refused` for an unsafe archive, leaving nothing behind.
        """
        if self.read() is None or self.changed():
            shutil.rmtree(self.artifact, ignore_errors=True)
            self.folder.mkdir(mode=0o700, parents=True, exist_ok=True)
            unpack(archive, self.artifact)
            write_durably(self.tree, msgspec.json.encode(tree_of(self.artifact)))
        write_durably(self.configuration, configuration_of(start.values), 0o640)
        os.chmod(self.configuration, 0o640)
        write_durably(self.arguments, msgspec.json.encode(start))

    def changed(self) -> list[str]:
        """Paths that are not as they were unpacked."""
        try:
            recorded = msgspec.json.decode(self.tree.read_bytes(), type=dict[str, str])
        except (FileNotFoundError, msgspec.DecodeError):
            return ["tree.json"]
        found = tree_of(self.artifact)
        return sorted(path for path in {*recorded, *found} if recorded.get(path) != found.get(path))


def prune(component: Path, live: str) -> None:
    """Keep the live generation and the youngest others, so that a revert finds them."""
    folders = [p for p in (component / "generations").iterdir() if p.name != live]
    folders = [p for p in folders if not (p / "spec.json").exists()]
    folders.sort(key=lambda p: p.stat().st_mtime, reverse=True)
    for old in folders[GENERATIONS_KEPT - 1 :]:
        shutil.rmtree(old)


def tree_of(folder: Path) -> dict[str, str]:
    """Every path below a folder with its kind, mode and, for files, digest."""
    return dict(_walk(folder, ""))


def _walk(folder: Path, prefix: str) -> Iterator[tuple[str, str]]:
    try:
        entries = sorted(os.scandir(folder), key=lambda e: e.name)
    except FileNotFoundError:
        return
    for entry in entries:
        name = prefix + entry.name
        mode = entry.stat(follow_symlinks=False).st_mode
        if stat.S_ISLNK(mode):
            yield name, f"link {os.readlink(entry.path)}"
        elif stat.S_ISDIR(mode):
            yield name, "folder"
            yield from _walk(Path(entry.path), name + "/")
        elif stat.S_ISREG(mode):
            yield name, f"file {mode & 0o777:o} {_hash(Path(entry.path))}"
        else:
            yield name, "special"


def _hash(path: Path) -> str:
    with open(path, "rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def unpack(archive: Path, into: Path) -> None:
    """Unpack a tar into a new folder, all or nothing. Raises `Refused` when it is unsafe."""
    beside = into.with_name(into.name + ".new")
    shutil.rmtree(beside, ignore_errors=True)
    beside.mkdir(mode=0o755, parents=True)
    try:
        with tarfile.open(archive, "r:*") as tar:
            _Unpacking(tar, beside).run()
    except (tarfile.TarError, EOFError, OSError, ValueError) as trouble:
        shutil.rmtree(beside, ignore_errors=True)
        if isinstance(trouble, OSError) and not isinstance(trouble, tarfile.TarError):
            raise
        _unsafe(archive.name, f"not a readable tar: {type(trouble).__name__}")
    except BaseException:
        shutil.rmtree(beside, ignore_errors=True)
        raise
    sync_folder(beside)
    # A crash before this line leaves a folder that the next attempt removes.
    beside.replace(into)
    sync_folder(into.parent)


class _Unpacking:
    def __init__(self, tar: tarfile.TarFile, into: Path) -> None:
        self._tar = tar
        self._into = into
        self._kinds: dict[str, str] = {"": "folder"}
        self._bytes = 0

    def run(self) -> None:
        for number, member in enumerate(self._tar):
            if number >= MEMBERS_MAX:
                _unsafe(member.name, f"more than {MEMBERS_MAX} members")
            self._one(member)

    def _one(self, member: tarfile.TarInfo) -> None:
        name = _inside(member.name)
        if member.isdir():
            if name and self._kinds.get(name) != "folder":
                self._claim(name, "folder")
                (self._into / name).mkdir(mode=0o755)
            return
        if not name:
            _unsafe(member.name, "an empty name")
        if member.issym():
            self._claim(name, "link")
            os.symlink(_link_inside(name, member.linkname), self._into / name)
        elif member.isreg():
            self._claim(name, "file")
            self._file(name, member)
        else:
            _unsafe(name, "a hard link, device or pipe")

    def _claim(self, name: str, kind: str) -> None:
        """Take a name once; every folder above it must be a real folder, or is made."""
        if name in self._kinds:
            _unsafe(name, "the same name twice")
        parent = posixpath.dirname(name)
        if parent not in self._kinds:
            self._claim(parent, "folder")
            (self._into / parent).mkdir(mode=0o755)
        if self._kinds[parent] != "folder":
            _unsafe(name, f"a path through the {self._kinds[parent]} {parent}")
        self._kinds[name] = kind

    def _file(self, name: str, member: tarfile.TarInfo) -> None:
        self._bytes += member.size
        if member.size > FILE_BYTES_MAX or self._bytes > TREE_BYTES_MAX:
            _unsafe(name, f"more than {FILE_BYTES_MAX} bytes, or {TREE_BYTES_MAX} in all")
        mode = 0o755 if member.mode & 0o100 else 0o644
        flags = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW
        source = self._tar.extractfile(member)
        assert source is not None
        with source, os.fdopen(os.open(self._into / name, flags, mode), "wb") as file:
            _copy(source, file)
            os.fchmod(file.fileno(), mode)
            file.flush()
            os.fsync(file.fileno())


def _copy(source: IO[bytes], file: IO[bytes]) -> None:
    while piece := source.read(_PIECE):
        file.write(piece)


def _inside(name: str) -> str:
    if name.startswith("/") or "\0" in name or len(name) > 1024:
        _unsafe(name, "an absolute or overlong name")
    parts = [part for part in name.split("/") if part not in ("", ".")]
    if ".." in parts:
        _unsafe(name, "a name with ..")
    return "/".join(parts)


def _link_inside(name: str, target: str) -> str:
    """A link may climb only at its beginning, and not above the root.

    Further on, a `..` could follow another link, and then it means another folder.
    """
    parts = target.split("/")
    climbs = 0
    while climbs < len(parts) and parts[climbs] == "..":
        climbs += 1
    if not target or target.startswith("/") or ".." in parts[climbs:] or climbs > name.count("/"):
        _unsafe(name, f"a link out of the archive to {target[:100]}")
    return target


def _unsafe(name: str, found: str) -> NoReturn:
    raise Refused(
        "target.artifact.unsafe",
        f"artifact member {name[:120]}",
        expected="a tar of plain files, folders and links that stay inside",
        found=found,
        remedy="build the artifact anew without it",
    )
