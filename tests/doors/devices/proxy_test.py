"""Headers of a proxy: believed from whom is configured, refused from anybody else; with nginx."""

import json
import logging
import os
import signal
import socket
import ssl
import subprocess
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from surefoot.doors.devices.entrance import Proxies
from surefoot.engine.device_entrance import DeviceEntrance
from surefoot.store.device_certificates import DeviceCertificates
from surefoot.testing.device_door import DeviceHouse, DoorServer, token_of
from surefoot.testing.door_client import ENV, DoorClient
from surefoot.testing.issuer import Issuer
from surefoot.testing.waiting import until
from surefoot.trust.certificate import parse_pem

PROOF = "a-secret-of-the-proxy"
TOKEN = {"Authorization": f"TargetToken {token_of('dev1')}"}


class Place:
    """A door behind a proxy that is believed; `client` asks as that proxy would."""

    def __init__(self, folder: Path, proxies: Proxies) -> None:
        self.house = DeviceHouse(folder)
        self.house.enrol(ENV, "dev1", "dev2")
        self.issuer = Issuer(folder, "issuer")
        self.certificates = DeviceCertificates(self.house.database)
        self.certificates.put_authorities(ENV, [self.issuer.der], required=False)
        desk = self.house.desk()
        entrance = DeviceEntrance(
            self.certificates, self.house.identities, self.house.now_ms, knocked=desk.refresh
        )
        self.server = DoorServer(desk, entrance=entrance, proxies=proxies)

    def asked(self, device: str, **headers: str) -> tuple[int, str]:
        """Status and error code of a poll without a token, unless one is given."""
        client = DoorClient(self.house, self.server)
        given = {"Authorization": "", **headers}
        lines = "".join(f"{n.replace('_', '-')}: {v}\r\n" for n, v in given.items() if v)
        host, _, port = client.netloc.partition(":")
        with socket.create_connection((host, int(port)), 90) as wire:
            head = f"GET /{ENV}/controller/v1/{device} HTTP/1.1\r\nHost: a\r\nConnection: close\r\n"
            wire.sendall(f"{head}{lines}\r\n".encode("latin-1"))
            whole = b"".join(iter(lambda: wire.recv(65_536), b""))
        answer = json.loads(whole.partition(b"\r\n\r\n")[2])
        return int(whole[9:12]), answer.get("errorCode", "")

    def says(self, device: str, **more: str) -> dict[str, str]:
        """The headers of a proxy about a device's certificate."""
        named = {"X_Ssl_Client_Cn": device, "X_Ssl_Issuer_Hash_1": self.issuer.fingerprint}
        return {**named, "X_Surefoot_Proxy": PROOF, **more}


@pytest.fixture
def place(tmp_path: Path) -> Iterator[Place]:
    place = Place(tmp_path, Proxies(["127.0.0.0/8"], PROOF.encode()))
    with place.server:
        yield place
    place.house.database.close()


def test_a_believed_proxy_says_who_the_device_is(place: Place) -> None:
    assert place.asked("dev1", **place.says("dev1"))[0] == 200
    assert place.asked("dev2", **place.says("dev1"))[0] == 401
    assert place.asked("dev2", **place.says("dev1"), **TOKEN)[0] == 401
    colons = ":".join(place.issuer.fingerprint.upper()[i : i + 2] for i in range(0, 64, 2))
    newer = {"X_Controller_Id": "dev1", "X_Authority": colons, "X_Surefoot_Proxy": PROOF}
    assert place.asked("dev1", **newer)[0] == 200
    assert place.asked("dev1", **place.says("dev1", X_Ssl_Issuer_Hash_1="ab" * 32))[0] == 401
    place.house.identities.set_standing(ENV, "dev1", "revoked", "ann")
    place.server.looked()
    assert place.asked("dev1", **place.says("dev1"))[0] == 401


@pytest.mark.parametrize(
    "forged",
    [
        {"X_Ssl_Client_Cn": "dev1"},
        {"X_Ssl_Issuer_Hash_1": "ab"},
        {"X_Ssl_Issuer_Hash_77": "ab"},
        {"X_Controller_Id": "dev1"},
        {"X_Authority": "ab"},
        {"X_Authority_0": "ab"},
        {"X_Ssl_Client_Cert": "x"},
    ],
)
def test_forged_headers_are_refused_also_with_a_good_token(
    place: Place, caplog: pytest.LogCaptureFixture, forged: dict[str, str]
) -> None:
    caplog.set_level(logging.WARNING, "surefoot.devices")
    before = place.house.registry.newest_change()
    assert place.asked("dev1", **forged, **TOKEN) == (403, "device.proxy.refused")
    lines = [r.getMessage() for r in caplog.records]
    assert len(lines) == 1 and "device.proxy.refused" in lines[0]
    assert place.asked("dev1", **forged, **TOKEN, X_Surefoot_Proxy=PROOF[:-1])[0] == 403
    twice = {"X_Surefoot_Proxy": f"{PROOF}\r\nX-Surefoot-Proxy: {PROOF}"}
    assert place.asked("dev1", **forged, **TOKEN, **twice)[0] == 403
    assert place.house.registry.newest_change() == before
    assert place.asked("dev1", **TOKEN)[0] == 200


def test_an_address_that_is_not_configured_is_not_believed(tmp_path: Path) -> None:
    place = Place(tmp_path, Proxies(["10.0.0.0/8", "::1/128"]))
    with place.server:
        assert place.asked("dev1", **place.says("dev1")) == (403, "device.proxy.refused")
    place.house.database.close()


@pytest.mark.parametrize(
    "more",
    [
        {"X_Controller_Id": "dev2"},
        {"X_Ssl_Issuer_Hash_2": "ab"},
        {"X_Authority_1": "ab"},
        {"X_Ssl_Client_Cert": "nonsense"},
        {"X_Ssl_Client_Cert": "x" * 20_000},
        {"X_Ssl_Client_Cn": "dev1\r\nX-Ssl-Client-Cn: dev2"},
        {"X_Ssl_Issuer_Hash_1": "a" * 300},
        {"X_Ssl_Client_Cn": ""},
    ],
)
def test_what_a_proxy_says_twice_or_by_half_is_refused(place: Place, more: dict[str, str]) -> None:
    assert place.asked("dev1", **place.says("dev1", **more)) == (400, "device.proxy.input")


def test_a_proxy_that_names_a_whole_chain_sends_a_fixed_number(tmp_path: Path) -> None:
    """One more may be the device's own, joined to the proxy's on the way."""
    place = Place(tmp_path, Proxies(["127.0.0.0/8"], PROOF.encode(), 2))
    own, other = place.issuer.fingerprint, "0" * 64
    with place.server:
        for said, status in (
            ({"X_Ssl_Issuer_Hash_1": other, "X_Ssl_Issuer_Hash_2": own.upper()}, 200),
            ({"X_Authority": f"{other},{own}"}, 200),
            ({"X_Authority": f"{own};{other}"}, 200),
            ({"X_Authority": f"{own},"}, 200),
            ({"X_Authority": f"{other},{other}"}, 401),
            ({"X_Authority": own}, 400),
            ({"X_Authority": f"{other},{other},{own}"}, 400),
            ({"X_Ssl_Issuer_Hash_1": other, "X_Authority": f"{other},{own}"}, 400),
        ):
            named = {"X_Ssl_Client_Cn": "dev1", "X_Surefoot_Proxy": PROOF}
            assert place.asked("dev1", **named, **said)[0] == status, said
    place.house.database.close()


def test_a_bound_device_takes_the_whole_certificate(place: Place) -> None:
    cert = place.issuer.issue("dev1")[0].read_bytes()
    found = parse_pem(cert)[0]
    place.certificates.bind(ENV, "dev1", found.fingerprint)
    assert place.asked("dev1", **place.says("dev1"))[0] == 401
    leaf = cert.decode().partition("-----END CERTIFICATE-----")[0] + "-----END CERTIFICATE-----"
    escaped = leaf.replace("\n", "%0A").replace(" ", "%20").replace("+", "%2B")
    assert place.asked("dev1", **place.says("dev1", X_Ssl_Client_Cert=escaped))[0] == 200
    assert place.asked("dev2", **place.says("dev2", X_Ssl_Client_Cert=escaped)) == (
        400,
        "device.proxy.input",
    )


def test_a_devices_address_and_scheme_are_the_proxys_last_word(
    place: Place, caplog: pytest.LogCaptureFixture
) -> None:
    client = DoorClient(place.house, place.server)
    proxy = {"X-Forwarded-Proto": "https", "X-Surefoot-Proxy": PROOF}
    assert client.ask("GET", "", **proxy)[2].count(b"https://") >= 1
    assert b"https://" not in client.ask("GET", "", **{"X-Forwarded-Proto": "https"})[2]
    caplog.set_level(logging.WARNING, "surefoot.devices")
    wrong = {"Authorization": "TargetToken no", "X-Forwarded-For": "6.6.6.6, 8.8.4.4"}
    client.ask("GET", "", **wrong, **proxy)
    client.ask("GET", "", **wrong)
    lines = [r.getMessage() for r in caplog.records]
    assert "from 8.8.4.4" in lines[0] and "from 127.0.0.1" in lines[1]


NGINX = """
daemon off; pid {folder}/nginx.pid; error_log {folder}/error.log warn; worker_processes 1;
events {{ worker_connections 64; }}
http {{
    access_log off;
    client_body_temp_path {folder}/body; proxy_temp_path {folder}/proxy;
    fastcgi_temp_path {folder}/f; uwsgi_temp_path {folder}/u; scgi_temp_path {folder}/s;
    server {{
        listen 127.0.0.1:{port} ssl;
        ssl_certificate {certificate}; ssl_certificate_key {key};
        ssl_client_certificate {issuer}; ssl_verify_client on;
        location / {{
            proxy_pass {door};
            proxy_http_version 1.1;
            proxy_set_header Host $http_host;
            proxy_set_header X-Forwarded-Proto https;
            proxy_set_header X-Forwarded-For $remote_addr;
            proxy_set_header X-Surefoot-Proxy "{proof}";
            proxy_set_header X-Ssl-Client-Cn $client_cn;
            proxy_set_header X-Ssl-Client-Cert $ssl_client_escaped_cert;
            proxy_set_header X-Ssl-Issuer-Hash-1 {fingerprint};
            proxy_set_header X-Controller-Id "";
            proxy_set_header X-Authority "";
        }}
    }}
    map $ssl_client_s_dn $client_cn {{ default ""; ~(^|,)CN=(?<found>[^,]+) $found; }}
}}
"""


@pytest.fixture
def nginx(place: Place, tmp_path: Path, require_tool: Callable[[str], str]) -> Iterator[int]:
    """The port of a real nginx in front of the door."""
    folder = tmp_path / "nginx"
    folder.mkdir(mode=0o777)
    with socket.socket() as held:
        held.bind(("127.0.0.1", 0))
        port: int = held.getsockname()[1]
    certificate, key = place.issuer.issue("127.0.0.1", server=True)
    settings = NGINX.format(
        folder=folder,
        port=port,
        certificate=certificate,
        key=key,
        issuer=place.issuer.file,
        door=place.server.url,
        proof=PROOF,
        fingerprint=place.issuer.fingerprint,
    )
    user = "user root;\n" if os.geteuid() == 0 else ""
    (folder / "nginx.conf").write_text(user + settings)
    words = [require_tool("nginx"), "-p", str(folder), "-c", str(folder / "nginx.conf")]
    process = subprocess.Popen(words, stderr=subprocess.DEVNULL, start_new_session=True)
    try:
        until(lambda: _listens(port))
        yield port
    finally:
        os.killpg(process.pid, signal.SIGTERM)
        process.wait(90)


def _listens(port: int) -> bool:
    with socket.socket() as probe:
        return probe.connect_ex(("127.0.0.1", port)) == 0


def through(place: Place, port: int, pair: tuple[Path, Path], device: str, *lines: str) -> bytes:
    """The whole answer to a poll through nginx with a client certificate."""
    context = ssl.create_default_context(cafile=str(place.issuer.file))
    context.check_hostname = False
    context.load_cert_chain(*pair)
    raw = socket.create_connection(("127.0.0.1", port), 10)
    with context.wrap_socket(raw) as line:
        head = f"GET /{ENV}/controller/v1/{device} HTTP/1.1\r\nHost: door.example\r\n"
        more = "".join(each + "\r\n" for each in lines)
        line.sendall(f"{head}Connection: close\r\n{more}\r\n".encode())
        return b"".join(iter(lambda: line.recv(65_536), b""))


def test_nginx_passes_on_who_showed_a_certificate(place: Place, nginx: int) -> None:
    pair = place.issuer.issue("dev1")
    answer = through(place, nginx, pair, "dev1")
    assert answer[9:12] == b"200" and b"https://door.example/production/" in answer
    assert through(place, nginx, pair, "dev2")[9:12] == b"401"
    place.certificates.bind(ENV, "dev1", parse_pem(pair[0].read_bytes())[0].fingerprint)
    assert through(place, nginx, pair, "dev1")[9:12] == b"200"
    again = place.issuer.issue("dev1", file="again")
    assert through(place, nginx, again, "dev1")[9:12] == b"401"


@pytest.mark.parametrize(
    ("line", "status"),
    [
        ("X-Ssl-Client-Cn: dev2", b"401"),
        ("X-Controller-Id: dev2", b"401"),
        ("X_Ssl_Client_Cn: dev2", b"401"),
        ("X-Ssl-Issuer-Hash-2: ab", b"400"),
        ("X-Authority-0: ab", b"400"),
    ],
)
def test_a_device_behind_nginx_forges_nothing(
    place: Place, nginx: int, line: str, status: bytes
) -> None:
    pair = place.issuer.issue("dev1")
    assert through(place, nginx, pair, "dev2", line)[9:12] == status
