"""The acts of the demonstration, second half of the rules: what is refused, why, and the remedy."""

from __future__ import annotations

import hashlib
import sys
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from surefoot.demo import acts
from surefoot.demo.stage import Answer, Stage, Unexpected

# Blobs lie in folders named by the digest's beginning; the file's name has the greater part of it.
_NAME_CHARACTERS_MIN = 40
_BASE62 = "0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz"


def told(stage: Stage, what: str, record: Answer) -> Answer:
    """Say a refusal in its own words."""
    stage.voice.caught(f"refused: {what}")
    stage.voice.note(f"expected {record['expected']}; found {record['found']}")
    stage.voice.note(f"{record['remedy']} [{record['code']}]")
    return {"refused": what, "code": record["code"]}


def own_work(stage: Stage, number: int) -> Answer:
    """A contributor approves her own release."""
    record = stage.refused(
        "ann", "deployment", "approve", str(number), "--yes", code="policy.own-work"
    )
    return told(stage, "ann wrote the release and wants to approve it", record)


def moved_plan(stage: Stage, release: str) -> Answer:
    """An approval after what the plan was made from has moved."""
    plan = acts.request(stage, "production", release)
    acts.give_secret(stage, "production")
    record = stage.refused(
        "bob", "deployment", "approve", str(plan["deployment"]), "--yes", code="plan.parent.moved"
    )
    stage.run("olga", "deployment", "cancel", str(plan["deployment"]))
    return told(stage, "an approval after a secret was changed under the plan", record)


def changed_artifact(stage: Stage, release: str) -> Answer:
    """An artifact with one byte changed, after it was signed and before it is used."""
    shown = stage.run("olga", "release", "show", release)
    path = _blob(stage, str(shown["components"]["api"]["artifact"]))
    before = path.read_bytes()
    mode = path.stat().st_mode
    path.chmod(0o600)
    path.write_bytes(before[:-1] + bytes([before[-1] ^ 1]))
    try:
        plan = acts.request(stage, "dev", release)
        ended = acts.finish(stage, plan["deployment"], "returned", "failed")
    finally:
        path.write_bytes(before)
        path.chmod(mode)
    failed = next(s for s in ended["steps"] if s["status"] == "failed")
    stage.voice.caught("refused: an artifact with one byte changed, before anything was touched")
    return {"refused": "a changed artifact", "code": failed["id"], "cause": failed["cause"]}


def _blob(stage: Stage, digest: str) -> Path:
    """The file of a blob."""
    number = digest.removeprefix("sha256:")
    for path in (stage.data / "blobs").rglob("*"):
        if path.is_file() and number.endswith(path.name) and len(path.name) > _NAME_CHARACTERS_MIN:
            return path
    raise Unexpected(f"no file holds {digest}")


def secret_in_history(stage: Stage) -> Answer:
    """A release while a secret sits in an old commit of a side branch."""
    main = stage.git("ann", "rev-parse", "HEAD")
    stage.git("ann", "checkout", "--quiet", "-b", "try-something")
    file = stage.repository / "service" / "try.txt"
    file.write_text(f"token = {made_up_token()}\n")
    stage.git("ann", "add", "--all")
    stage.git("ann", "commit", "--quiet", "--message", "Try something")
    file.unlink()
    stage.git("ann", "add", "--all")
    stage.git("ann", "commit", "--quiet", "--message", "Tidy up")
    stage.git("ann", "checkout", "--quiet", "main")
    try:
        record = stage.refused("olga", "release", "create", "9.9.1", code="gate.secrets.fail")
    finally:
        stage.git("ann", "branch", "--quiet", "-D", "try-something")
        forget(stage)
    assert stage.git("ann", "rev-parse", "HEAD") == main
    return told(stage, "a secret in an old commit of a side branch", record)


def made_up_token() -> str:
    """An access token of the right form with a right checksum, which opens nothing."""
    seed = hashlib.sha256(b"thermostat demonstration").digest()
    body = "".join(_BASE62[seed[i % 32] % 62 if i < 32 else (seed[i % 32] >> 2) % 62]
                   for i in range(30))  # fmt: skip
    number, check = zlib.crc32(body.encode()), ""
    for _ in range(6):
        number, digit = divmod(number, 62)
        check = _BASE62[digit] + check
    return "ghp" + "_" + body + check


def forget(stage: Stage) -> None:
    """Remove unreachable objects, as one must after a secret got into a repository."""
    stage.git("ann", "reflog", "expire", "--expire=now", "--all")
    stage.git("ann", "gc", "--quiet", "--prune=now")


def unsigned_commit(stage: Stage) -> Answer:
    """A commit that no registered person signed."""
    (stage.repository / "service" / "note.txt").write_text("quick fix\n")
    stage.git("ann", "add", "--all")
    stage.git("ann", "commit", "--quiet", "--message", "Quick fix", sign=False)
    try:
        record = stage.refused("olga", "release", "create", "9.9.2", code="source.")
    finally:
        stage.git("ann", "reset", "--quiet", "--hard", "HEAD~1")
        forget(stage)
    return told(stage, "a commit that nobody registered signed", record)


def frozen(stage: Stage, release: str) -> Answer:
    """A deployment in a freeze."""
    stage.run(
        "ann", "freeze", "add", "production", "season", "--from", "2020-01-01T00:00Z",
        "--until", "2099-01-01T00:00Z",
    )  # fmt: skip
    try:
        record = stage.refused(
            "olga", "deployment", "request", "production", release, code="deployment.frozen"
        )
    finally:
        stage.run("ann", "freeze", "lift", "production", "season")
    return told(stage, "a deployment in a freeze", record)


@contextmanager
def writers(stage: Stage, environment: str, folder: Path) -> Iterator[None]:
    """Clients that keep writing to an environment's service."""
    words = (
        sys.executable, str(stage.product / "check" / "clients.py"),
        "--service", acts.service_url(stage, environment), "--folder", str(folder),
        "--kept", "2", "--fresh", "2", "--rate", "20",
    )  # fmt: skip
    stage.spawn("writers", words)
    try:
        stage.wait("rows from the writers", lambda: list(folder.glob("*.jsonl")), 90)
        yield
    finally:
        stage.stop("writers")


def bad_migration(stage: Stage) -> Answer:
    """A migration that fails halfway while the old service keeps writing."""
    acts.commit_release(stage, "bad-migration")
    acts.cut(stage, "9.9.3")
    folder = stage.folder / "clients-bad-migration"
    with writers(stage, "dev", folder):
        plan = acts.request(stage, "dev", "9.9.3")
        ended = acts.finish(stage, plan["deployment"], "returned", "failed")
    stage.git("ann", "revert", "--no-edit", "HEAD")
    report = stage.tool(
        [
            str(stage.product / "check" / "books.py"), "--clients", str(folder),
            "--database", str(database_of(stage, "dev")),
        ]
    )  # fmt: skip
    failed = next(s for s in ended["steps"] if s["status"] == "failed")
    if "migrate" not in failed["id"]:
        raise Unexpected(f"the bad migration failed at {failed['id']}: {failed['cause']}")
    stage.voice.caught("refused: a migration that fails halfway; it rolled back whole")
    stage.voice.note("the service kept writing meanwhile: not one acknowledged row is lost")
    return {"refused": "a bad migration", "cause": failed["cause"], "books": report.strip()[-200:]}


def database_of(stage: Stage, environment: str) -> Path:
    """The service's own database file."""
    return stage.data / "targets" / environment / "data" / "main.sqlite"
