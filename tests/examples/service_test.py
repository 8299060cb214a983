"""The example's service and migrations across its releases, in the order of a deployment."""

from __future__ import annotations

import http.client
import json
import sqlite3
import subprocess
import sys
from pathlib import Path
from urllib.parse import urlsplit

import pytest
import thermostat_product as product


def ask(service: product.Service, method: str, path: str, content: object = None) -> int:
    """One request on a connection of its own; the status."""
    connection = http.client.HTTPConnection(urlsplit(service.address).netloc, timeout=90)
    connection.request(method, path, None if content is None else json.dumps(content))
    status = connection.getresponse().status
    connection.close()
    return status


def post(service: product.Service, sequence: int, version: int = 1) -> int:
    """One reading; the status."""
    reading = {"device": "d-1", "sequence": sequence, "temperature": 20, "room": "hall"}
    more = {"humidity": 50} if version == 2 else {}
    return ask(service, "POST", f"/v{version}/telemetry", {**reading, **more})


def columns(database: Path) -> dict[str, set[str]]:
    """Every table's columns."""
    connection = sqlite3.connect(database)
    sql = (
        "SELECT m.name, c.name FROM sqlite_master m, pragma_table_info(m.name) c"
        " WHERE m.type = 'table' AND m.name <> 'applied'"
    )
    found: dict[str, set[str]] = {}
    for table, column in connection.execute(sql):
        found.setdefault(table, set()).add(column)
    connection.close()
    return found


def test_old_and_new_service_share_the_expanded_schema_and_the_contract_comes_last(
    tmp_path: Path, checkouts: dict[str, Path], artifacts: dict[str, Path]
) -> None:
    database = tmp_path / "main.sqlite"
    product.migrate(database, checkouts["1.0.0"], "expand")
    old = product.Service(artifacts["1.0.0"], tmp_path / "old", database, sample_seconds=60)
    assert post(old, 1) == 201
    product.migrate(database, checkouts["1.1.0"], "expand", "backfill")
    new = product.Service(artifacts["1.1.0"], tmp_path / "new", database, sample_seconds=60)
    assert [post(old, 2), post(new, 3), post(new, 4, version=2)] == [201, 201, 201]
    assert old.stop() == 0
    assert ask(new, "GET", "/v1/calibration/d-1") == 200
    product.migrate(database, checkouts["1.1.0"], "contract")
    assert ask(new, "GET", "/v1/calibration/d-1") == 410
    assert [post(new, 5), post(new, 6, version=2)] == [201, 201]
    assert ask(new, "GET", "/v1/setpoint/smoke-device") == 200
    assert new.stop() == 0


def test_the_verdict_is_true_after_the_contract_the_earlier_service_cannot_start(
    tmp_path: Path, checkouts: dict[str, Path], artifacts: dict[str, Path]
) -> None:
    database = tmp_path / "main.sqlite"
    product.migrate(database, checkouts["1.1.0"], "expand", "backfill")
    earlier = product.Service(artifacts["1.0.0"], tmp_path / "before", database, sample_seconds=60)
    assert earlier.stop() == 0
    product.migrate(database, checkouts["1.1.0"], "contract")
    refused = product.Service(artifacts["1.0.0"], tmp_path / "after", database, sample_seconds=60)
    assert refused.stop() == 3


@pytest.mark.parametrize("release", product.RELEASES)
def test_the_migrations_make_the_tables_the_services_own_tests_use(
    tmp_path: Path, checkouts: dict[str, Path], release: str
) -> None:
    migrated, own = tmp_path / "migrated.sqlite", tmp_path / "own.sqlite"
    product.migrate(migrated, checkouts[release], "expand", "backfill")
    product.migrate(own, checkouts[release])
    connection = sqlite3.connect(own)
    connection.executescript((checkouts[release] / "service/tests/schema.sql").read_text())
    connection.close()
    extra = {"device": {"calibration_milli"}} if release > "1.1.0" else {}
    expected = columns(own)
    for table, names in extra.items():
        expected[table] |= names
    assert columns(migrated) == expected


def test_the_bad_migration_fails_half_way_and_leaves_nothing_while_the_service_writes(
    tmp_path: Path, checkouts: dict[str, Path], artifacts: dict[str, Path]
) -> None:
    database, checkout = tmp_path / "main.sqlite", tmp_path / "checkout"
    subprocess.run(["cp", "-r", checkouts["1.1.0"], checkout], check=True)
    product.apply("bad-migration", checkout)
    assert (checkout / "migrations" / "0005_expand_rooms.sql").exists()
    product.migrate(database, checkouts["1.1.0"], "expand", "backfill")
    service = product.Service(artifacts["1.1.0"], tmp_path / "api", database, sample_seconds=60)
    assert [post(service, 1), post(service, 2)] == [201, 201]
    with pytest.raises(sqlite3.IntegrityError, match=r"room\.name"):
        product.migrate(database, checkout, "expand")
    assert "room" not in columns(database)
    assert post(service, 3) == 201
    connection = sqlite3.connect(database)
    assert connection.execute("SELECT count(*) FROM telemetry").fetchall() == [(3,)]
    connection.close()
    assert service.stop() == 0


# The firmware's tests of 1.1.0 and 1.2.0 are those of 1.0.0.
@pytest.mark.parametrize(
    ("release", "component"),
    [(release, "service") for release in product.RELEASES]
    + [("1.0.0", "firmware"), ("1.2.1", "firmware")],
)
def test_a_components_own_tests_pass_and_its_build_is_the_same_again(
    tmp_path: Path,
    checkouts: dict[str, Path],
    artifacts: dict[str, Path],
    images: dict[str, Path],
    release: str,
    component: str,
) -> None:
    folder, junit = checkouts[release] / component, tmp_path / "junit.xml"
    command = [sys.executable, "run_tests.py", str(junit)]
    done = subprocess.run(command, cwd=folder, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    assert b"<testcase" in junit.read_bytes()
    first = (images if component == "firmware" else artifacts)[release]
    again = product.build(folder, tmp_path / "again")
    assert (again / first.name).read_bytes() == first.read_bytes()
    if component == "firmware":
        manifest = json.loads((again / "manifest.json").read_bytes())
        assert (manifest["version"], manifest["size"] >= 1 << 20) == (release, True)
