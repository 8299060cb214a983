"""Fixtures for the example's tests: each release is built once for all of them."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).parent))

import thermostat_product as product
from ddi_server import UpdateServer


@pytest.fixture(scope="session")
def checkouts(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    """The example at each release, by version."""
    return product.checkouts(tmp_path_factory.mktemp("checkouts"))


@pytest.fixture(scope="session")
def images(checkouts: dict[str, Path], tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    """The firmware image of each release."""
    folder = tmp_path_factory.mktemp("images")
    built = {v: product.build(path / "firmware", folder / v) for v, path in checkouts.items()}
    return {version: out / "firmware.img" for version, out in built.items()}


@pytest.fixture(scope="session")
def artifacts(
    checkouts: dict[str, Path], tmp_path_factory: pytest.TempPathFactory
) -> dict[str, Path]:
    """The service's artifact of each release."""
    folder = tmp_path_factory.mktemp("artifacts")
    built = {v: product.build(path / "service", folder / v) for v, path in checkouts.items()}
    return {version: out / "api.tar" for version, out in built.items()}


@pytest.fixture
def update_server() -> Iterator[UpdateServer]:
    """A DDI server of the test's own."""
    server = UpdateServer()
    yield server
    server.stop()
