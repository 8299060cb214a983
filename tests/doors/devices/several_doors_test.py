"""Two door processes on one PostgreSQL: what one takes the other one knows, also after a cut."""

from __future__ import annotations

import json
import subprocess
import sys
import urllib.error
import urllib.request
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import psycopg
import pytest

from surefoot.compose import FounderKey, Settings, initialise
from surefoot.compose import door as composed
from surefoot.compose.log_keys import KeptKey, keep_keys, kept_keys
from surefoot.core.errors import Refused
from surefoot.store.device_rollouts import Wave
from surefoot.store.postgres import PostgresDatabase
from surefoot.store.postgres_watch import APPLICATION
from surefoot.testing.claims import Claims
from surefoot.testing.device_door import DeviceHouse, token_of
from surefoot.testing.waiting import until
from surefoot.trust.keys import private_key

ENV = "production"
# Such a door looks only when it is told: by itself it would do so after an hour.
DOOR = """
import runpy
from surefoot.compose import door
door._TOLD_SECONDS = 3600.0
runpy.run_module("surefoot", run_name="__main__")
"""


class Door:
    """A `surefoot server door` process."""

    def __init__(self, folder: Path) -> None:
        words = ["-c", DOOR, "server", "door", "--data", str(folder)]
        self._process = subprocess.Popen(
            [sys.executable, *words, "--devices", "127.0.0.1:0", "-o", "json"],
            stdout=subprocess.PIPE,
            text=True,
        )
        assert self._process.stdout is not None
        self.url = json.loads(self._process.stdout.readline())["devices"]

    def stop(self) -> int:
        self._process.terminate()
        status = self._process.wait(timeout=90)
        assert self._process.stdout is not None
        self._process.stdout.close()
        return status

    def ask(self, device: str, path: str = "", body: Any = None) -> tuple[int, Any]:
        request = urllib.request.Request(
            f"{self.url}/{ENV}/controller/v1/{device}{path}",
            data=None if body is None else json.dumps(body).encode(),
            headers={
                "Authorization": f"TargetToken {token_of(device)}",
                "Content-Type": "application/json",
            },
            method="GET" if body is None else "PUT" if "configData" in path else "POST",
        )
        try:
            with urllib.request.urlopen(request, timeout=90) as answer:
                text = answer.read()
                return answer.status, json.loads(text) if text else {}
        except urllib.error.HTTPError as error:
            return error.code, {}

    def links(self, device: str) -> set[str]:
        status, answer = self.ask(device)
        return set(answer["_links"]) if status == 200 else {f"status {status}"}


def initialised(folder: Path, store: str = "") -> Settings:
    settings = Settings(installation="doors", product="p", repository=str(folder), store=store)
    founders = tuple(
        FounderKey(person=name, key=private_key(name.encode() * 16).public.line())
        for name in ("an", "bo")
    )
    initialise(folder, settings, founders)
    return settings


@pytest.fixture
def folder(postgres_dsn: str, tmp_path: Path) -> Path:
    """An installation whose log has also the key of the claims that tests make."""
    made = tmp_path / "folder"
    settings = initialised(made, postgres_dsn)
    theirs = KeptKey(seed="claims", vkey=Claims().signer.verifier.text())
    keep_keys(made, [*kept_keys(made, settings.installation), theirs])
    return made


@pytest.fixture
def house(folder: Path, postgres_dsn: str) -> Iterator[DeviceHouse]:
    database = PostgresDatabase(postgres_dsn)
    made = DeviceHouse(folder, database)
    made.enrol(ENV, "a", "b")
    yield made
    database.close()


@pytest.fixture
def doors(folder: Path, house: DeviceHouse) -> Iterator[list[Door]]:
    both = [Door(folder), Door(folder)]
    yield both
    assert [door.stop() for door in both] == [0, 0]


def wave(house: DeviceHouse, deployment: int) -> Wave:
    firmware = house.firmware(b"image %d" % deployment, f"{deployment}.0.0")
    return Wave(
        deployment=deployment,
        wave=0,
        percent=100,
        release="r",
        firmware=firmware,
        deadline_seconds=600,
    )


def cut_the_listeners(dsn: str) -> int:
    with psycopg.connect(dsn, autocommit=True) as connection:
        cursor = connection.execute(
            "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE application_name = %s",
            (APPLICATION,),
        )
        return len(cursor.fetchall())


def test_what_one_door_takes_the_other_knows_and_a_cut_line_is_made_anew(
    doors: list[Door], house: DeviceHouse, postgres_dsn: str
) -> None:
    one, two = doors
    assert one.links("a") == two.links("a") == {"configData"}
    told = {"mode": "merge", "data": {"firmware_version": "0.9.0"}}
    assert one.ask("a", "/configData", told)[0] == 200
    until(lambda: two.links("a") == set())
    house.assign(ENV, wave(house, 1))
    for door in doors:
        until(lambda door=door: "deploymentBase" in door.links("a"))  # type: ignore[misc]
    assert cut_the_listeners(postgres_dsn) == 2
    # What is assigned while nobody hears is not lost.
    house.assign(ENV, wave(house, 2), fence=2)
    newest = house.registry.page(ENV)[0].action
    for door in doors:
        until(lambda door=door: door.ask("a", f"/deploymentBase/{newest}")[0] == 200)  # type: ignore[misc]
    until(lambda: listeners(postgres_dsn) == 2)
    house.identities.set_standing(ENV, "a", "revoked", "test")
    for door in doors:
        until(lambda door=door: door.links("a") == {"status 401"})  # type: ignore[misc]
        assert "deploymentBase" in door.links("b")


def listeners(dsn: str) -> int:
    with psycopg.connect(dsn) as connection:
        found = connection.execute(
            "SELECT count(*) FROM pg_stat_activity WHERE application_name = %s", (APPLICATION,)
        ).fetchone()
    return int(found[0]) if found else 0


def test_a_door_of_its_own_needs_postgresql(tmp_path: Path) -> None:
    initialised(tmp_path / "f")
    with pytest.raises(Refused, match=r"server\.door\.store"):
        composed.run(tmp_path / "f", "127.0.0.1:0", lambda address: None)
