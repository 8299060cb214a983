"""The pages of devices in a real browser: a fleet in a rollout, one device, hostile words."""

from __future__ import annotations

import hashlib
import time
from typing import Any
from urllib.parse import quote

import pytest
from playwright.sync_api import Browser, Page, expect

from surefoot.core.device import Expired, Feedback, Opened
from surefoot.core.offer import Firmware
from surefoot.core.target import Token
from surefoot.store.device import AttributesPut, Incoming
from surefoot.store.device_rollouts import DeviceRollouts, Wave

HOSTILE = "<svg&onload='document.title=1'>"
SCRIPT = "<script>document.title='hit'</script>\x1b[31m\u202e"
SHOWN = "<script>document.title='hit'</script>\\u001b[31m\\u202e"
NAMES = [f"lamp-{n:03}" for n in range(59)] + [HOSTILE]
FLEET = "/environments/staging/devices"
DONE = Feedback("closed", "success")
FAILED = Feedback("closed", "failure", (SCRIPT, "no space left on device"))


@pytest.fixture(scope="module")
def fleet(place: Any) -> Any:
    """Sixty devices of staging in two waves of deployment 2: some done, one failed, one silent.

    Assigned and told to the real registry; the engine seals what they said.
    """
    enrolled = [{"id": name, "token": name, "hardware": f"board-{len(name)}"} for name in NAMES]
    place.call("device enrol", "ann", name="staging", devices=enrolled)
    for number, percent in enumerate((20, 70)):
        _assign(place, number, percent)
    rows = place.call("device list", "ann", name="staging", state="assigned", limit=1000)["devices"]
    first = [row["device"] for row in rows if row["wave"] == "0"]
    second = [row["device"] for row in rows if row["wave"] == "1"]
    for name in first[:-1]:
        _tell(place, name, Opened(), DONE, _attributes("1.1.0"))
    for name in second[:8]:
        _tell(place, name, Opened(), DONE, _attributes("1.1.0"))
    bad = HOSTILE if HOSTILE in second[8:] else second[8]
    _tell(place, bad, Opened(), FAILED, _attributes("1.0.0"))
    _tell(place, second[9], Expired())
    _tell(place, second[10], Opened(), Feedback("proceeding", "none", (SCRIPT,)))
    _sealed(place)
    place.bad, place.verified = bad, first[0]
    return place


def _assign(place: Any, number: int, percent: int) -> None:
    content = b"image 1.1.0"
    firmware = Firmware(
        digest="sha256:" + hashlib.sha256(content).hexdigest(),
        name="firmware",
        version="1.1.0",
        file="firmware.swu",
        size_bytes=len(content),
        sha1="0" * 40,
        md5="0" * 32,
    )
    wave = Wave(
        deployment=2,
        wave=number,
        percent=percent,
        release="sha256:" + "1" * 64,
        firmware=firmware,
        deadline_seconds=86_400,
    )
    installation = place.installation
    rollouts = DeviceRollouts(installation.database, "staging", installation.clock.now_ms)
    rollouts.assign(wave, Token(operation=f"2/wave-{number}", fence=2**40 + number))


def _attributes(version: str) -> AttributesPut:
    return AttributesPut(mode="merge", values={"firmware_version": version, SCRIPT[:30]: SCRIPT})


def _tell(place: Any, device: str, *told: Any) -> None:
    said = [Incoming(environment="staging", device=device, told=each) for each in told]
    place.installation.registry.record(said)


def _sealed(place: Any) -> None:
    deadline = time.monotonic() + 90
    while place.call("fleet show", "ann", name="staging")["versions"].get("1.0.0") != 1:
        assert time.monotonic() < deadline
        time.sleep(0.1)


def _signed_in(chromium: Browser, place: Any, watched: Any, **options: Any) -> Page:
    page: Page = watched.watch(chromium.new_context(**options).new_page())
    page.goto(place.login_link("ann"))
    return page


def test_from_the_environment_to_the_device_that_failed(
    chromium: Browser, fleet: Any, watched: Any
) -> None:
    page = _signed_in(chromium, fleet, watched, java_script_enabled=False)
    page.goto(fleet.address + "/environments/staging")
    page.get_by_role("link", name="Devices", exact=True).click()
    expect(page.locator("h1")).to_have_text("Devices of staging")
    versions = page.locator("section[aria-labelledby=versions]")
    expect(versions.locator("li", has_text="1.1.0")).to_contain_text(_share(fleet))
    waves = page.locator("section[aria-labelledby=rollout]")
    expect(waves.locator(".waves > li").nth(1)).to_contain_text("8 of")
    expect(page.locator(".blockers")).to_have_count(2)
    page.locator(".blockers a", has_text=fleet.bad).click()
    expect(page.locator("h1")).to_contain_text("failed")
    expect(page.locator("section[aria-labelledby=log]")).to_contain_text("no space left on device")
    expect(page.locator("section[aria-labelledby=reports]")).to_contain_text("failed from")
    page.context.close()


def _share(place: Any) -> str:
    return str(place.call("fleet show", "ann", name="staging")["versions"]["1.1.0"])


def test_filters_are_the_servers_and_pages_go_on_after_a_name(
    chromium: Browser, fleet: Any, watched: Any
) -> None:
    page = _signed_in(chromium, fleet, watched, java_script_enabled=False)
    page.goto(fleet.address + FLEET)
    rows = page.locator("section[aria-labelledby=list] tbody tr")
    expect(rows).to_have_count(50)
    page.get_by_role("link", name="Next").click()
    expect(rows).to_have_count(len(NAMES) - 50)
    page.get_by_label("State").select_option("failed")
    page.get_by_role("button", name="Show").last.click()
    expect(rows).to_have_count(1)
    expect(rows).to_contain_text(fleet.bad)
    page.goto(fleet.address + FLEET + "?text=lamp-01")
    expect(rows).to_have_count(10)
    page.goto(fleet.address + FLEET + "?version=1.0.0")
    expect(rows).to_have_count(1)
    page.goto(fleet.address + FLEET + "?state=nonsense")
    expect(page.locator(".error-card")).to_contain_text("device.filter.input")
    page.context.close()


def test_what_devices_say_is_text(chromium: Browser, fleet: Any, watched: Any) -> None:
    page = _signed_in(chromium, fleet, watched)
    _tell(fleet, HOSTILE, _attributes(SCRIPT[:40]))
    for path in (FLEET, f"{FLEET}/{quote(HOSTILE)}", f"{FLEET}/{quote(fleet.bad)}"):
        page.goto(fleet.address + path)
        assert page.title().endswith("Surefoot"), path
        assert page.locator("main script, main svg[onload], main img").count() == 0
        told = page.locator("main").inner_text()
        assert "<script>" in told
        assert not set(told) & {"\x1b", "\u202e"}
    assert SHOWN in told
    page.goto(f"{fleet.address}{FLEET}/{quote(HOSTILE)}")
    expect(page.locator("h1")).to_contain_text(HOSTILE)
    page.context.close()


def test_a_device_proves_and_shows_what_it_ran_then(
    chromium: Browser, fleet: Any, watched: Any
) -> None:
    page = _signed_in(chromium, fleet, watched, java_script_enabled=False)
    page.goto(f"{fleet.address}{FLEET}/{fleet.verified}")
    runs = page.locator("section[aria-labelledby=runs]")
    expect(runs).to_contain_text("1.1.0")
    expect(runs).to_contain_text("Known because the device showed the version")
    with page.expect_download() as downloading:
        page.get_by_role("link", name="Prove it").click()
    assert downloading.value.suggested_filename == "proof-device.json"
    page.goto(f"{fleet.address}{FLEET}/{fleet.verified}?at=2020-01-01T00:00:00")
    expect(page.locator("main")).to_contain_text("It did not exist then")
    page.context.close()


def test_the_pages_fit_and_can_be_used_by_keyboard(
    chromium: Browser, fleet: Any, watched: Any
) -> None:
    small = {"width": 360, "height": 800}
    page = _signed_in(chromium, fleet, watched, viewport=small, color_scheme="dark")
    for path in (FLEET, f"{FLEET}/{quote(fleet.bad)}", f"{FLEET}/{fleet.verified}"):
        page.goto(fleet.address + path)
        assert page.evaluate("document.documentElement.scrollWidth") <= 360, path
        unnamed = "[...document.querySelectorAll('main input:not([type=hidden]), main select')]"
        assert page.evaluate(unnamed + ".filter(e => !e.labels.length).length") == 0
    page.context.close()
