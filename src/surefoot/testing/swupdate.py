"""The real swupdate, as many as wanted, each in a network namespace of its own: devices for tests.

Keeps: images are signed as a maker signs them (CMS, RSA); each client has its own network, mounts,
temporary folder and install target; everything that was started or made is ended and removed.
Needs root, `swupdate`, `openssl` and `ip`. Does not: judge, or stand in for a client.
"""

from __future__ import annotations

import contextlib
import hashlib
import os
import signal
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path

_SECONDS = 90
_DESCRIPTION = """software =
{{
    version = "{version}";
    hardware-compatibility: [ "1.0" ];
    files: ( {{ filename = "firmware.txt"; path = "{target}"; type = "rawfile";
               sha256 = "{sha256}"; }} );
}}
"""
_SETTINGS = """globals :
{{
    verbose = false; loglevel = 3; bootloader = "none"; public-key-file = "{certificate}";
}};
suricatta :
{{
    tenant = "{environment}"; id = "{name}"; url = "{url}"; {access}
    polldelay = 1; retry = 3; retrywait = 1;
}};
identify : ( {{ name = "sw_version"; value = "{version}"; }} );
"""
# The slot is bound over the one path that the signed image names, in mounts of the client's own.
_START = 'mount --bind "$1" "$2" && shift 2 && exec "$@"'


def run(*words: str, folder: Path | None = None) -> bytes:
    """A command that must succeed; its output."""
    done = subprocess.run(words, cwd=folder, capture_output=True, timeout=_SECONDS, check=False)
    if done.returncode:
        raise AssertionError(f"{' '.join(words)}: {done.stderr.decode(errors='replace')}")
    return done.stdout


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


class Maker:
    """Who makes images: a key, its certificate, and the path that images are written to."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.target = folder / "slot"
        self.target.mkdir(parents=True)
        self.certificate = folder / "sign.crt"
        run(
            *("openssl", "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-keyout", "sign.key"),
            *("-out", "sign.crt", "-subj", "/CN=sign", "-days", "30"),
            *("-addext", "extendedKeyUsage=emailProtection"),
            folder=folder,
        )

    def image(self, version: str, content: bytes) -> bytes:
        """A signed .swu that writes `content` to the slot."""
        target = self.target / "firmware.txt"
        values = {"version": version, "target": target}
        sha256 = hashlib.sha256(content).hexdigest()
        described = _DESCRIPTION.format(**values, sha256=sha256)
        (self.folder / "sw-description").write_text(described)
        run(
            *("openssl", "cms", "-sign", "-in", "sw-description", "-out", "sw-description.sig"),
            *("-signer", "sign.crt", "-inkey", "sign.key", "-outform", "DER"),
            *("-nosmimecap", "-binary"),
            folder=self.folder,
        )
        names = ("sw-description", "sw-description.sig")
        files = {name: (self.folder / name).read_bytes() for name in names}
        return archive({**files, "firmware.txt": content})


class Network:
    """Namespaces: a hub with a bridge, and one for each device, a cable between them."""

    def __init__(self, devices: int) -> None:
        self.hub = f"sf{os.getpid()}hub"
        self.address = "10.77.0.1"
        self.devices = [f"sf{os.getpid()}d{number}" for number in range(devices)]

    def make(self) -> None:
        """Raises `AssertionError` where the machine does not let us."""
        run("ip", "netns", "add", self.hub)
        inside = ("ip", "-n", self.hub)
        run(*inside, "link", "set", "lo", "up")
        run(*inside, "link", "add", "bridge0", "type", "bridge")
        run(*inside, "addr", "add", f"{self.address}/24", "dev", "bridge0")
        run(*inside, "link", "set", "bridge0", "up")
        for number, name in enumerate(self.devices):
            run("ip", "netns", "add", name)
            cable = f"cable{number}"
            ends = ("type", "veth", "peer", "name", "eth0", "netns", name)
            run(*inside, "link", "add", cable, *ends)
            run(*inside, "link", "set", cable, "master", "bridge0", "up")
            run("ip", "-n", name, "addr", "add", f"10.77.0.{number + 2}/24", "dev", "eth0")
            for link in ("lo", "eth0"):
                run("ip", "-n", name, "link", "set", link, "up")

    def remove(self) -> None:
        """Take all of it away; the cables go with their ends."""
        for name in (*self.devices, self.hub):
            with contextlib.suppress(AssertionError):
                run("ip", "netns", "del", name)


@contextlib.contextmanager
def network(devices: int) -> Iterator[Network]:
    """A network while the context lasts."""
    made = Network(devices)
    try:
        made.make()
        yield made
    finally:
        made.remove()


def namespaces_refused() -> str:
    """Why this machine lets us make no network of namespaces; empty when it does."""
    if os.geteuid() != 0:
        return "making network namespaces needs root"
    try:
        with network(1):
            return ""
    except AssertionError as error:
        return f"network namespaces are not permitted here: {str(error)[:200]}"


class Client:
    """One device: a slot that holds what is installed, and the swupdate that runs now."""

    def __init__(self, maker: Maker, folder: Path, name: str, namespace: str) -> None:
        self.maker, self.folder, self.name = maker, folder, name
        self.slot = folder / "slot"
        self.slot.mkdir(parents=True)
        self._namespace = namespace
        self._process: subprocess.Popen[bytes] | None = None

    @property
    def log(self) -> str:
        """What swupdate wrote so far, over all its runs."""
        file = self.folder / "swupdate.log"
        return file.read_text(errors="replace") if file.exists() else ""

    @property
    def installed(self) -> bytes:
        """What is in the slot."""
        file = self.slot / "firmware.txt"
        return file.read_bytes() if file.exists() else b""

    def start(self, url: str, environment: str, access: str, version: str, *extra: str) -> None:
        """Run swupdate, as after a boot into `version`. `access`: the settings that let it in."""
        settings = _SETTINGS.format(
            certificate=self.maker.certificate,
            environment=environment,
            name=self.name,
            url=url,
            access=access,
            version=version,
        )
        (self.folder / "swupdate.cfg").write_text(settings)
        words = ["swupdate", "-f", "swupdate.cfg", "-H", "board:1.0", "-u", " ".join(extra) or "-e"]
        bind = ["sh", "-c", _START, "sh", str(self.slot), str(self.maker.target)]
        with (self.folder / "swupdate.log").open("ab") as log:
            self._process = subprocess.Popen(
                ["ip", "netns", "exec", self._namespace, *bind, *words],
                cwd=self.folder,
                env={**os.environ, "TMPDIR": str(self.folder)},
                stdout=log,
                stderr=subprocess.STDOUT,
                # swupdate is written for a parent that ignores SIGPIPE, as systemd does.
                restore_signals=False,
                start_new_session=True,
            )

    def stop(self) -> None:
        """End it with its children, at once, as a power cut would."""
        process, self._process = self._process, None
        if process is not None:
            with contextlib.suppress(ProcessLookupError):
                os.killpg(process.pid, signal.SIGKILL)
            process.wait(90)


def wait_for_log(client: Client, words: str, count: int = 1, seconds: float = 90) -> None:
    """Until swupdate wrote these words so often. Raises `AssertionError`."""
    deadline = time.monotonic() + seconds
    while client.log.count(words) < count:
        if time.monotonic() > deadline:
            raise AssertionError(f"{client.name} never said {words!r}:\n{client.log[-3000:]}")
        time.sleep(0.05)
