"""Certificates through the operations: each is a fact before it is done, and takes a right."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import pytest
from house import MOODY, AppHouse

from surefoot.core.errors import Refused
from surefoot.testing.issuer import Issuer
from surefoot.trust.certificate import parse_pem


@pytest.fixture
def home(house: Callable[[str], AppHouse]) -> AppHouse:
    home = house(MOODY)
    home.set_up()
    return home


def code_of(ask: Callable[[], object]) -> str:
    with pytest.raises(Refused) as caught:
        ask()
    return caught.value.code


def test_a_device_is_bound_rotated_and_loosed(home: AppHouse, tmp_path: Path) -> None:
    issuer = Issuer(tmp_path, "issuer")
    first, second = (
        issuer.issue("lamp-7", file=name)[0].read_bytes() for name in ("first", "second")
    )
    one, two = (parse_pem(each)[0].fingerprint for each in (first, second))
    listed = [{"id": "lamp-7", "hardware": "lamp", "certificate": one.upper()}]
    home.call("device enrol", "ann", name="dev", devices=listed)
    kept = home.installation.certificates
    assert kept.credential("dev", "lamp-7") == ("", one)
    (fact,) = home.facts("DevicesEnrolled")
    held = json.loads(home.installation.blobs.get(fact["devices"]))
    assert held == [["lamp-7", "lamp", one]]
    place = {"name": "dev", "id": "lamp-7"}
    home.call("device set-certificate", "ann", **place, certificate=second.decode())
    assert kept.credential("dev", "lamp-7") == ("", two)
    home.call("device set-certificate", "ann", **place, fingerprint=one)
    home.call("device set-certificate", "ann", **place, off=True)
    facts = [(f.get("before", ""), f.get("fingerprint", "")) for f in home.facts(SET)]
    assert facts == [(one, two), (two, one), (one, "")]
    assert kept.credential("dev", "lamp-7") == ("", "")
    now = home.installation.log.read(lambda w: w.environments["dev"].devices)
    assert now == 1


SET = "DeviceCertificateSet"


def test_issuers_are_believed_and_listed(home: AppHouse, tmp_path: Path) -> None:
    one, two = Issuer(tmp_path, "one"), Issuer(tmp_path, "two")
    pem = (one.pem + two.pem).decode()
    home.call("device set-issuers", "ann", name="dev", certificates=pem, required=True)
    shown = home.call("device issuers", "ann", name="dev")
    assert shown["required"] is True
    assert {row["name"] for row in shown["issuers"]} == {"one", "two"}
    home.call("device set-issuers", "ann", name="dev", off=True)
    assert home.call("device issuers", "ann", name="dev") == {"required": False, "issuers": []}
    facts = home.facts("DeviceAuthoritiesSet")
    assert [len(f.get("authorities", ())) for f in facts] == [2, 0]
    assert facts[0]["authorities"] == [one.fingerprint, two.fingerprint]


def test_what_is_no_certificate_is_refused_and_changes_nothing(
    home: AppHouse, tmp_path: Path
) -> None:
    home.enrol("eve")
    issuer = Issuer(tmp_path, "issuer")
    leaf = issuer.issue("lamp-7")[0].read_text()
    home.call("device enrol", "ann", name="dev", devices=[{"id": "lamp-7", "gateway": True}])
    place = {"name": "dev", "id": "lamp-7"}
    asked = "device set-certificate"
    for more in (
        {},
        {"certificate": "x"},
        {"fingerprint": "ab"},
        {"off": True, "fingerprint": "a"},
    ):
        refused = code_of(lambda more=more: home.call(asked, "ann", **place, **more))
        assert refused == "device.certificate.input"
    nobody = {"name": "dev", "id": "nobody", "off": True}
    assert code_of(lambda: home.call(asked, "ann", **nobody)) == "device.name.unknown"
    for more in (
        {},
        {"certificates": leaf},
        {"certificates": "x"},
        {"off": True, "required": True},
    ):
        refused = code_of(
            lambda more=more: home.call("device set-issuers", "ann", name="dev", **more)
        )
        assert refused == "device.issuer.input"
    listed = [{"id": "b", "certificate": "nonsense"}]
    asking = {"name": "dev", "devices": listed}
    assert code_of(lambda: home.call("device enrol", "ann", **asking)) == "device.certificate.input"
    code_of(lambda: home.call(asked, "eve", **place, off=True))
    code_of(lambda: home.call("device set-issuers", "eve", name="dev", off=True))
    assert not home.facts(SET) and not home.facts("DeviceAuthoritiesSet")
