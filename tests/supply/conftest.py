"""A real git repository with people who sign their commits with SSH keys."""

import os
import subprocess

import pytest

from surefoot.trust import keys


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
