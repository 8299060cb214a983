"""A product's git repository: which commits, by whom, signed with which key, and clean checkouts.

Keeps: a signature counts only when our own code verified it and the key is enrolled; a checkout
is exactly the bytes of the commit's tree, with modes kept and all times set to the commit's; an
incomplete clone is refused where people or objects would be missing.
Does not: start git itself (`source` does), or change the repository.
"""

from __future__ import annotations

import os
import re
from collections.abc import Collection
from pathlib import Path

from surefoot.core.errors import Failed, Refused
from surefoot.supply import blame
from surefoot.supply.commit import Commit
from surefoot.supply.source import FILE_BYTES_MAX, ObjectReader, run

COMMITS_MAX = 100_000
TREE_FILES_MAX = 200_000
CHECKOUT_BYTES_MAX = 4 * 1024 * 1024 * 1024

_REF = re.compile(r"[A-Za-z0-9_][A-Za-z0-9_./+@-]{0,199}")
_PLAIN_MODES = (0o100644, 0o100664, 0o100755)
_FOLDER = 0o40000
_LINK = 0o120000


class Repository:
    """Questions about one repository on this machine. Nothing in it is changed."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def resolve(self, ref: str) -> str:
        """The full name of the commit a branch, tag or abbreviated name stands for.

        Raises `Refused` for an unknown ref or one in a form that git could take for an option.
        """
        if not _REF.fullmatch(ref) or ".." in ref or "@{" in ref:
            raise Refused(
                "source.ref.input",
                repr(ref[:80]),
                expected="a branch, tag or commit",
                found="another form",
            )
        words = ("rev-parse", "--verify", "--quiet", "--end-of-options", f"{ref}^{{commit}}")
        try:
            return run(self.path, *words).decode().strip()
        except Failed as error:
            if error.found != "exit 1":
                raise
            raise Refused(
                "source.ref.unknown",
                ref,
                expected="a commit in this repository",
                found="none of that name",
            ) from None

    def commit(self, name: str) -> Commit:
        """The commit, its signature checked."""
        with ObjectReader(self.path) as reader:
            return reader.commit(name)

    def tree_of(self, commit: str, path: str = "") -> str:
        """Git's name for the folder at a path of a commit: it names the whole content."""
        with ObjectReader(self.path) as reader:
            mode, found = reader.below(reader.commit(commit).tree, path)
        if mode != _FOLDER:
            raise Refused("source.path.input", path, expected="a folder", found="a file")
        return found

    def read_file(self, commit: str, path: str, size_bytes_max: int = FILE_BYTES_MAX) -> bytes:
        """The bytes of a file at a commit. Raises `Refused` when it is not a plain file."""
        with ObjectReader(self.path) as reader:
            mode, found = reader.below(reader.commit(commit).tree, path)
            if mode not in _PLAIN_MODES:
                raise Refused("source.path.input", path, expected="a file", found=f"mode {mode:o}")
            return reader.read(found, "blob", size_bytes_max)

    def verify_commit(self, commit: str, enrolled: Collection[str]) -> str:
        """The fingerprint of the enrolled key that signed the commit.

        Raises `Refused` when it is unsigned, badly signed, or signed by a key not in `enrolled`.
        """
        return require_signer(self.commit(commit), enrolled)

    def contributors(self, base: str, commit: str) -> tuple[Commit, ...]:
        """All commits since `base` (exclusive; empty means from the beginning) up to `commit`.

        Newest first. Raises `Refused` for an incomplete clone: people would be missing.
        """
        return self._commits(base, commit, ())

    def definition_history(self, path: str, base: str, commit: str) -> tuple[Commit, ...]:
        """The commits that changed a path since `base`, merges that did so included."""
        return self._commits(base, commit, ("--full-history", "--", path))

    def last_set(self, commit: str, path: str) -> tuple[Commit, ...]:
        """The commit that last set each line of a file, in the lines' order.

        Raises `Refused` for an incomplete clone, where earlier commits would be missing.
        """
        self.require_complete()
        names = blame.last_set(self.path, commit, path)
        with ObjectReader(self.path) as reader:
            read = {name: reader.commit(name) for name in dict.fromkeys(names)}
        return tuple(read[name] for name in names)

    def last_change(self, commit: str, path: str) -> Commit:
        """The newest commit up to `commit` that changed a file or folder.

        Raises `Refused("source.path.unknown")` when none did, and for an incomplete clone.
        """
        self.require_complete()
        found = run(self.path, "rev-list", "--max-count=1", commit, "--", path).decode().strip()
        if not found:
            raise Refused(
                "source.path.unknown", path[:200], expected="a file or folder", found="no commit"
            )
        return self.commit(found)

    def is_shallow(self) -> bool:
        """Whether history was cut off when this repository was cloned."""
        return run(self.path, "rev-parse", "--is-shallow-repository").strip() == b"true"

    def cut_off(self) -> str:
        """Why objects are missing from this clone, in words; empty when none are."""
        if self.is_shallow():
            return "a shallow clone"
        listed = run(self.path, "config", "--local", "--list", "--name-only").decode().lower()
        for name in listed.split("\n"):
            if name == "extensions.partialclone" or name.endswith(".promisor"):
                return "a partial clone"
        return ""

    def require_complete(self) -> None:
        """Raises `Refused` when objects were left out of the clone: shallow or partial."""
        found = self.cut_off()
        if found:
            raise Refused(
                "source.clone.incomplete",
                str(self.path),
                expected="the whole history",
                found=found,
                remedy="git fetch --unshallow, or clone again without --depth and --filter",
            )

    def references(self) -> tuple[tuple[str, str], ...]:
        """All refs with the object each names, sorted."""
        listed = run(self.path, "for-each-ref", "--format=%(refname)%00%(objectname)")
        pairs = [line.split("\0", 1) for line in listed.decode(errors="replace").splitlines()]
        return tuple(sorted((name, target) for name, target in pairs))

    def _commits(self, base: str, commit: str, limits: tuple[str, ...]) -> tuple[Commit, ...]:
        self.require_complete()
        since = [f"^{self.resolve(base)}"] if base else []
        words = ("rev-list", f"--max-count={COMMITS_MAX + 1}", self.resolve(commit), *since)
        names = run(self.path, *words, *limits).decode().split()
        if len(names) > COMMITS_MAX:
            raise Refused(
                "source.history.size",
                commit,
                expected=f"at most {COMMITS_MAX} commits",
                found="more",
            )
        with ObjectReader(self.path) as reader:
            return tuple(reader.commit(name) for name in names)


def require_signer(found: Commit, enrolled: Collection[str]) -> str:
    """The fingerprint of the enrolled key that signed a commit that was read.

    Raises `Refused` when it is unsigned, badly signed, or signed by a key not in `enrolled`.
    """
    subject = f"commit {found.id[:12]}"
    if found.standing == "none":
        raise Refused(
            "source.commit.unsigned",
            subject,
            expected="an SSH signature by an enrolled person",
            found="no signature",
            remedy="sign it: git commit -S with gpg.format=ssh",
        )
    if found.standing != "good":
        raise Refused(
            "source.commit.signature",
            subject,
            expected="an Ed25519 SSH signature over this commit",
            found="another kind" if found.standing == "other" else "one that does not hold",
        )
    if found.signer not in enrolled:
        raise Refused(
            "source.signer.unenrolled",
            subject,
            expected="a key of an enrolled person",
            found=found.signer,
            remedy="enrol the key, and have a second person grant the role",
        )
    return found.signer


def checkout(repository: Path, commit: str, path: str, folder: Path) -> Commit:
    """Write the folder at a path of a commit into a new folder, without anything of git's.

    Executable bits are kept, all else is 0644 and 0755; every time is the commit's. Returns the
    commit. Raises `Refused` for a path that is no folder, submodules, and too much content;
    `Failed` when the folder exists.
    """
    with ObjectReader(repository) as reader:
        found = reader.commit(commit)
        mode, tree = reader.below(found.tree, path)
        if mode != _FOLDER:
            raise Refused("source.path.input", path, expected="a folder", found="a file")
        try:
            folder.mkdir(parents=True)
        except FileExistsError:
            raise Failed(
                "source.checkout.exists",
                str(folder),
                expected="no folder yet",
                found="one that is there",
            ) from None
        _write_tree(reader, tree, folder)
    _set_times(folder, found.time_seconds)
    return found


def _write_tree(reader: ObjectReader, tree: str, folder: Path) -> None:
    links = []
    total_bytes = 0
    for count, entry in enumerate(reader.entries(tree), 1):
        content = reader.read(entry.id, "blob")
        total_bytes += len(content)
        if count > TREE_FILES_MAX or total_bytes > CHECKOUT_BYTES_MAX:
            raise Refused(
                "source.checkout.size",
                entry.path,
                expected=f"at most {TREE_FILES_MAX} files and {CHECKOUT_BYTES_MAX} bytes",
                found=f"{count} files and {total_bytes} bytes so far",
            )
        target = folder / entry.path
        if entry.mode == _LINK:
            links.append((target, content))
            continue
        target.parent.mkdir(parents=True, exist_ok=True)
        _write_file(target, content, 0o755 if entry.mode & 0o111 else 0o644)
    # Links last: no file of the tree can then be written through one.
    for target, content in links:
        target.parent.mkdir(parents=True, exist_ok=True)
        os.symlink(content, os.fsencode(target))


def _write_file(target: Path, content: bytes, mode: int) -> None:
    flags = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW
    with os.fdopen(os.open(target, flags, mode), "wb") as out:
        out.write(content)
    target.chmod(mode)


def _set_times(folder: Path, seconds: int) -> None:
    for at, folders, files in os.walk(folder, topdown=False):
        for name in (*files, *folders):
            os.utime(os.path.join(at, name), (seconds, seconds), follow_symlinks=False)
        os.chmod(at, 0o755)  # noqa: S103 - a clean checkout is the same under any umask
    os.utime(folder, (seconds, seconds))
