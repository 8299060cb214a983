"""The real swupdate, unmodified, from poll to verified: it reports success only when restarted."""

import contextlib
import os
import shutil
import signal
import subprocess
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from surefoot.store.device_rollouts import Wave
from surefoot.testing.device_door import DeviceHouse, DoorServer, token_of

ENV = "production"
DESCRIPTION = """software =
{{
    version = "1.1.0";
    hardware-compatibility: [ "1.0" ];
    files: ( {{ filename = "payload.txt"; path = "{target}"; type = "rawfile";
               sha256 = "{sha256}"; }} );
}}
"""
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


def run(*words: str, folder: Path) -> bytes:
    return subprocess.run(words, cwd=folder, check=True, capture_output=True, timeout=30).stdout


def signed_image(folder: Path) -> bytes:
    """A .swu image that writes one file: cpio of description, signature and payload."""
    run(
        *("openssl", "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-keyout", "sign.key"),
        *("-out", "sign.crt", "-subj", "/CN=sign", "-days", "30"),
        *("-addext", "extendedKeyUsage=emailProtection"),
        folder=folder,
    )
    (folder / "payload.txt").write_text("firmware 1.1.0\n" * 1000)
    sha256 = run("sha256sum", "payload.txt", folder=folder).split()[0].decode()
    target = folder / "installed.txt"
    (folder / "sw-description").write_text(DESCRIPTION.format(target=target, sha256=sha256))
    run(
        *("openssl", "cms", "-sign", "-in", "sw-description", "-out", "sw-description.sig"),
        *("-signer", "sign.crt", "-inkey", "sign.key", "-outform", "DER"),
        *("-nosmimecap", "-binary"),
        folder=folder,
    )
    names = ("sw-description", "sw-description.sig", "payload.txt")
    return archive({name: (folder / name).read_bytes() for name in names})


def archive(files: dict[str, bytes]) -> bytes:
    """A cpio archive of the "crc" kind: thirteen hex fields, name, content, padded to four."""
    whole = b""
    for inode, (name, content) in enumerate((*files.items(), ("TRAILER!!!", b"")), 1):
        sums = sum(content) & 0xFFFFFFFF
        fields = (inode, 0o100644, 0, 0, 1, 0, len(content), 0, 0, 0, 0, len(name) + 1, sums)
        whole += b"070702" + b"".join(b"%08X" % field for field in fields)
        for part in (name.encode() + b"\0", content):
            whole += part
            whole += bytes(-len(whole) % 4)
    return whole + bytes(-len(whole) % 512)


class Client:
    """A running swupdate; ended with its children."""

    def __init__(self, folder: Path, url: str, version: str, *extra: str) -> None:
        settings = SETTINGS.format(
            certificate=folder / "sign.crt",
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
        self._process.wait(10)
        self._log.close()


def wait_for(house: DeviceHouse, *states: str, seconds: float = 15) -> str:
    begun = time.monotonic()
    while time.monotonic() - begun < seconds:
        state = house.registry.page(ENV)[0].state
        if state in states:
            return state
        time.sleep(0.05)
    raise AssertionError(f"still {state}")


@pytest.mark.timeout(90)
def test_the_real_swupdate_installs_and_is_verified(
    require_tool: Callable[[str], str], tmp_path: Path
) -> None:
    for tool in ("swupdate", "openssl"):
        require_tool(tool)
    house = DeviceHouse(tmp_path / "house")
    house.enrol(ENV, "swu-1")
    image = house.firmware(signed_image(tmp_path), "1.1.0")
    with DoorServer(house.desk()) as server:
        with Client(tmp_path, server.url, "1.0.0"):
            begun = time.monotonic()
            while house.registry.page(ENV)[0].runs != "1.0.0":
                assert time.monotonic() - begun < 15, (tmp_path / "swupdate.log").read_text()
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
            installed = tmp_path / "installed.txt"
            begun = time.monotonic()
            while not (installed.exists() and installed.stat().st_size == 15_000):
                assert time.monotonic() - begun < 20, (tmp_path / "swupdate.log").read_text()
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
