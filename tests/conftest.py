"""What all tests share: tools that may be missing, one PostgreSQL server and one prepared
installation on fakes a run."""

from __future__ import annotations

import itertools
import os
import shutil
import tempfile
from collections.abc import Callable, Generator, Iterator
from pathlib import Path

import pytest
from hypothesis import HealthCheck, settings

from surefoot.testing.postgres import PostgresServer, find_binaries
from surefoot.testing.simulator import Node

# An example that takes long says something of the machine, not of the code.
settings.register_profile("any speed", deadline=None, suppress_health_check=[HealthCheck.too_slow])
settings.load_profile("any speed")

_LOGS_MAX = 12
_LOG_BYTES_MAX = 3000


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(
    item: pytest.Function, call: pytest.CallInfo[None]
) -> Generator[None, pytest.TestReport, pytest.TestReport]:
    """A test that failed shows the ends of the logs in its folders: what its servers said."""
    report = yield
    if report.failed:
        report.sections += [(f"end of {file}", _end_of(file)) for file in _logs(item)]
    return report


def _logs(item: pytest.Function) -> list[Path]:
    """The newest logs below the folders that the test was given."""
    given = [*getattr(item, "funcargs", {}).values()]
    places = [getattr(each, "stage", each) for each in given]
    folders = {
        place if isinstance(place, Path) else getattr(place, "folder", None) for place in places
    }
    found = {
        file
        for folder in folders
        if isinstance(folder, Path) and folder.is_dir()
        for kind in ("*.log", "events.jsonl")
        for file in folder.rglob(kind)
        if file.is_file() and file.stat().st_size
    }
    return sorted(found, key=lambda file: file.stat().st_mtime, reverse=True)[:_LOGS_MAX]


def _end_of(file: Path) -> str:
    with file.open("rb") as content:
        content.seek(max(file.stat().st_size - _LOG_BYTES_MAX, 0))
        return content.read().decode(errors="replace")


def _missing(reason: str) -> None:
    """On a laptop a missing tool skips, visibly; in CI it fails."""
    if os.environ.get("CI") == "true":
        pytest.fail(reason)
    pytest.skip(reason)


@pytest.fixture(scope="session")
def require_tool() -> Callable[[str], str]:
    """A function that gives the path of a tool, or skips (fails in CI)."""

    def require(name: str) -> str:
        path = shutil.which(name) or shutil.which(name, path="/usr/sbin:/usr/local/sbin")
        if path is None:
            _missing(f"{name} is not installed")
        assert path is not None
        return path

    return require


@pytest.fixture(scope="session")
def postgres_server() -> Iterator[PostgresServer]:
    """A server on a free port, stopped at the end of the run.

    Not in pytest's own folder: every further pytest run closes that to the server's user again.
    """
    if find_binaries() is None:
        _missing("PostgreSQL is not installed")
    with tempfile.TemporaryDirectory(prefix="surefoot-postgres-") as folder:
        server = PostgresServer.start(Path(folder) / "server")
        yield server
        server.stop()


_NUMBERS = itertools.count()


@pytest.fixture
def postgres_dsn(postgres_server: PostgresServer) -> str:
    """Connection string of a new, empty database."""
    return postgres_server.create_database(f"test{next(_NUMBERS)}")


@pytest.fixture(scope="session")
def prepared(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The simulator's installation with its first release deployed; to be copied, not used."""
    folder = tmp_path_factory.mktemp("simulator") / "prepared"
    node = Node(folder, "first")
    node.prepare()
    node.close()
    return folder


@pytest.fixture
def fresh(prepared: Path, tmp_path: Path) -> Callable[[str], Path]:
    """A function that copies the prepared installation under a name."""

    def copy(name: str) -> Path:
        return Path(shutil.copytree(prepared, tmp_path / name))

    return copy
