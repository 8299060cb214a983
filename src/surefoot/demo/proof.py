"""The acts about proof: questions about any moment, the administrator as attacker, the books."""

from __future__ import annotations

import base64
import json
import shutil
import sqlite3
import sys
from contextlib import closing
from hashlib import sha256
from pathlib import Path

from surefoot.demo import acts
from surefoot.demo.refusals import database_of
from surefoot.demo.stage import Answer, Stage, Unexpected, short_digests


def questions(stage: Stage, moment: str) -> Answer:
    """What was it, then and now; who may; what happened."""
    then = stage.run("olga", "environment", "show", "production", "--at", moment)
    if then["release_version"] != "1.0.0":
        raise Unexpected(f"production at {moment} was {then['release_version']}, not 1.0.0")
    stage.voice.say(
        f"production at {moment}: release {then['release_version']}, requested by "
        f"{then['requested_by']}, approved by {', '.join(then['approved_by'])} "
        f"(entry {then['entry']} of the journal)"
    )
    differs = stage.run("olga", "environment", "diff", "staging", "production")
    stage.voice.say(f"staging and production differ in {len(differs['differences'])} places")
    history = stage.run("olga", "environment", "history", "production")
    stage.voice.say(f"production's history: {len(history['entries'])} entries, newest first")
    document = stage.run("olga", "environment", "document", "production")
    (stage.folder / "production.md").write_text(document["markdown"])
    who = stage.run("olga", "who-can", "deploy", "production")
    stage.voice.say(f"who can deploy production: {', '.join(who['people'])}")
    report = stage.run("olga", "journal", "verify")
    found = report.get("report", report)
    stage.voice.good(
        f"journal verified by full replay: {found['size']} leaves, {found['states']} states"
    )
    return {"then": then["release_version"], "leaves": found["size"]}


def attack(stage: Stage) -> Answer:
    """The administrator edits a row; on a copy, cuts off the tail. Both are caught."""
    outside = stage.folder / "outside"
    outside.mkdir()
    checkpoint = stage.run("olga", "journal", "checkpoint")
    (outside / "checkpoint").write_text(str(checkpoint["checkpoint"]))
    stage.stop("server")
    stage.run("", "journal", "verify", "--data", str(_copy(stage, "untouched")))
    stage.voice.good("an untouched copy of the journal: intact")
    edited = _copy(stage, "edited")
    _edit_a_row(edited)
    first = _verify(stage, edited)
    stage.voice.caught("one row of the journal edited in the database: caught")
    stage.voice.note(short_digests(f"{first['subject']}: expected {first['expected']}"))
    stage.voice.note(short_digests(f"found {first['found']}"))
    cut = _copy(stage, "cut")
    _cut_the_tail(cut)
    if not _naive_chain_holds(cut):
        raise Unexpected("the naive chain should not notice a cut tail")
    second = _verify(stage, cut)
    stage.voice.caught(
        "its tail cut off: a naive hash chain passes, the outside checkpoint catches it"
    )
    stage.voice.note(f"{second['subject']}: expected {second['expected'][:60]}")
    stage.start_server()
    return {"edited": first["code"], "cut": second["code"]}


def _copy(stage: Stage, name: str) -> Path:
    folder = stage.folder / name
    folder.mkdir()
    for part in ("store", "keys", "checkpoint", "blobs", "settings.json"):
        source = stage.data / part
        if source.is_dir():
            shutil.copytree(source, folder / part)
        else:
            shutil.copy(source, folder / part)
    return folder


def _database(folder: Path) -> Path:
    return next(p for p in (folder / "store").iterdir() if p.suffix in (".sqlite", ".db"))


def _edit_a_row(folder: Path) -> None:
    with closing(sqlite3.connect(_database(folder))) as database, database:
        index, raw = database.execute(
            "SELECT idx, raw FROM entries WHERE kind = 'ApprovalGiven' ORDER BY idx LIMIT 1"
        ).fetchone()
        forged = bytes(raw).replace(b'"person":"bob"', b'"person":"ann"')
        database.execute("UPDATE entries SET raw = ? WHERE idx = ?", (forged, index))


def _cut_the_tail(folder: Path) -> None:
    """Back to an older signed checkpoint, as a restored backup would be."""
    with closing(sqlite3.connect(_database(folder))) as database, database:
        size, note = database.execute(
            "SELECT size, note FROM checkpoints ORDER BY size DESC LIMIT 1 OFFSET 3"
        ).fetchone()
        root = note.splitlines()[2]
        database.execute("DELETE FROM entries WHERE idx >= ?", (size,))
        database.execute("DELETE FROM checkpoints WHERE size > ?", (size,))
        database.execute(
            "UPDATE journal_head SET size = ?, root = ?", (size, base64.b64decode(root).hex())
        )


def _naive_chain_holds(folder: Path) -> bool:
    """What a home-made audit table checks: each entry names its stream's entry before it."""
    before: dict[str, str] = {}
    with closing(sqlite3.connect(_database(folder))) as database:
        rows = database.execute("SELECT raw FROM entries WHERE stream IS NOT NULL ORDER BY idx")
        for (raw,) in rows:
            entry = json.loads(raw)
            if entry.get("prev") != before.get(entry["stream"]):
                return False
            before[entry["stream"]] = sha256(b"\0" + bytes(raw)).hexdigest()
    return True


def _verify(stage: Stage, folder: Path) -> Answer:
    """Verify a data folder; it must be found bad. Returns the first problem."""
    done = stage.start("", "journal", "verify", "--data", str(folder))
    if done.returncode != 5:
        raise Unexpected(f"a manipulated journal passed: {done.stdout}{done.stderr}")
    found: Answer = json.loads(done.stdout)["problems"][0]
    return found


def export(stage: Stage) -> Answer:
    """The journal in an empty folder, verified with the pinned key alone."""
    folder = stage.folder / "export"
    stage.run("", "journal", "export", str(folder), "--data", str(stage.data))
    elsewhere = stage.folder / "stranger"
    shutil.copytree(folder, elsewhere)
    report = stage.run(
        "", "journal", "verify", "--offline", str(elsewhere),
        "--log-key", str(stage.folder / "pinned.vkey"),
        "--checkpoint", str(stage.folder / "outside" / "checkpoint"),
    )  # fmt: skip
    stage.voice.good(f"a stranger verified the export offline: {report['size']} leaves, intact")
    return {"size": report["size"]}


def books(stage: Stage) -> Answer:
    """The outside checker: requests, rows, claims and receipts, devices."""
    environment = stage.folder / "production.json"
    shown = stage.run("olga", "environment", "show", "production")
    environment.write_text(json.dumps(shown))
    devices = stage.folder / "devices.json"
    listed = stage.run("olga", "device", "list", "production", "--limit", "1000")
    devices.write_text(json.dumps(listed))
    report = stage.tool(
        [
            str(stage.product / "check" / "books.py"),
            "--clients", str(stage.folder / "clients"),
            "--database", str(database_of(stage, "production")),
            "--journal", str(stage.folder / "export"),
            "--environment", str(environment),
            "--devices", str(devices),
        ]
    )  # fmt: skip
    for line in report.strip().splitlines():
        stage.voice.good(line)
    return {"balanced": True, "python": sys.version.split()[0]}


def verdict_true(stage: Stage) -> Answer:
    """The rollback verdict, executed: after the stopped 1.2.0, production goes back to 1.1.0."""
    before = stage.run("olga", "environment", "show", "production")
    plan = acts.request(stage, "production", "--purpose", "rollback")
    acts.approve(stage, plan["deployment"], "bob", "cyn")
    acts.finish(stage, plan["deployment"])
    after = stage.run("olga", "environment", "show", "production")
    if after["release_version"] != "1.1.0" or after["components"]["api"]["version"] != "1.1.0":
        raise Unexpected(f"the rollback ended at {after['release_version']}")
    stage.voice.good(
        f"the verdict was true: {before['release_version']} is undone, "
        f"production runs {after['release_version']}"
    )
    record = stage.refused(
        "olga", "deployment", "request", "production", "1.0.0", "--purpose", "rollback",
        code="",
    )  # fmt: skip
    stage.voice.caught("and back to 1.0.0, whose column the contract dropped: refused")
    stage.voice.note(record["found"][:200])
    return {"from": before["release_version"], "to": after["release_version"]}
