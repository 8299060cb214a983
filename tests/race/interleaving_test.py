"""Two workers on one step, in every order of look, claim, act and record."""

from __future__ import annotations

import itertools
import shutil
import threading
from pathlib import Path

import pytest

from surefoot.testing.fake_target import read_world
from surefoot.testing.outside import problems_of, read_entries
from surefoot.testing.simulator import Crash, Node

ENDS = ("claim:before", "claim:after", "record:before")  # of look, claim and act
ORDERS = sorted(set(itertools.permutations("aaaabbbb")))


class Worker:
    """Runs one `advance` in a thread that stops at the end of each phase until told to go on."""

    def __init__(self, node: Node, name: str) -> None:
        self._go, self._there = threading.Semaphore(0), threading.Semaphore(0)
        self._ended = False
        self._error: BaseException | None = None
        self._node = node.sibling(name, self._pause)
        self._thread = threading.Thread(target=self._run, daemon=True)
        self._thread.start()

    def _pause(self, place: str) -> None:
        if place in ENDS:
            self._there.release()
            self._go.acquire()

    def _run(self) -> None:
        self._go.acquire()
        try:
            self._node.advance(2)
        except BaseException as error:  # noqa: BLE001 -- told to the test's own thread
            self._error = error
        self._ended = True
        self._there.release()

    def step(self) -> None:
        """Let it do one phase; nothing when it has ended, as when its claim was refused."""
        if not self._ended:
            self._go.release()
            assert self._there.acquire(timeout=90)
        if self._error is not None:
            raise self._error


def until(node: Node, step: str) -> None:
    """Advance up to where a step is next."""
    node.request(2, "1.1.0")
    for name in ("pia", "quin"):
        node.approve(2, name)
    for _ in range(40):
        steps = node.log.read(lambda w: list(w.deployments[2].steps.values()))
        if next(s.id for s in steps if s.status != "done").endswith(step):
            return
        if node.advance(2).what == "wait":
            node.seal()
    raise AssertionError(f"never came to {step}")


def die_claimed(place: str) -> None:
    if place == "claim:after":
        raise Crash(place)


@pytest.fixture(scope="module")
def waiting(prepared: Path, tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    """A deployment whose next step is free, or was claimed by a worker that died."""
    found = {}
    for how, step in (("free", "start-api"), ("claimed", "start-api"), ("wave", "fleet-wave-2")):
        folder = tmp_path_factory.mktemp("race") / how
        shutil.copytree(prepared, folder)
        node = Node(folder, "first")
        until(node, step)
        if how == "claimed":
            with pytest.raises(Crash):
                node.sibling("dead", die_claimed).advance(2)
        node.close()
        found[how] = folder
    return found


@pytest.mark.parametrize("how", ["free", "claimed", "wave"])
def test_every_order_does_the_step_once(waiting: dict[str, Path], tmp_path: Path, how: str) -> None:
    for number, order in enumerate(ORDERS):
        folder = shutil.copytree(waiting[how], tmp_path / str(number))
        node = Node(folder, "looker")
        workers = {"a": Worker(node, "a"), "b": Worker(node, "b")}
        for name in order:
            workers[name].step()
        assert problems_of(folder) == [], order
        if number % 10 == 0:
            assert node.drive(2) == "succeeded", order
            assert problems_of(folder) == [], order
        else:
            step = next(
                s
                for s in node.log.read(lambda w: list(w.deployments[2].steps.values()))
                if s.id.endswith("fleet-wave-2" if how == "wave" else "start-api")
            )
            assert step.status == "done", order
        node.close()
        shutil.rmtree(folder)


def test_the_orders_are_all_there_are() -> None:
    assert len(ORDERS) == 70


def test_a_late_worker_is_refused_by_the_target(waiting: dict[str, Path], tmp_path: Path) -> None:
    """The first claims and sleeps; the second takes over and is done; the first acts: refused."""
    folder = shutil.copytree(waiting["free"], tmp_path / "late")
    node = Node(folder, "looker")
    first, second = Worker(node, "a"), Worker(node, "b")
    for worker in (first, first, second, second, second, second, first, first):
        worker.step()
    started = [e for e in read_world(folder / "targets/process.json").effects if e[1] == "start"]
    claims = [
        e
        for e in read_entries(folder / "store/surefoot.db")
        if e["kind"] == "StepClaimed" and e["body"]["deployment"] == 2
    ]
    assert claims[-1]["body"]["takeover"] is True
    assert [e[3] for e in started if e[0].startswith("2/")] == [claims[-1]["index"]]
    assert problems_of(folder) == []
    node.close()
