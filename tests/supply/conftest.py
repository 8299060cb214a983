"""A real git repository with people who sign their commits with SSH keys."""

import os
import subprocess

import pytest

from surefoot.core.errors import Failed
from surefoot.supply.builder import Builder
from surefoot.supply.cache import BuildFolder
from surefoot.trust import keys
from surefoot.trust.digest import digest_of


class Person:
    def __init__(self, name, number, folder):
        self.name = name
        self.key = keys.private_key(bytes([number]) * 32)
        self.path = folder / f"{name}.key"
        self.path.write_bytes(keys.private_text(self.key, name))
        self.path.chmod(0o600)


class Work:
    """A working copy that the tests write in, as a developer does."""

    def __init__(self, folder):
        self.path = folder / "work"
        self.path.mkdir()
        self.ann, self.bob = Person("ann", 1, folder), Person("bob", 2, folder)
        self.time = 1_700_000_000
        self.git("init", "-q", "-b", "main", ".")
        self.git("config", "gpg.format", "ssh")

    def git(self, *words, person=None, given=None):
        person = person or self.ann
        env = {
            "PATH": os.environ["PATH"],
            "HOME": str(self.path.parent),
            "GIT_CONFIG_NOSYSTEM": "1",
            "GIT_AUTHOR_NAME": person.name,
            "GIT_AUTHOR_EMAIL": f"{person.name}@example.com",
            "GIT_COMMITTER_NAME": person.name,
            "GIT_COMMITTER_EMAIL": f"{person.name}@example.com",
            "GIT_AUTHOR_DATE": f"{self.time} +0100",
            "GIT_COMMITTER_DATE": f"{self.time} +0100",
        }
        done = subprocess.run(
            ["git", "-C", self.path, "-c", f"user.signingKey={person.path}", *words],
            env=env,
            input=given,
            capture_output=True,
        )
        assert done.returncode == 0, done.stderr.decode()
        return done.stdout.decode().strip()

    def write(self, path, content, mode=0o644):
        target = self.path / path
        target.parent.mkdir(parents=True, exist_ok=True)
        target.write_bytes(content if isinstance(content, bytes) else content.encode())
        target.chmod(mode)

    def commit(self, message="change", person=None, sign=True):
        self.time += 60
        self.git("add", "-A")
        signing = ["-S"] if sign else ["--no-gpg-sign"]
        self.git("commit", "-q", "--allow-empty", *signing, "-m", message, person=person)
        return self.git("rev-parse", "HEAD")


@pytest.fixture
def work(tmp_path):
    return Work(tmp_path)


class FolderBlobs:
    """Blobs as files, as the store keeps them."""

    def __init__(self, folder):
        self.folder = folder
        folder.mkdir()

    def path(self, digest):
        found = self.folder / digest
        if not found.exists():
            raise Failed("blob.missing", digest)
        return found

    def put(self, content):
        digest = digest_of(content)
        (self.folder / digest).write_bytes(content)
        return digest

    def get(self, digest):
        return self.path(digest).read_bytes()


@pytest.fixture
def blobs(tmp_path):
    return FolderBlobs(tmp_path / "blobs")


@pytest.fixture
def said():
    return []


@pytest.fixture
def builder(work, blobs, tmp_path, said):
    return Builder(
        work.path,
        tmp_path / "builds",
        blobs=blobs,
        cache=BuildFolder(tmp_path / "cache"),
        signer=keys.private_key(b"\x09" * 32),
        now_ms=lambda: 1_800_000_000_000,
        progress=said.append,
    )
