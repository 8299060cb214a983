"""A product's git repository: commits, their people and signatures, and clean checkouts.

Keeps: git runs without shell, hooks, prompts, pagers, replaced objects, grafts, lazy fetches and
without any configuration but the repository's own; only plumbing that reads is used, so filters
and text conversions of the repository never run. Every object read by name is hashed again. A
checkout is exactly the bytes of the commit's tree.
Does not: write into a repository it was given; `mirror` writes into one of its own.
"""

from __future__ import annotations

import contextlib
import os
import re
import subprocess
from collections.abc import Iterator
from pathlib import Path
from types import TracebackType
from typing import IO, Self

import msgspec

from surefoot.core.errors import Corrupt, Failed, Refused
from surefoot.supply import commit as commits
from surefoot.supply.commit import Commit

FILE_BYTES_MAX = 256 * 1024 * 1024
SCAN_BYTES_MAX = 64 * 1024 * 1024

_TIMEOUT_SECONDS = 120
_FETCH_TIMEOUT_SECONDS = 900
_DEPTH_MAX = 100
_CHUNK_BYTES = 1024 * 1024
_ORIGIN = re.compile(r"(https://|ssh://|file:///|/)[\x21-\x7e]{1,1000}")
_USERINFO = re.compile(r"//[^/@\s]*@")
_SETTINGS = (
    "core.hooksPath=/dev/null",
    "core.fsmonitor=false",
    "core.commitGraph=false",
    "core.pager=cat",
    "core.askPass=",
    "credential.helper=",
    "log.showSignature=false",
    "protocol.allow=never",
    "protocol.file.allow=always",
    "protocol.https.allow=always",
    "protocol.ssh.allow=always",
    "fetch.fsckObjects=true",
)


class GitObject(msgspec.Struct, frozen=True):
    """One object of a repository. `skipped` means larger than the bound: `content` is empty."""

    id: str
    type: str
    content: bytes
    size_bytes: int
    skipped: bool = False


class Place(msgspec.Struct, frozen=True):
    """Where an object came in: a commit and a path; no path for a commit's or tag's own text."""

    commit: str
    path: str


class Entry(msgspec.Struct, frozen=True):
    """A file of a tree. `mode` is git's: 100644, 100755 or 120000 (a symbolic link)."""

    path: str
    mode: int
    id: str


def command(repository: Path, *words: str) -> list[str]:
    """The git command line over a repository, hardened."""
    real = repository.resolve()
    settings = [*_SETTINGS, f"safe.directory={real}", f"safe.directory={real}/.git"]
    options = [word for setting in settings for word in ("-c", setting)]
    return ["git", "--no-pager", "--literal-pathspecs", *options, "-C", str(real), *words]


def environment(repository: Path) -> dict[str, str]:
    """The whole environment git gets; nothing of ours is passed on but PATH."""
    return {
        "PATH": os.environ.get("PATH", os.defpath),
        "HOME": "/nonexistent",
        "LANG": "C.UTF-8",
        "LC_ALL": "C.UTF-8",
        "TZ": "UTC",
        "GIT_CONFIG_NOSYSTEM": "1",
        "GIT_CONFIG_GLOBAL": os.devnull,
        "GIT_ATTR_NOSYSTEM": "1",
        "GIT_TERMINAL_PROMPT": "0",
        "GIT_OPTIONAL_LOCKS": "0",
        "GIT_NO_REPLACE_OBJECTS": "1",
        "GIT_NO_LAZY_FETCH": "1",
        "GIT_GRAFT_FILE": "/nonexistent/grafts",
        "GIT_ALLOW_PROTOCOL": "file:https:ssh",
        "GIT_SSH_COMMAND": "ssh -o BatchMode=yes -o StrictHostKeyChecking=yes",
        # Never climb out of the folder that was named into a repository around it.
        "GIT_CEILING_DIRECTORIES": str(repository.resolve().parent),
    }


def run(
    repository: Path, *words: str, given: bytes = b"", timeout_seconds: int = _TIMEOUT_SECONDS
) -> bytes:
    """What git printed. Raises `Failed` when git is missing, slow, or says no."""
    try:
        done = subprocess.run(
            command(repository, *words),
            input=given,
            env=environment(repository),
            capture_output=True,
            timeout=timeout_seconds,
        )
    except FileNotFoundError:
        raise _failed("source.git.missing", "git", "git on PATH", "none", "install git") from None
    except subprocess.TimeoutExpired:
        raise _failed(
            "source.git.slow", f"git {words[0]}", f"an end in {timeout_seconds} s", "none"
        ) from None
    if done.returncode != 0:
        said = _USERINFO.sub("//", done.stderr.decode(errors="replace").strip())[:300]
        raise _failed(
            "source.git.failed", f"git {words[0]}", "exit 0", said or f"exit {done.returncode}"
        )
    return done.stdout


class ObjectReader:
    """Reads objects of one repository by name, each hashed again. Use it in a `with`."""

    def __init__(self, repository: Path) -> None:
        self._process = _stream(repository, "cat-file", "--batch")

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        _end(self._process)

    def read(self, name: str, kind: str, size_bytes_max: int = FILE_BYTES_MAX) -> bytes:
        """The object's bytes. Raises `Failed` when missing, `Corrupt` when they are altered.

        After a `Refused` for its size the reader must not be used again.
        """
        given, out = _pipes(self._process)
        if not commits.HEX.fullmatch(name):
            raise _refused(
                "source.object.input", repr(name[:80]), "an object's name", "another form"
            )
        try:
            given.write(f"{name}\n".encode())
            given.flush()
        except BrokenPipeError:
            raise _failed(
                "source.git.failed", "git cat-file", "a repository that can be read", "an early end"
            ) from None
        header = out.readline(200).split()
        if len(header) != 3:
            raise _failed(
                "source.object.missing",
                f"{kind} {name}",
                "an object of this repository",
                "none",
                remedy="fetch all history",
            )
        size = int(header[2])
        if size > size_bytes_max:
            raise _refused("source.object.size", name, f"at most {size_bytes_max}", str(size))
        content = _exactly(out, size)
        _exactly(out, 1)
        if header[1].decode() != kind:
            raise _refused("source.object.kind", name, kind, header[1].decode())
        commits.check_id(kind, content, name)
        return content

    def commit(self, name: str) -> Commit:
        """The commit of that name, its signature checked."""
        return commits.parse_commit(name, self.read(name, "commit"))

    def entries(self, tree: str, prefix: str = "") -> Iterator[Entry]:
        """All files below a tree, folders first opened in the tree's own order.

        Raises `Refused` for names no checkout may have and for submodules.
        """
        if prefix.count("/") > _DEPTH_MAX:
            raise _refused(
                "source.tree.depth", prefix[:200], f"at most {_DEPTH_MAX} folders", "more"
            )
        for mode, name, child in _tree_items(self.read(tree, "tree"), len(tree) // 2):
            path = f"{prefix}{name}"
            if mode == 0o40000:
                yield from self.entries(child, f"{path}/")
            elif mode in (0o100644, 0o100664, 0o100755, 0o120000):
                yield Entry(path, mode, child)
            else:
                raise _refused(
                    "source.tree.submodule",
                    path,
                    "a file, a folder or a symbolic link",
                    f"mode {mode:o}",
                    remedy="copy the submodule's content into the repository",
                )

    def below(self, tree: str, path: str) -> tuple[int, str]:
        """Mode and name of what stands at a path below a tree. Raises `Refused`."""
        mode, found = 0o40000, tree
        for part in [part for part in path.split("/") if part not in ("", ".")]:
            items = {
                name: (item_mode, child)
                for item_mode, name, child in _tree_items(
                    self.read(found, "tree") if mode == 0o40000 else b"", len(tree) // 2
                )
            }
            if part not in items:
                raise _refused(
                    "source.path.unknown",
                    path[:200],
                    "a file or folder of the commit",
                    "none there",
                    remedy="commit the file or folder",
                )
            mode, found = items[part]
        return mode, found


def mirror(origin: str, folder: Path) -> None:
    """A bare copy of all refs of a repository at an https, ssh or file address, made or renewed.

    Raises `Refused` for another kind of address, `Failed` when the fetch does not succeed.
    """
    if not _ORIGIN.fullmatch(origin):
        raise _refused(
            "source.origin.input", "repository", "https, ssh or an absolute path", "another address"
        )
    folder.mkdir(parents=True, exist_ok=True)
    if not (folder / "HEAD").exists():
        run(folder, "init", "--quiet", "--bare", "--template=", ".")
    words = ("fetch", "--quiet", "--prune", "--no-tags", "--no-write-fetch-head")
    run(folder, *words, origin, "+refs/*:refs/*", timeout_seconds=_FETCH_TIMEOUT_SECONDS)


def walk_objects(repository: Path, size_bytes_max: int = SCAN_BYTES_MAX) -> Iterator[GitObject]:
    """Every object in the repository once, reachable or not: branches, tags, stashes, reflogs,
    notes, abandoned commits. Objects above the bound come without content, as skipped.

    Raises `Failed` when git stops early, so that a scan cannot end unseen.
    """
    words = ("cat-file", "--batch-all-objects", "--unordered", "--batch", "--buffer")
    process = _stream(repository, *words)
    _, out = _pipes(process)
    try:
        while header := out.readline(200):
            yield _next_object(out, header, size_bytes_max)
        if process.wait(_TIMEOUT_SECONDS) != 0:
            raise _failed(
                "source.git.failed", "git cat-file", "exit 0", f"exit {process.returncode}"
            )
    finally:
        _end(process)


def locate(repository: Path, name: str) -> tuple[Place, ...]:
    """The commits, reachable or not, that brought the object in, and under which path.

    A commit or tag is its own place. Empty for an object no commit holds (staged, or dangling).
    """
    if not commits.HEX.fullmatch(name):
        raise _refused("source.object.input", repr(name[:80]), "an object's name", "another form")
    kind = run(repository, "cat-file", "-t", name).decode().strip()
    if kind in ("commit", "tag"):
        return (Place(name, ""),)
    words = ("cat-file", "--batch-all-objects", "--batch-check=%(objecttype) %(objectname)")
    listed = run(repository, *words, timeout_seconds=_FETCH_TIMEOUT_SECONDS).splitlines()
    names = b"".join(line[7:] + b"\n" for line in listed if line.startswith(b"commit "))
    search = ("diff-tree", "--stdin", "--root", "-m", "-r", "-t", "--raw", "-z", "--no-renames")
    found = run(
        repository,
        *search,
        f"--find-object={name}",
        given=names,
        timeout_seconds=_FETCH_TIMEOUT_SECONDS,
    )
    return _places(found.decode(errors="replace").split("\0"), name)


def _places(words: list[str], name: str) -> tuple[Place, ...]:
    # A commit's name, then for each hit a line `:modes names status` and the path after it.
    found: dict[Place, None] = {}
    commit = ""
    at = 0
    while at < len(words):
        if words[at].startswith(":"):
            # Only where the object comes in: the second name is the one after the change.
            if words[at].split(" ")[3] == name:
                found[Place(commit, words[at + 1])] = None
            at += 2
        else:
            commit = words[at].strip() or commit
            at += 1
    return tuple(found)


def _next_object(out: IO[bytes], header: bytes, size_bytes_max: int) -> GitObject:
    words = header.decode(errors="replace").split()
    if len(words) != 3:
        raise _failed(
            "source.object.missing", words[0] if words else "?", "an object", str(header[:100])
        )
    name, kind, size_bytes = words[0], words[1], int(words[2])
    if size_bytes <= size_bytes_max:
        content = _exactly(out, size_bytes)
        _exactly(out, 1)
        return GitObject(name, kind, content, size_bytes)
    left = size_bytes + 1
    while left:
        left -= len(_exactly(out, min(left, _CHUNK_BYTES)))
    return GitObject(name, kind, b"", size_bytes, skipped=True)


def _tree_items(content: bytes, hash_bytes: int) -> Iterator[tuple[int, str, str]]:
    at = 0
    while at < len(content):
        gap, end = content.find(b" ", at), content.find(b"\0", at)
        after = end + 1 + hash_bytes
        if not at < gap < end or after > len(content):
            raise Corrupt(
                "source.tree.input", "tree", expected="mode, name and object", found="other bytes"
            )
        raw = content[gap + 1 : end]
        name = os.fsdecode(raw)
        if name in ("", ".", "..") or "/" in name or name.lower() == ".git":
            raise _refused(
                "source.tree.name",
                repr(name[:80]),
                "a plain file name",
                "one that no checkout may have",
            )
        yield int(content[at:gap], 8), name, content[end + 1 : after].hex()
        at = after


def _stream(repository: Path, *words: str) -> subprocess.Popen[bytes]:
    try:
        return subprocess.Popen(
            command(repository, *words),
            env=environment(repository),
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
        )
    except FileNotFoundError:
        raise _failed("source.git.missing", "git", "git on PATH", "none", "install git") from None


def _refused(code: str, subject: str, expected: str, found: str, remedy: str = "") -> Refused:
    return Refused(code, subject, expected=expected, found=found, remedy=remedy)


def _failed(code: str, subject: str, expected: str, found: str, remedy: str = "") -> Failed:
    return Failed(code, subject, expected=expected, found=found, remedy=remedy)


def _pipes(process: subprocess.Popen[bytes]) -> tuple[IO[bytes], IO[bytes]]:
    assert process.stdin is not None and process.stdout is not None
    return process.stdin, process.stdout


def _end(process: subprocess.Popen[bytes]) -> None:
    # A reader of objects has nothing to finish: killing it loses nothing.
    process.kill()
    process.wait()
    for pipe in _pipes(process):
        with contextlib.suppress(BrokenPipeError):
            pipe.close()


def _exactly(out: IO[bytes], size_bytes: int) -> bytes:
    content = out.read(size_bytes)
    if len(content) != size_bytes:
        raise _failed(
            "source.git.failed",
            "git cat-file",
            f"{size_bytes} bytes",
            f"{len(content)}",
            remedy="run git fsck on the repository",
        )
    return content
