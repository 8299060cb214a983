"""The gate `secrets` over a real repository: planted in ten places, found in ten places."""

import os
import random
import subprocess
import zlib
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path

import msgspec
import pytest

from surefoot.core.errors import Failed
from surefoot.core.gate import Evidence, judge
from surefoot.supply.repository import Repository
from surefoot.supply.source import GitObject, locate, walk_objects
from surefoot.trust.digest import digest_of

gate = pytest.importorskip("surefoot.gates.secrets", reason="the extra `scan` is not installed")

SUBJECT = digest_of(b"a release")
NOW = 1_700_000_000_000
LETTERS = "0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz"
PLACES = (
    "deleted",
    "branch",
    "merge",
    "message",
    "tag",
    "dangling",
    "stash",
    "binary",
    "notes",
    "pull",
)


def token(seed: str) -> str:
    """A made-up access token with a right checksum; it opens nothing."""
    letters = random.Random(seed)
    body = "".join(letters.choice(LETTERS) for _ in range(30))
    left, check = zlib.crc32(body.encode()), ""
    for _ in range(6):
        left, digit = divmod(left, 62)
        check = LETTERS[digit] + check
    return "gh" + "p_" + body + check


class Git:
    def __init__(self, folder: Path) -> None:
        self.folder = folder
        folder.mkdir()
        self("init", "-q", "-b", "main")

    def __call__(self, *words: str, given: str = "") -> str:
        variables = {
            "PATH": os.environ["PATH"],
            "HOME": str(self.folder),
            "GIT_CONFIG_NOSYSTEM": "1",
            "GIT_AUTHOR_DATE": "2026-01-01T00:00:00Z",
            "GIT_COMMITTER_DATE": "2026-01-01T00:00:00Z",
        }
        names = ("-c", "user.name=ann", "-c", "user.email=ann@example.org")
        return subprocess.run(
            ["git", *names, *words],
            cwd=self.folder,
            env=variables,
            input=given,
            capture_output=True,
            text=True,
            check=True,
        ).stdout.strip()

    def commit(self, name: str, content: str | bytes, message: str = "work") -> str:
        path = self.folder / name
        path.parent.mkdir(exist_ok=True)
        path.write_bytes(content if isinstance(content, bytes) else content.encode())
        self("add", name)
        self("commit", "-q", "-m", message)
        return self("rev-parse", "HEAD")


@pytest.fixture(scope="module")
def cache(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("rules")
    folder.chmod(0o700)
    return folder


@pytest.fixture(scope="module")
def clean(tmp_path_factory: pytest.TempPathFactory) -> Git:
    git = Git(tmp_path_factory.mktemp("clean") / "repository")
    git.commit("main.py", "print('hello')\n")
    git.commit("main.py", "print('hello, world')\n")
    return git


@pytest.fixture(scope="module")
def planted(tmp_path_factory: pytest.TempPathFactory) -> Git:
    git = Git(tmp_path_factory.mktemp("planted") / "repository")
    git.commit("a.txt", "one\n")
    git.commit("src/old.py", f"key = '{token('deleted')}'\n")
    git("rm", "-q", "src/old.py")
    git("commit", "-q", "-m", "remove it")
    git("checkout", "-q", "-b", "feature")
    git.commit("b.txt", f"password: {token('branch')}\n")
    git("checkout", "-q", "main")
    git("checkout", "-q", "-b", "side")
    git.commit("c.txt", "two\n")
    git("checkout", "-q", "main")
    git.commit("d.txt", "three\n")
    git("merge", "-q", "--no-ff", "--no-commit", "side")
    git.commit("born.txt", f"t={token('merge')}\n", "merge")
    git.commit("e.txt", "four\n", f"use {token('message')} for now")
    git("tag", "-a", "v1", "-m", f"released with {token('tag')}")
    git.commit("f.txt", f"t={token('dangling')}\n")
    git("reset", "-q", "--hard", "HEAD~1")
    (git.folder / "a.txt").write_text(f"t={token('stash')}\n")
    git("stash", "-q")
    git.commit("g.bin", b"\0\1\2\0 token=" + token("binary").encode() + b"\n\0\0")
    git("notes", "add", "-m", f"see {token('notes')}")
    git("checkout", "-q", "--detach")
    git.commit("h.txt", f"t={token('pull')}\n")
    git("update-ref", "refs/pull/1/head", "HEAD")
    git("checkout", "-q", "main")
    return git


Make = Callable[..., Evidence]


@pytest.fixture
def scan(cache: Path) -> Iterator[Make]:
    def run(git: Git, commit: str = "", objects: object = None, **changed: object) -> Evidence:
        repository = Repository(git.folder)
        history = gate.History(
            objects=objects or (lambda: walk_objects(git.folder)),
            locate=lambda name: locate(git.folder, name),
            references=len(repository.references()),
            cut_off=str(changed.pop("cut_off", "")),
        )
        key = changed.pop("key", b"k" * 32)
        made = gate.SecretsGate(history, key=key, cache=cache, now_ms=lambda: NOW, **changed)
        arguments = {"commit": commit or git("rev-parse", "main")}
        evidence = made.run(SUBJECT, arguments)
        assert isinstance(evidence, Evidence)
        return evidence

    return run  # type: ignore[return-value]


def test_a_clean_repository_passes_with_its_coverage(clean: Git, scan: Make) -> None:
    evidence = scan(clean)
    assert judge(evidence, SUBJECT).verdict == "pass"
    assert evidence.coverage["objects_seen"] == 6
    assert evidence.coverage["objects_scanned"] == 4
    assert evidence.coverage["trees_not_scanned"] == 2
    assert evidence.coverage["references"] == 1


def test_every_place_is_found_and_no_secret_leaves(planted: Git, scan: Make) -> None:
    evidence = scan(planted)
    assert judge(evidence, SUBJECT).verdict == "fail"
    places = " | ".join(finding.place for finding in evidence.findings)
    for path in ("src/old.py", "b.txt", "born.txt", "f.txt", "a.txt", "g.bin", "h.txt"):
        assert path in places, places
    texts = [f for f in evidence.findings if "text, line" in f.place]
    assert len(texts) >= 2 and len(evidence.findings) >= len(PLACES)
    shown = msgspec.json.encode(evidence).decode()
    for place in PLACES:
        assert token(place) not in shown and token(place)[4:20] not in shown


def test_fingerprints_are_keyed(planted: Git, scan: Make) -> None:
    first = {f.fingerprint for f in scan(planted).findings}
    assert first == {f.fingerprint for f in scan(planted).findings}
    assert not first & {f.fingerprint for f in scan(planted, key=b"z" * 32).findings}


def test_an_accepted_finding_comes_back_at_its_end(planted: Git, scan: Make) -> None:
    findings = scan(planted).findings
    later, now = NOW + 1, NOW

    def accept(until: int, reason: str = "rotated, old history") -> list[object]:
        return [
            gate.Accepted(fingerprint=f.fingerprint, reason=reason, until_ms=until)
            for f in findings
        ]

    evidence = scan(planted, accepted=accept(later))
    assert judge(evidence, SUBJECT).verdict == "pass"
    assert evidence.figures["accepted"] == len(findings)
    ended = scan(planted, accepted=accept(now))
    assert judge(ended, SUBJECT).verdict == "fail"
    assert "acceptance has ended" in ended.findings[0].title
    assert judge(scan(planted, accepted=accept(later, " ")), SUBJECT).verdict == "fail"
    one_less = scan(planted, accepted=accept(later)[1:])
    assert len(one_less.findings) == 1


def test_a_new_secret_in_an_accepted_place_is_a_finding(scan: Make, tmp_path: Path) -> None:
    git = Git(tmp_path / "repository")
    git.commit("conf", f"a={token('first')}\n")
    accepted = [
        gate.Accepted(fingerprint=f.fingerprint, reason="rotated", until_ms=NOW + 1)
        for f in scan(git).findings
    ]
    assert judge(scan(git, accepted=accepted), SUBJECT).verdict == "pass"
    git.commit("conf", f"\n\na={token('first')}\n")
    assert judge(scan(git, accepted=accepted), SUBJECT).verdict == "pass"
    git.commit("conf", f"a={token('second')}\n")
    assert judge(scan(git, accepted=accepted), SUBJECT).verdict == "fail"


def test_a_cut_off_clone_is_inconclusive(clean: Git, scan: Make, tmp_path: Path) -> None:
    shallow = Git(tmp_path / "outer")
    origin = f"file://{clean.folder}"
    shallow("clone", "-q", "--depth", "1", origin, "inner")
    shallow.folder = shallow.folder / "inner"
    assert Repository(shallow.folder).is_shallow()
    evidence = scan(shallow, cut_off="a shallow clone")
    assert judge(evidence, SUBJECT).verdict == "inconclusive"


def test_a_skipped_object_is_inconclusive(clean: Git, scan: Make) -> None:
    evidence = scan(clean, objects=lambda: walk_objects(clean.folder, 20))
    assert evidence.coverage["skipped_too_large"] != 0
    assert judge(evidence, SUBJECT).verdict == "inconclusive"


def test_another_repository_is_inconclusive(clean: Git, scan: Make) -> None:
    evidence = scan(clean, commit="d" * 40)
    assert evidence.coverage["commit_seen"] is False
    assert judge(evidence, SUBJECT).verdict == "inconclusive"


def test_an_empty_walk_is_inconclusive(clean: Git, scan: Make) -> None:
    assert judge(scan(clean, objects=lambda: ()), SUBJECT).verdict == "inconclusive"


def test_a_walk_that_breaks_off_is_an_error(clean: Git, scan: Make) -> None:
    def broken() -> Iterable[GitObject]:
        yield from list(walk_objects(clean.folder))[:5]
        raise Failed("source.git.failed", "git cat-file", found="exit 128")

    evidence = scan(clean, objects=broken)
    assert judge(evidence, SUBJECT).verdict == "error"
    assert evidence.trouble == "the walk ended: source.git.failed"


def test_an_object_the_scanner_gives_up_on_is_inconclusive(
    clean: Git, scan: Make, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(gate, "_OBJECT_TIMEOUT_SECONDS", 1e-9)
    evidence = scan(clean)
    assert evidence.coverage["skipped_not_in_time"] != 0
    assert judge(evidence, SUBJECT).verdict == "inconclusive"


def test_a_bad_commit_name_is_an_error(clean: Git, scan: Make) -> None:
    assert judge(scan(clean, commit="main"), SUBJECT).verdict == "error"


def test_a_signature_is_no_finding_and_hides_nothing(
    scan: Make, tmp_path: Path, require_tool: Callable[[str], str]
) -> None:
    require_tool("ssh-keygen")
    git = Git(tmp_path / "repository")
    key = tmp_path / "key"
    made = ["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-C", "", "-f", str(key)]
    subprocess.run(made, check=True)
    git("config", "gpg.format", "ssh")
    git("config", "user.signingkey", str(key))
    git("config", "commit.gpgsign", "true")
    head = git.commit("a.txt", "one\n")
    assert "gpgsig" in git("cat-file", "commit", head)
    assert judge(scan(git), SUBJECT).verdict == "pass"
    text = git("cat-file", "commit", head).replace(
        "-----BEGIN SSH SIGNATURE-----\n", f"-----BEGIN SSH SIGNATURE-----\n {token('hidden')}\n"
    )
    git("hash-object", "-t", "commit", "-w", "--stdin", "--literally", given=text)
    assert judge(scan(git), SUBJECT).verdict == "fail"
