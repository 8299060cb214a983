"""Two engines on one store: refused by the lock on SQLite, sharing the work on PostgreSQL."""

from __future__ import annotations

import subprocess
import sys
from collections import Counter
from collections.abc import Callable
from pathlib import Path

import pytest

from surefoot.core.errors import Refused
from surefoot.core.fold import new_world
from surefoot.journal.verify import verify_live
from surefoot.testing.fake_marks import read_marks
from surefoot.testing.fake_target import read_world
from surefoot.testing.journal import KEY, open_database
from surefoot.testing.simulator import Node

Fresh = Callable[[str], Path]


def start(folder: Path, store: str, worker: str, kill_at: int = 0) -> subprocess.Popen[str]:
    return subprocess.Popen(
        [
            *(sys.executable, "-m", "surefoot.testing.simulator"),
            *(str(folder), store, worker, "good", str(kill_at)),
        ],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )


def test_a_second_process_on_sqlite_is_refused(fresh: Fresh) -> None:
    folder = fresh("shared")
    node = Node(folder, "first")
    second = start(folder, "", "second")
    _, said = second.communicate(timeout=300)
    assert second.returncode != 0
    assert "store.directory.locked" in said
    with pytest.raises(Refused, match=r"store\.directory\.locked"):
        Node(folder, "third")
    assert node.deploy("1.1.0") == "succeeded"
    node.close()


def approved(folder: Path, store: str) -> None:
    node = Node(folder, "first", store=store)
    node.prepare()
    node.request(2, "1.1.0")
    for name in ("pia", "quin"):
        node.approve(2, name)
    node.close()


def test_processes_on_postgres_share_the_work(tmp_path: Path, postgres_dsn: str) -> None:
    folder = tmp_path / "shared"
    approved(folder, postgres_dsn)
    workers = [start(folder, postgres_dsn, name) for name in ("wa", "wb")]
    ended = [worker.communicate(timeout=300) for worker in workers]
    assert [said.strip() for said, _ in ended] == ["succeeded"] * 2, ended
    check_once(folder, postgres_dsn)


def test_a_killed_worker_and_clocks_that_disagree(tmp_path: Path, postgres_dsn: str) -> None:
    """The lease of the dead one ends; the others' clocks differ by a minute, so each takes the
    lease from the other all the time. Leases fail then, and claims and fences still hold."""
    folder = tmp_path / "shared"
    approved(folder, postgres_dsn)
    dead = start(folder, postgres_dsn, "w0", kill_at=40)
    dead.communicate(timeout=300)
    assert dead.returncode == -9
    workers = [start(folder, postgres_dsn, name) for name in ("w1", "w2", "w3")]
    ended = [worker.communicate(timeout=300) for worker in workers]
    assert [said.strip() for said, _ in ended] == ["succeeded"] * 3, ended
    check_once(folder, postgres_dsn)


def check_once(folder: Path, store: str) -> None:
    """The journal replays, and no target did anything twice."""
    database = open_database(store)
    path = folder / "outside" / "last-checkpoint"
    report = verify_live(database, KEY.verifier.text(), path, make_world=new_world)
    database.close()
    assert report.ok, report.problems
    effects = [
        *read_world(folder / "targets/process.json").effects,
        *read_marks(folder / "targets/database.json"),
        *read_marks(folder / "targets/fleet.json"),
    ]
    done = Counter(effect[0] for effect in effects)
    assert len(done) > 8
    assert set(done.values()) == {1}
