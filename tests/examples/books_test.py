"""The outside checker: it balances what is whole, and names what is lost, doubled or made up."""

from __future__ import annotations

import json
import os
import signal
import sqlite3
import subprocess
import sys
from collections.abc import Callable
from contextlib import closing
from pathlib import Path

import pytest
import thermostat_product as product

from surefoot.journal.tiles import export
from surefoot.testing.journal import ANN, KEY, draft, open_database, open_log
from surefoot.testing.waiting import until
from surefoot.trust.entry import Draft

CHECK = product.EXAMPLE / "check"
Lines = list[dict[str, object]]


def books(*words: object) -> tuple[int, str]:
    """Run the checker; its exit status and its report."""
    command = [sys.executable, str(CHECK / "books.py"), *map(str, words)]
    done = subprocess.run(command, capture_output=True, text=True)
    return done.returncode, done.stdout + done.stderr


def rows(database: Path) -> int:
    """How many rows of telemetry are stored by now."""
    with closing(sqlite3.connect(database, timeout=90)) as connection:
        return int(connection.execute("SELECT count(*) FROM telemetry").fetchone()[0])


def clients(service: product.Service, logs: Path, *words: str) -> subprocess.Popen[str]:
    """Start the load."""
    command = [sys.executable, str(CHECK / "clients.py"), "--service", service.address]
    words = ("--folder", str(logs), *words)
    return subprocess.Popen([*command, *words], stdout=subprocess.PIPE, text=True)


@pytest.fixture(scope="module")
def run(
    tmp_path_factory: pytest.TempPathFactory, checkouts: dict[str, Path], artifacts: dict[str, Path]
) -> tuple[Path, Path]:
    """Logs and database after clients ran against the service until SIGTERM."""
    folder = tmp_path_factory.mktemp("run")
    database = folder / "main.sqlite"
    product.migrate(database, checkouts["1.0.0"], "expand")
    service = product.Service(artifacts["1.0.0"], folder / "api", database, sample_seconds=60)
    load = clients(service, folder / "logs", "--rate", "40")
    until(lambda: rows(database) >= 50)
    load.send_signal(signal.SIGTERM)
    out = load.communicate(timeout=300)[0]
    assert load.returncode == 0
    found = json.loads(out)
    assert found["failed"] == 0
    assert found["answered"] > 40
    assert service.stop() == 0
    return folder / "logs", database


def test_what_is_whole_balances(run: tuple[Path, Path]) -> None:
    logs, database = run
    status, report = books("--clients", logs, "--database", database)
    assert (status, "NOT BALANCED" in report) == (0, False), report


def altered(run: tuple[Path, Path], folder: Path, sql: str) -> tuple[Path, Path]:
    """The run with its database changed."""
    copy = folder / "copy.sqlite"
    with sqlite3.connect(run[1]) as source, sqlite3.connect(copy) as target:
        source.backup(target)
        target.execute(sql)
    source.close()
    target.close()
    return run[0], copy


FIRST = "rowid = (SELECT min(rowid) FROM telemetry)"


@pytest.mark.parametrize(
    ("sql", "reason"),
    [
        (f"DELETE FROM telemetry WHERE {FIRST}", "acknowledged and lost"),
        (f"UPDATE telemetry SET temperature = 1 WHERE {FIRST}", "is not what was sent"),
        (
            "INSERT INTO telemetry SELECT device, 999999, 1, room, 1 FROM telemetry LIMIT 1",
            "never sent",
        ),
    ],
)
def test_a_row_lost_changed_or_made_up_is_named(
    run: tuple[Path, Path], tmp_path: Path, sql: str, reason: str
) -> None:
    logs, database = altered(run, tmp_path, sql)
    status, report = books("--clients", logs, "--database", database)
    assert (status, reason in report) == (1, True), report


def test_a_row_in_two_databases_is_there_twice(run: tuple[Path, Path], tmp_path: Path) -> None:
    logs, copy = altered(run, tmp_path, "SELECT 1")
    status, report = books("--clients", logs, "--database", run[1], "--database", copy)
    assert (status, "there 2 times" in report) == (1, True)


def drop(event: str) -> Callable[[Lines], Lines]:
    """Loses the first line of a kind."""

    def change(lines: Lines) -> Lines:
        index = next(i for i, line in enumerate(lines) if line["event"] == event)
        return [*lines[:index], *lines[index + 1 :]]

    return change


def fail(lines: Lines) -> Lines:
    """Makes the first answer a failure."""
    index = next(i for i, line in enumerate(lines) if line["event"] == "answered")
    failed = {"event": "failed", "request": lines[index]["request"], "reason": "reset"}
    return [*lines[:index], failed, *lines[index + 1 :]]


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        (drop("sent"), "a result too many"),
        (drop("answered"), "no result"),
        (drop("stopped"), "ended with None"),
        (fail, "failed: reset"),
    ],
)
def test_a_log_that_does_not_add_up_is_named(
    run: tuple[Path, Path], tmp_path: Path, change: Callable[[Lines], Lines], reason: str
) -> None:
    log = next(run[0].iterdir())
    lines = change([json.loads(line) for line in log.read_text().splitlines()])
    (tmp_path / log.name).write_text("".join(json.dumps(line) + "\n" for line in lines))
    status, report = books("--clients", tmp_path)
    assert (status, reason in report) == (1, True), report


def test_a_service_that_is_killed_shows_as_failed_requests(
    tmp_path: Path, checkouts: dict[str, Path], artifacts: dict[str, Path]
) -> None:
    database = tmp_path / "main.sqlite"
    product.migrate(database, checkouts["1.0.0"], "expand")
    service = product.Service(artifacts["1.0.0"], tmp_path / "api", database, sample_seconds=60)
    load = clients(service, tmp_path / "logs", "--kept", "1", "--fresh", "1")
    until(lambda: rows(database) >= 5)
    os.kill(service._process.pid, signal.SIGKILL)
    # The second portion of lines that a client writes from here on was all made afterwards.
    logs = [*(tmp_path / "logs").iterdir()]
    before = {log: log.stat().st_size for log in logs}
    until(lambda: all(log.stat().st_size > before[log] + 2 * 8192 for log in logs))
    load.send_signal(signal.SIGTERM)
    load.communicate(timeout=300)
    assert service.stop() == -signal.SIGKILL
    status, report = books("--clients", tmp_path / "logs", "--database", database)
    assert (status, "requests failed: expected 0" in report) == (1, True)
    assert "balanced      rows acknowledged and present" in report, report


# --- the journal ---------------------------------------------------------------------------------

DIGEST = "sha256:" + "0" * 64


def fact(kind: str, stream: str = "deployment/1", **body: object) -> Draft:
    """An entry of deployment 1."""
    return draft(stream, kind, deployment=1, environment="production", **body)  # type: ignore


def claim(step: str, **body: object) -> Draft:
    """A claim."""
    return fact("StepClaimed", step=step, worker="w", **body)


def finish(step: str, status: str = "done", **body: object) -> Draft:
    """A result."""
    return fact("StepFinished", step=step, status=status, **body)


REQUESTED = fact("DeploymentRequested", steps=["start", "await-wave"])
END = fact("DeploymentFinished", status="succeeded", cause="")
ENROLLED = draft("env/production", "DevicesEnrolled", environment="production", count=3)


def batch(**waves: object) -> Draft:
    """Sealed counters."""
    return fact("DeviceBatchSealed", "devices/production", count=3, waves=waves)


WHOLE = [
    ENROLLED,
    REQUESTED,
    claim("start"),
    claim("start", takeover=True),
    finish("start"),
    batch(**{"0": {"verified": 1}, "1": {"verified": 2}}),
    finish("await-wave", judged=True),
    END,
]


def exported(folder: Path, drafts: list[Draft]) -> Path:
    """An export of a journal that holds these entries."""
    database = open_database(str(folder / "store"))
    log = open_log(database, folder / "checkpoint")
    for number, each in enumerate(drafts):
        log.transact(lambda world, each=each: [each], ANN, f"request {number}")
    export(database, KEY.verifier.text(), folder / "export")
    database.close()
    return folder / "export"


def test_a_whole_journal_and_environment_balance(tmp_path: Path) -> None:
    shown = {"name": "production", "devices": 3, "firmware_shares": {"1.1.0": 3}}
    (tmp_path / "environment.json").write_text(json.dumps(shown))
    listed = [{"device": f"d-{n}", "state": "verified"} for n in range(3)]
    (tmp_path / "devices.json").write_text(json.dumps(listed))
    status, report = books(
        *("--journal", exported(tmp_path, WHOLE)),
        *("--environment", tmp_path / "environment.json", "--devices", tmp_path / "devices.json"),
    )
    assert status == 0, report


@pytest.mark.parametrize(
    ("drafts", "reason"),
    [
        ([*WHOLE, claim("more")], "no result"),
        ([*WHOLE, finish("start")], "a result without a claim"),
        ([claim("start"), claim("start"), finish("start")], "claimed twice"),
        ([claim("start", takeover=True), finish("start")], "taken over"),
        ([REQUESTED, claim("start"), finish("start"), END], "await-wave: done 0 times"),
        ([ENROLLED, batch(**{"0": {"verified": 4}})], "4 devices of 3"),
        ([ENROLLED, batch(**{"0": {"verified": 2}}), END], "expected 3, found 2"),
    ],
)
def test_a_journal_that_does_not_add_up_is_named(
    tmp_path: Path, drafts: list[Draft], reason: str
) -> None:
    if drafts[-1] is END and REQUESTED not in drafts:
        drafts = [
            REQUESTED,
            claim("start"),
            finish("start"),
            finish("await-wave", judged=True),
            *drafts,
        ]
    status, report = books("--journal", exported(tmp_path, drafts))
    assert (status, reason in report) == (1, True), report


def test_an_export_with_one_changed_byte_cannot_be_read(tmp_path: Path) -> None:
    folder = exported(tmp_path, WHOLE)
    bundle = next(path for path in (folder / "tile" / "entries").rglob("*") if path.is_file())
    content = bundle.read_bytes()
    bundle.write_bytes(content.replace(b'"verified":2', b'"verified":1'))
    status, report = books("--journal", folder)
    assert (status, "do not have the root" in report) == (2, True)


def test_nothing_given_does_not_balance() -> None:
    assert books()[0] == 1
