"""Who wrote a definition, and who contributed: nobody's name is put on another's work."""

from __future__ import annotations

import os
import subprocess
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from surefoot.app.people import commitment
from surefoot.app.releasing import Releasing, _base_commits
from surefoot.core import facts as f
from surefoot.core.errors import Refused
from surefoot.supply.repository import Repository
from surefoot.testing import simulator_product as product
from surefoot.testing.history import History
from surefoot.trust import keys
from surefoot.trust.digest import digest_of

SALT = b"salt"
FILE = "surefoot.yaml"
KEYS = {name: keys.private_key(digest_of(name.encode())[7:39].encode()) for name in ("ann", "bob")}


class Work:
    """A repository in which ann and bob commit, each with their own key, or anybody unsigned."""

    def __init__(self, folder: Path) -> None:
        self.path = folder / "work"
        self.path.mkdir()
        self.folder = folder
        for name, key in KEYS.items():
            file = folder / name
            file.write_bytes(keys.private_text(key, name))
            file.chmod(0o600)
        self.git("ann", "init", "-q", "-b", "main", ".")
        self.git("ann", "config", "gpg.format", "ssh")

    def git(self, name: str, *words: str) -> str:
        address = f"{name}@example.test"
        environment = {
            "PATH": os.environ["PATH"],
            "HOME": str(self.folder),
            "GIT_CONFIG_NOSYSTEM": "1",
            "GIT_AUTHOR_NAME": name,
            "GIT_AUTHOR_EMAIL": address,
            "GIT_COMMITTER_NAME": name,
            "GIT_COMMITTER_EMAIL": address,
        }
        signing = ("-c", f"user.signingKey={self.folder / name}")
        done = subprocess.run(
            ["git", "-C", self.path, *signing, *words],
            env=environment,
            capture_output=True,
            check=True,
        )
        return done.stdout.decode().strip()

    def commit(self, name: str, content: str, *, sign: bool = True) -> str:
        (self.path / FILE).write_text(content)
        self.git(name, "add", "--all")
        signed = "--gpg-sign" if sign else "--no-gpg-sign"
        self.git(name, "commit", "-q", "--allow-empty", signed, "-m", "change")
        return self.git(name, "rev-parse", "HEAD")


@pytest.fixture
def work(tmp_path: Path) -> Work:
    return Work(tmp_path)


@pytest.fixture
def app(history: History) -> Any:
    for name in KEYS:
        address = commitment(SALT, f"{name}@example.test")
        person = history.world.people.people[name]
        person.identities = [address]
    return SimpleNamespace(
        read=lambda question: question(history.world), identity_salt=SALT, history=history
    )


@pytest.fixture
def history() -> History:
    told = History()
    told.tell(*product.found_installation(told.world))
    told.tell(*product.accept_rules(told.world))
    return told


def releasing(work: Work) -> Releasing:
    return Releasing(work.path, lambda report: None, dict)  # type: ignore[arg-type,return-value]


def test_the_authors_of_a_definition_are_those_who_signed(work: Work, app: Any) -> None:
    work.commit("ann", "one")
    tip = work.commit("bob", "one")
    assert releasing(work).definition_of(app, tip).authors == ("ann",)


def test_a_definition_below_a_signed_commit_is_not_anybodys(work: Work, app: Any) -> None:
    """Bob writes weak rules in ann's name, unsigned, and signs an empty commit above them: he
    would be free to accept his own work."""
    work.commit("ann", "one")
    work.commit("ann", "weak", sign=False)
    tip = work.commit("bob", "weak")
    with pytest.raises(Refused) as caught:
        releasing(work).definition_of(app, tip)
    assert caught.value.code == "source.commit.unsigned"


def test_rules_that_come_back_through_a_merge_have_their_merger(work: Work, app: Any) -> None:
    """Merging history that is accepted already must not make its weaker rules nobody's."""
    old = work.commit("ann", "weak")
    strong = work.commit("ann", "strong")
    app.history.world.definition.commit = strong
    work.commit("ann", "newer")
    tree = work.git("bob", "rev-parse", f"{old}^{{tree}}")
    words = ("commit-tree", "--gpg-sign", "-p", old, "-p", "HEAD", "-m", "m", tree)
    merge = work.git("bob", *words)
    assert Repository(work.path).read_file(merge, FILE) == b"weak"
    assert "bob" in releasing(work).definition_of(app, merge).authors


def test_contributors_are_new_to_any_protected_environment(work: Work, app: Any) -> None:
    """What one protected environment runs already may be new to another."""
    history = app.history
    first = work.commit("ann", "one")
    second = work.commit("bob", "two")
    third = work.commit("ann", "three")
    for version, commit in (("1.0.0", second), ("1.1.0", first)):
        history.tell(_release(version, commit))
    history.tell(f.EnvironmentDeclared(environment="eu", protected=True))
    for name, version in (("production", "1.0.0"), ("eu", "1.1.0")):
        history.world.environments[name].release = history.world.releases[version].digest
    assert set(_base_commits(history.world)) == {first, second}
    found = releasing(work)._contributors(app, Repository(work.path), third)
    assert found == {"ann", "bob"}


def test_an_environment_that_runs_nothing_has_everybody(work: Work, app: Any) -> None:
    app.history.tell(_release("1.0.0", work.commit("ann", "one")))
    app.history.tell(f.EnvironmentDeclared(environment="eu", protected=True))
    world = app.history.world
    world.environments["eu"].release = world.releases["1.0.0"].digest
    assert _base_commits(world) == [""]


def _release(version: str, commit: str) -> f.ReleaseRegistered:
    return f.ReleaseRegistered(
        release=digest_of(version.encode()),
        version=version,
        commit=commit,
        components=(),
        compatibility={},
        definition=digest_of(b""),
        governance=digest_of(b""),
        contributors=("ann",),
        cutter="ann",
    )
