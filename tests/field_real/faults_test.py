"""Every fault that the real swupdate can meet on its way, and what it makes of it.

A fault stands between the client and the real door: a proxy on the client's own loopback, in its
own network namespace, that hands on all but what the case changes. The outcomes are those of the
real program; what counts is that the door's truth about the device agrees. Run by `make field`.
"""

from __future__ import annotations

import hashlib
import time
from pathlib import Path

import pytest
from between import (
    ATTRIBUTES,
    CONTENT,
    ENV,
    IMAGE,
    NAME,
    POLL,
    PROCEEDING,
    Between,
    Case,
    Fault,
    between,
    http,
)

from surefoot.testing.swupdate import Maker, Network

pytestmark = [pytest.mark.field, pytest.mark.timeout(120)]


@pytest.mark.parametrize("status", [204, 404, 429, 500, 503, 0])
def test_a_poll_that_fails_is_asked_again(case: Case, status: int) -> None:
    """Any status, or a reset: no crash, no wait for Retry-After."""
    fault = Fault(*POLL, answer=http(status) if status else b"", times=2)
    with between(case, fault) as proxy:
        case.assign(case.image())
        case.reboot("1.0.0")
        case.confirmed()
    assert proxy.refused == 2


def test_a_wrong_token_changes_nothing(case: Case) -> None:
    with between(case) as proxy:
        case.assign(case.image())
        case.reboot("1.0.0", access='targettoken = "wrong";')
        time.sleep(5)
        assert case.state == "assigned" and len(proxy.requests) >= 2
        case.reboot("1.0.0")
        case.confirmed()


def test_attributes_that_are_refused_are_sent_again_before_anything_is_installed(
    case: Case,
) -> None:
    with between(case, Fault(*ATTRIBUTES, answer=http(500), times=2)) as proxy:
        case.assign(case.image())
        case.reboot("1.0.0")
        case.confirmed()
    kinds = [r.split()[0] for r in proxy.requests]
    third = [n for n, r in enumerate(proxy.requests) if r.startswith("PUT")][2]
    assert "POST" not in kinds[:third]


@pytest.mark.parametrize("status", [404, 410])
def test_an_offer_that_is_not_there_once(case: Case, status: int) -> None:
    with between(case, Fault("GET", "/deploymentBase/", answer=http(status))) as proxy:
        case.assign(case.image())
        case.reboot("1.0.0")
        case.confirmed()
    assert proxy.refused == 1


@pytest.mark.parametrize("status", [409, 410, 500])
def test_a_first_report_that_fails_puts_off_the_download(case: Case, status: int) -> None:
    with between(case, Fault(*PROCEEDING, answer=http(status))) as proxy:
        case.assign(case.image())
        case.reboot("1.0.0")
        case.confirmed()
    posts = [n for n, r in enumerate(proxy.requests) if r.startswith("POST")]
    assert not [r for r in proxy.requests[: posts[1]] if "/softwaremodules/" in r]


def test_later_reports_that_are_lost_do_not_matter(case: Case) -> None:
    with between(case) as proxy:
        case.assign(case.image())
        case.reboot("1.0.0")
        case.until("installing")
        proxy.faults = [[Fault(*PROCEEDING, answer=http(500)), 2]]
        case.confirmed()


@pytest.mark.parametrize(
    ("status", "words"),
    [
        (404, "No suitable .swu image found"),
        (500, "CPIO Format not recognized"),
        (503, "returned HTTP error code 503"),
    ],
)
def test_an_image_that_is_refused_is_a_failure(case: Case, status: int, words: str) -> None:
    """No client repeats it: that is why the door never answers so under load."""
    page = b"<html>an error page that is no image</html>" * 20
    with between(case, Fault(*IMAGE, answer=http(status, page))) as proxy:
        case.assign(case.image())
        case.reboot("1.0.0")
        assert case.until("failed", "verified") == "failed"
    assert proxy.refused == 1 and case.client.installed != CONTENT
    assert words in case.told()


@pytest.mark.parametrize("truncated", [False, True], ids=["reset", "truncated"])
@pytest.mark.parametrize("after", [0, 1_000_000])
def test_a_download_that_breaks_goes_on_where_it_was(
    case: Case, after: int, truncated: bool
) -> None:
    with between(case, Fault(*IMAGE, cut_after=after, truncated=truncated)) as proxy:
        case.assign(case.image())
        case.reboot("1.0.0")
        case.confirmed()
    assert len([r for r in proxy.requests if r.startswith("GET") and "/softwaremodules/" in r]) >= 2


def test_a_download_that_always_breaks_is_a_failure(case: Case) -> None:
    with between(case, Fault(*IMAGE, cut_after=200_000, times=9)):
        case.assign(case.image())
        case.reboot("1.0.0")
        assert case.until("failed", seconds=60) == "failed"


def test_a_server_that_ignores_the_range_makes_it_fail(case: Case) -> None:
    """Never this door: a Range is never answered with 200. Shown with one that does."""
    whole = case.maker.image("1.1.0", CONTENT)
    ignoring = Fault(*IMAGE, answer=http(200, whole))
    with between(case, Fault(*IMAGE, cut_after=1_000_000), ignoring) as proxy:
        case.assign(case.image())
        case.reboot("1.0.0")
        assert case.until("failed", "verified", seconds=60) == "failed"
    assert proxy.refused == 1


def test_a_wrong_sha1_is_a_failure_although_it_was_written(case: Case) -> None:
    """swupdate compares after it streamed the image; it never counts as installed."""
    with between(case):
        case.assign(case.image(sha1="0" * 40))
        case.reboot("1.0.0")
        assert case.until("failed", "reported", "verified") == "failed"
    assert case.client.installed == CONTENT


def test_an_image_of_another_maker_is_never_written(case: Case, tmp_path: Path) -> None:
    other = Maker(tmp_path / "other")
    with between(case):
        case.assign(case.house.firmware(other.image("1.1.0", CONTENT), "1.1.0"))
        case.reboot("1.0.0")
        assert case.until("failed", "reported", "verified") == "failed"
    assert case.client.installed == b""


def test_a_cancel_before_the_start(case: Case) -> None:
    with between(case, Fault(*PROCEEDING, answer=http(500), times=99)) as proxy:
        action = case.assign(case.image())
        case.reboot("1.0.0")
        case.until("offered")
        case.cancel()
        assert case.until("unknown", "returned") in ("unknown", "returned")
        case.until("returned")
    assert (
        f"POST /{ENV}/controller/v1/{NAME}/cancelAction/{action}/feedback HTTP/1.1"
        in proxy.requests
    )
    assert case.client.installed == b""


def test_a_cancel_during_the_download(case: Case) -> None:
    with between(case) as proxy:
        proxy.slow.set()
        case.assign(case.image())
        case.reboot("1.0.0")
        case.until("downloading", "installing")
        deadline = time.monotonic() + 20
        while not [r for r in proxy.requests if r.startswith("GET") and "/softwaremodules/" in r]:
            assert time.monotonic() < deadline
            time.sleep(0.05)
        case.cancel()
        case.until("unknown", "returned")
        proxy.slow.clear()
        # An accepted cancel says nothing about what runs: its attributes do.
        assert case.until("returned") == "returned"


def test_a_new_interval_is_obeyed_at_once(case: Case) -> None:
    with between(case, sleep_seconds=4) as proxy:
        case.reboot("1.0.0")
        time.sleep(13)
        assert 2 <= _polls(proxy) <= 5, proxy.requests
    with between(case, sleep_seconds=1) as proxy:
        time.sleep(13)
        assert _polls(proxy) >= 7, proxy.requests


def _polls(proxy: Between) -> int:
    return len([r for r in proxy.requests if r.endswith(f"/{NAME} HTTP/1.1")])


def test_a_gateways_token_speaks_for_the_device_and_its_download(
    tmp_path: Path, maker: Maker, space: Network
) -> None:
    """It knocks, waits until it is let in, and then updates with that token."""
    case = Case(tmp_path, maker, space.devices[0])
    case.house.identities.set_gateway(ENV, hashlib.sha256(b"shared").digest())
    access = 'gatewaytoken = "shared";'
    try:
        with between(case) as proxy:
            case.reboot("1.0.0", access=access)
            deadline = time.monotonic() + 20
            while not case.house.registry.page(ENV):
                assert time.monotonic() < deadline
                time.sleep(0.1)
            assert case.house.registry.page(ENV)[0].standing == "pending"
            case.house.identities.set_standing(ENV, NAME, "", "test")
            case.assign(case.image())
            case.installs()
            case.reboot("1.1.0", "-c", "2", access=access)
            case.until("verified")
        assert [r for r in proxy.requests if r.startswith("GET") and "/softwaremodules/" in r]
    finally:
        case.client.stop()
        case.house.database.close()
