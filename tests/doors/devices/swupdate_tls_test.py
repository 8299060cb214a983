"""The real swupdate with a client certificate, and without: who has none gets nothing."""

import contextlib
import os
import signal
import subprocess
import time
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path

from surefoot.compose.door_tls import believe, context_of
from surefoot.engine.device_entrance import DeviceEntrance
from surefoot.store.device import NewDevice
from surefoot.store.device_certificates import DeviceCertificates
from surefoot.store.device_identity import CERTIFICATE_ONLY
from surefoot.testing.device_door import DeviceHouse, DoorServer
from surefoot.testing.issuer import Issuer

ENV = "production"
SETTINGS = """globals :
{{
    verbose = false; loglevel = 3; bootloader = "none"; public-key-file = "{folder}/issuer.crt";
}};
suricatta :
{{
    tenant = "{environment}"; id = "{device}"; url = "{url}"; polldelay = 1;
    retry = 3; retrywait = 1; cafile = "{folder}/issuer.crt"; {own}
}};
identify : ( {{ name = "sw_version"; value = "1.0.0"; }} );
"""


@contextlib.contextmanager
def swupdate(folder: Path, url: str, device: str, own: str) -> Iterator[None]:
    text = SETTINGS.format(folder=folder, environment=ENV, device=device, url=url, own=own)
    (folder / "swupdate.cfg").write_text(text)
    with (folder / "swupdate.log").open("ab") as log:
        process = subprocess.Popen(
            ["swupdate", "-f", "swupdate.cfg", "-H", "board:1.0", "-u", "-e"],
            cwd=folder,
            env={**os.environ, "TMPDIR": str(folder)},
            stdout=log,
            stderr=subprocess.STDOUT,
            restore_signals=False,
            start_new_session=True,
        )
        try:
            yield
        finally:
            with contextlib.suppress(ProcessLookupError):
                os.killpg(process.pid, signal.SIGKILL)
            process.wait(90)


def runs(house: DeviceHouse, device: str, seconds: float) -> str:
    """What the device says it runs, as soon as it says so; "" after so many seconds."""
    begun = time.monotonic()
    while time.monotonic() - begun < seconds:
        found = house.registry.find(ENV, device)
        if found is not None and found.runs:
            return found.runs
        time.sleep(0.05)
    return ""


def test_the_real_swupdate_speaks_by_its_certificate(
    require_tool: Callable[[str], str], tmp_path: Path
) -> None:
    require_tool("swupdate")
    house = DeviceHouse(tmp_path / "house")
    listed = [NewDevice(device=name, token_hash=CERTIFICATE_ONLY) for name in ("swu-1", "swu-2")]
    house.registry.enrol(ENV, listed)
    issuer = Issuer(tmp_path, "issuer")
    certificates = DeviceCertificates(house.database)
    certificates.put_authorities(ENV, [issuer.der], required=True)
    tls = context_of(*issuer.issue("localhost", server=True, names=("localhost",)))
    entrance = DeviceEntrance(
        certificates, house.identities, house.now_ms, believe=partial(believe, tls)
    )
    certificate, key = issuer.issue("swu-1")
    own = f'sslcert = "{certificate}"; sslkey = "{key}";'
    with DoorServer(house.desk(), tls=tls, entrance=entrance) as server:
        url = server.url.replace("127.0.0.1", "localhost")
        with swupdate(tmp_path, url, "swu-1", own):
            assert runs(house, "swu-1", 120) == "1.0.0", (tmp_path / "swupdate.log").read_text()
        with swupdate(tmp_path, url, "swu-2", own):
            assert runs(house, "swu-2", 4) == ""
        with swupdate(tmp_path, url, "swu-2", 'targettoken = "guessed";'):
            assert runs(house, "swu-2", 4) == ""
    house.database.close()
