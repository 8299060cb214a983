"""A drill's books balance, with failures, silence, storms and duplicates; and they can fail to."""

import asyncio
from pathlib import Path

import pytest

from surefoot.doors.cli.main import main
from surefoot.testing import drill
from surefoot.testing.device_door import DeviceHouse
from surefoot.testing.drill_books import lines_of
from surefoot.testing.drill_devices import FAILED, UPDATED, Drill, Fleet, name_of

HARSH = Drill(
    count=250,
    failures_percent=6,
    silent_percent=3,
    duplicates_percent=30,
    storms=3,
    waves=(20, 100),
)


def test_every_device_and_every_report_is_accounted_for(tmp_path: Path) -> None:
    found = drill.run(HARSH, tmp_path, lambda text: None)
    assert found.balances, found.books
    figures = {line.what: line.found for line in found.books}
    assert figures["devices accounted for"] == 250
    assert figures["failed"] and figures["timed out (silent)"] and figures["verified"] > 200
    assert figures["reports proved"] > 1_000
    assert found.verdict == "passed"
    assert found.counts["storms"] == 2  # one a wave; who speaks then is chance
    assert found.statuses[410] and set(found.statuses) <= {200, 404, 410}


def test_a_rollout_that_is_stopped_balances_as_well(tmp_path: Path) -> None:
    bad = Drill(count=100, failures_percent=60, storms=0, waves=(50, 100))
    found = drill.run(bad, tmp_path, lambda text: None)
    assert found.verdict == "stopped"
    assert found.balances, found.books


def test_one_device_that_tells_another_story_is_found(tmp_path: Path) -> None:
    house = DeviceHouse(tmp_path)
    house.enrol(drill.ENVIRONMENT, *(name_of(place) for place in range(3)))
    books = lines_of(house, drill.ENVIRONMENT, bytes([0, UPDATED, FAILED]))
    differ = {line.what for line in books if line.expected != line.found}
    assert differ == {"devices whose state is what they saw", "verified", "failed"}


def test_the_command_shows_the_books(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["device", "simulate", "--devices", "40", "--storms", "1"]) == 0
    shown = capsys.readouterr().out
    assert "reports proved" in shown and "DIFFER" not in shown
    assert main(["device", "simulate", "--devices", "many"]) == 3
    assert main(["device", "simulate", "--devices", "5", "--failures", "2x"]) == 3


def test_a_storm_cuts_every_connection() -> None:
    async def told() -> tuple[bool, bytes]:
        cut: asyncio.Future[bytes] = asyncio.get_running_loop().create_future()

        async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            try:
                cut.set_result(await reader.read())
            except ConnectionError:
                cut.set_result(b"")
            writer.close()

        async with await asyncio.start_server(serve, "127.0.0.1", 0) as server:
            port = server.sockets[0].getsockname()[1]
            fleet = Fleet(HARSH, f"http://127.0.0.1:{port}", drill.ENVIRONMENT)
            _, writer = await fleet.open()
            fleet.storm()
            answer = writer.transport.is_closing(), await asyncio.wait_for(cut, 90)
            await asyncio.sleep(0.05)
        return answer

    assert asyncio.run(told()) == (True, b"")
