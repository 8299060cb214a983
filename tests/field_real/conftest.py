"""One device with the real swupdate, its maker, and a network namespace of its own."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from surefoot.testing.swupdate import Maker, Network, namespaces_refused, network

sys.path.insert(0, str(Path(__file__).parent))

from between import ENV, NAME, Case


@pytest.fixture(scope="module")
def space(require_tool: Callable[[str], str]) -> Iterator[Network]:
    for tool in ("swupdate", "openssl", "ip"):
        require_tool(tool)
    if reason := namespaces_refused():
        pytest.skip(reason)
    with network(1) as made:
        yield made


@pytest.fixture(scope="module")
def maker(tmp_path_factory: pytest.TempPathFactory, require_tool: Callable[[str], str]) -> Maker:
    require_tool("openssl")
    return Maker(tmp_path_factory.mktemp("maker") / "maker")


@pytest.fixture
def case(tmp_path: Path, maker: Maker, space: Network) -> Iterator[Case]:
    made = Case(tmp_path, maker, space.devices[0])
    made.house.enrol(ENV, NAME)
    yield made
    made.client.stop()
    made.house.database.close()
