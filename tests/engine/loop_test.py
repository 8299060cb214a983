"""The loop in the background: it carries deployments on, beats while idle, outlives mistakes."""

from __future__ import annotations

import threading
from collections.abc import Callable

import pytest

from surefoot.core import facts as f
from surefoot.core.errors import Failed
from surefoot.engine.loop import Engine
from surefoot.store.lease import Leases
from surefoot.testing.simulator import ENVIRONMENT, Node


@pytest.fixture
def engine(node: Node) -> Callable[..., Engine]:
    def made(**options: object) -> Engine:
        leases = Leases(node.database)
        return Engine(node.log, node.effects, leases, node.clock, "worker", **options)  # type: ignore[arg-type]

    return made


def until(node: Node, condition: Callable[[], bool], tries: int = 900) -> None:
    """The journal tells when it grew, so nothing here sleeps longer than it must."""
    for _ in range(tries):
        if condition():
            return
        node.log.wait_for_change(node.log.size(), 0.1)
    raise AssertionError("it did not become true")


def test_what_is_approved_is_carried_out(node: Node, engine: Callable[..., Engine]) -> None:
    running = engine()
    running.start()
    try:
        until(node, lambda: node.status(2) != "waiting")
    finally:
        running.stop()
    assert node.log.read(lambda w: w.deployments[2].begun_ms)


def test_an_idle_loop_seals_and_signs(node: Node, engine: Callable[..., Engine]) -> None:
    node.command(lambda w: [f.DeploymentPaused(deployment=2, environment=ENVIRONMENT)], "pause")
    before = node.log.size()
    running = engine(beat_seconds=0.001)
    running.start()
    try:
        until(node, lambda: node.log.size() > before + 1)
    finally:
        running.stop()
    assert node.log.entries(before, node.log.size() - before) == []
    assert f"\n{node.log.size()}\n" in node.log.checkpoint()


def test_a_loop_that_need_not_beat_does_not(node: Node, engine: Callable[..., Engine]) -> None:
    node.command(lambda w: [f.DeploymentPaused(deployment=2, environment=ENVIRONMENT)], "pause")
    before, turns = node.log.size(), threading.Semaphore(0)
    running = engine(beat_seconds=10_000.0, seal_devices=turns.release)
    running.start()
    try:
        assert all(turns.acquire(timeout=90) for _ in range(2))
    finally:
        running.stop()
    assert node.log.size() == before


def test_an_environment_of_another_worker_is_left_alone(
    node: Node, engine: Callable[..., Engine]
) -> None:
    leases = Leases(node.database)
    held = leases.acquire(f"environment/{ENVIRONMENT}", "other", node.clock.now_ms(), 10**9)
    assert held is not None
    before, turns = node.log.size(), threading.Semaphore(0)
    running = engine(beat_seconds=10_000.0, seal_devices=turns.release)
    running.start()
    try:
        assert all(turns.acquire(timeout=90) for _ in range(3))
    finally:
        running.stop()
    assert node.log.size() == before
    assert not node.log.read(lambda w: w.deployments[2].begun_ms)


@pytest.mark.parametrize("error", [Failed("store.disk.full", "disk"), RuntimeError("ours")])
def test_an_error_does_not_end_the_loop(
    node: Node,
    engine: Callable[..., Engine],
    error: Exception,
    caplog: pytest.LogCaptureFixture,
) -> None:
    turns = threading.Semaphore(0)

    def fail() -> None:
        turns.release()
        raise error

    running = engine(seal_devices=fail)
    running.start()
    try:
        assert all(turns.acquire(timeout=90) for _ in range(2))
    finally:
        running.stop()
    assert caplog.records
