"""The real swupdate, unmodified, from poll to verified: it reports success only when restarted."""

import contextlib
import os
import shutil
import signal
import subprocess
import time
from collections.abc import Callable
from pathlib import Path

from surefoot.store.device_rollouts import Wave
from surefoot.testing.device_door import DeviceHouse, DoorServer, token_of
from surefoot.testing.swupdate import Maker

ENV = "production"
SETTINGS = """globals :
{{
    verbose = false; loglevel = 3; bootloader = "none"; public-key-file = "{certificate}";
}};
suricatta :
{{
    tenant = "{environment}"; id = "swu-1"; url = "{url}"; targettoken = "{token}";
    polldelay = 1; retry = 3; retrywait = 1;
}};
identify : ( {{ name = "sw_version"; value = "{version}"; }} );
"""


class Client:
    """A running swupdate; ended with its children."""

    def __init__(self, folder: Path, url: str, version: str, *extra: str) -> None:
        settings = SETTINGS.format(
            certificate=folder / "maker" / "sign.crt",
            environment=ENV,
            url=url,
            token=token_of("swu-1"),
            version=version,
        )
        (folder / "swupdate.cfg").write_text(settings)
        self._log = (folder / "swupdate.log").open("ab")
        self._process = subprocess.Popen(
            ["swupdate", "-f", "swupdate.cfg", "-H", "board:1.0", "-u", " ".join(extra) or "-e"],
            cwd=folder,
            env={**os.environ, "TMPDIR": str(folder)},
            stdout=self._log,
            stderr=subprocess.STDOUT,
            restore_signals=False,
            start_new_session=True,
        )

    def __enter__(self) -> "Client":
        return self

    def __exit__(self, *_: object) -> None:
        with contextlib.suppress(ProcessLookupError):
            os.killpg(self._process.pid, signal.SIGKILL)
        self._process.wait(90)
        self._log.close()


def wait_for(house: DeviceHouse, *states: str, seconds: float = 120) -> str:
    begun = time.monotonic()
    while time.monotonic() - begun < seconds:
        state = house.registry.page(ENV)[0].state
        if state in states:
            return state
        time.sleep(0.05)
    raise AssertionError(f"still {state}")


def test_the_real_swupdate_installs_and_is_verified(
    require_tool: Callable[[str], str], tmp_path: Path
) -> None:
    for tool in ("swupdate", "openssl"):
        require_tool(tool)
    maker = Maker(tmp_path / "maker")
    house = DeviceHouse(tmp_path / "house")
    house.enrol(ENV, "swu-1")
    image = house.firmware(maker.image("1.1.0", b"firmware 1.1.0\n" * 1000), "1.1.0")
    with DoorServer(house.desk()) as server:
        with Client(tmp_path, server.url, "1.0.0"):
            begun = time.monotonic()
            while house.registry.page(ENV)[0].runs != "1.0.0":
                assert time.monotonic() - begun < 90, (tmp_path / "swupdate.log").read_text()
                time.sleep(0.05)
            wave = Wave(
                deployment=1,
                wave=0,
                percent=100,
                release="sha256:" + "1" * 64,
                firmware=image,
                deadline_seconds=600,
            )
            house.assign(ENV, wave)
            installed = maker.target / "firmware.txt"
            begun = time.monotonic()
            while not (installed.exists() and installed.stat().st_size == 15_000):
                assert time.monotonic() - begun < 90, (tmp_path / "swupdate.log").read_text()
                time.sleep(0.05)
            time.sleep(0.5)
            assert wait_for(house, "installing") == "installing"
        # The reboot: the same device comes back with the new version and says it worked.
        with Client(tmp_path, server.url, "1.1.0", "-c", "2"):
            assert wait_for(house, "verified", "failed") == "verified"
    assert house.seal(ENV) == {"0": {"verified": 1}}
    assert house.sealed[-1].firmware == {"1.1.0": 1}
    shutil.rmtree(tmp_path / "house" / "blobs")
    house.database.close()
