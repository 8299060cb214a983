"""Offers that are not as the door makes them, and what the real swupdate makes of each.

The proxy changes what the door says; the door's own answers are held by its other tests. Whatever
the client reports then, the door's truth about the device must agree. Run by `make field`.
"""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

import pytest
from between import CONTENT, ENV, NAME, OFFER, Case, Fault, between

from surefoot.testing.device_door import token_of

pytestmark = [pytest.mark.field, pytest.mark.timeout(120)]

Change = Callable[[dict[str, Any], dict[str, Any]], None]


def offering(change: Change) -> Fault:
    """Every offer, with a change to it and to its artifact."""

    def made(body: bytes) -> bytes:
        offer = json.loads(body)
        change(offer, offer["deployment"]["chunks"][0]["artifacts"][0])
        return json.dumps(offer).encode()

    return Fault(*OFFER, change=made, times=99)


def sha1_alone(offer: dict[str, Any], artifact: dict[str, Any]) -> None:
    artifact["hashes"] = {"sha1": artifact["hashes"]["sha1"]}


def another_size(offer: dict[str, Any], artifact: dict[str, Any]) -> None:
    artifact["size"] = 7


def plain_link_alone(offer: dict[str, Any], artifact: dict[str, Any]) -> None:
    artifact["_links"] = {"download-http": artifact["_links"]["download-http"]}


def skipped_download(offer: dict[str, Any], artifact: dict[str, Any]) -> None:
    """With `update: forced` this version takes no notice of it."""
    offer["deployment"]["download"] = "skip"


def attempted(offer: dict[str, Any], artifact: dict[str, Any]) -> None:
    offer["deployment"] |= {"download": "attempt", "update": "attempt"}


@pytest.mark.parametrize(
    "change", [sha1_alone, another_size, plain_link_alone, attempted, skipped_download]
)
def test_an_offer_that_is_enough_is_installed(case: Case, change: Change) -> None:
    with between(case, offering(change)):
        case.assign(case.image())
        case.reboot("1.0.0")
        case.confirmed()


def without_sha1(offer: dict[str, Any], artifact: dict[str, Any]) -> None:
    del artifact["hashes"]["sha1"]


def another_name(offer: dict[str, Any], artifact: dict[str, Any]) -> None:
    artifact["filename"] = "firmware.bin"


@pytest.mark.parametrize("change", [without_sha1, another_name])
def test_an_offer_that_it_cannot_take_is_a_failure(case: Case, change: Change) -> None:
    """Without a sha1 its report is no JSON, for a line break; it is read all the same."""
    with between(case, offering(change)) as proxy:
        case.assign(case.image())
        case.reboot("1.0.0")
        assert case.until("failed", "reported", "verified") == "failed"
        assert "No suitable .swu image found" in case.told()
        assert not [r for r in proxy.requests if "/softwaremodules/" in r]
    assert case.client.installed == b""


def test_a_file_that_it_would_skip_is_not_offered_to_it(case: Case) -> None:
    """By the door: once it knows the client it names what is wrong, and offers nothing more."""
    with between(case) as proxy:
        case.assign(case.image(file="firmware.bin"))
        case.reboot("1.0.0")
        while not case.house.registry.page(ENV)[0].profile:
            case.wait()
        seen = len(proxy.requests)
        while len(proxy.requests) < seen + 5:
            case.wait()
        assert not [r for r in proxy.requests[seen + 2 :] if "/deploymentBase/" in r]
        assert not [r for r in proxy.requests if "/softwaremodules/" in r]
        found = case.house.registry.find(ENV, NAME)
        assert found is not None and found.state == "assigned"
        assert found.withheld == "swupdate takes only files that end in .swu or .zck"
    assert case.client.installed == b""


def skipped_update(offer: dict[str, Any], artifact: dict[str, Any]) -> None:
    offer["deployment"]["update"] = "skip"


def closed_window(offer: dict[str, Any], artifact: dict[str, Any]) -> None:
    offer["deployment"] |= {"update": "skip", "maintenanceWindow": "unavailable"}


@pytest.mark.parametrize("change", [skipped_update, closed_window])
def test_what_it_skipped_is_never_installed_though_it_closes_with_success(
    case: Case, change: Change
) -> None:
    with between(case, offering(change)):
        case.assign(case.image())
        case.reboot("1.0.0")
        assert case.until("failed", "reported", "verified") == "failed"
        assert "Skipped Update" in case.told() and "'success'" in case.told()
    assert case.client.installed == b""


@pytest.mark.parametrize(("action", "sent"), [("abc-def", 0), (9_000_000_000, 2_147_483_647)])
def test_an_action_that_is_no_small_number_is_reported_as_another(
    case: Case, action: object, sent: int
) -> None:
    """Why the door's numbers are decimal and below 2**31. Nobody has that action: no change."""

    def renamed(offer: dict[str, Any], artifact: dict[str, Any]) -> None:
        offer["id"] = str(action)

    with between(case, offering(renamed)) as proxy:
        case.assign(case.image())
        case.reboot("1.0.0")
        wanted = f"/deploymentBase/{sent}/feedback"
        while not [r for r in proxy.requests if wanted in r]:
            case.wait()
        assert case.state == "offered"
    assert case.client.installed == b""


def test_a_download_without_the_token_is_refused_and_a_failure(case: Case) -> None:
    with between(case):
        case.assign(case.image())
        token = f'targettoken = "{token_of(NAME)}"; usetokentodwl = false;'
        case.reboot("1.0.0", access=token)
        assert case.until("failed", "reported", "verified") == "failed"
    assert case.client.installed != CONTENT
