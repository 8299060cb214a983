"""The pages of rollouts in a real browser: the blast radius, and a rollout as it goes."""

from __future__ import annotations

import asyncio
import sys
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import uvicorn
from playwright.sync_api import Browser, Page, expect

sys.path.insert(0, str(Path(__file__).parents[2] / "app"))

from house import MOODY, AppHouse

from surefoot.compose.house import House
from surefoot.core.device import Feedback, Opened
from surefoot.doors.serve import bind_tcp
from surefoot.store.device import AttributesPut, Incoming

PACED = MOODY.replace(
    "      waves: [100]\n",
    "      waves: [20, 100]\n      concurrency: 4\n      soak_seconds: 3600\n",
).replace("minimum_sample: 1", "minimum_sample: 5")
PLAN = "/environments/dev/rollouts/plan"
FITTING = [f"lamp-{n:03}" for n in range(70)]
OLD = ["old-1", "old-2"]


class Street:
    """Lamps of two kinds, some with a tag, and a server of pages beside them."""

    def __init__(self, folder: Path) -> None:
        self.home = AppHouse(folder, PACED)
        self.home.set_up()
        for names, hardware in ((FITTING, "lamp-v1"), (OLD, "lamp-v0")):
            devices = [{"id": n, "token": n, "hardware": hardware} for n in names]
            self.home.call("device enrol", "ann", name="dev", devices=devices)
        self.home.call("device tag", "ann", name="dev", devices=FITTING[:10], add=["pilot"])
        self.home.release("1.0.0")
        for name in FITTING[:60]:
            region = "eu-west" if int(name[-3:]) < 40 else "us-east"
            self.tell(name, AttributesPut(mode="merge", values={"region": region}))
        self.home.installation.registry.note_seen(self._ages())
        socket, self.address = bind_tcp("127.0.0.1:0")
        self.house = House(self.home.installation, address=self.address, secure=False)
        config = uvicorn.Config(self.house.front, lifespan="off", log_config=None)
        self._server = uvicorn.Server(config)
        self._thread = threading.Thread(
            target=lambda: asyncio.run(self._server.serve(sockets=[socket])), daemon=True
        )
        self._thread.start()

    def _ages(self) -> dict[int, int]:
        now_ms = self.home.clock.now_ms()
        return {row.number: now_ms - 150_000 for row in self.home.installation.registry.changed(0)}

    def tell(self, device: str, *told: Any) -> None:
        said = [Incoming(environment="dev", device=device, told=each) for each in told]
        self.home.installation.registry.record(said)

    def begin(self) -> int:
        """A rollout of which the first devices have begun, one failed, and the others wait."""
        number = self.home.request("dev", release="1.0.0")
        self.home.carry(number)
        self.home.installation.upkeep()
        rows = self.home.installation.registry.page("dev", limit=1000)
        begun = sorted({row.device for row in rows if row.state} - {*self.held()})
        verified = AttributesPut(mode="merge", values={"version": "1.0.0"})
        self.tell(begun[0], Opened(), Feedback("closed", "success"), verified)
        self.tell(begun[1], Opened(), Feedback("closed", "failure", ("no space",)))
        self.tell(begun[2], Opened(), Feedback("proceeding", "none"))
        self.home.installation.upkeep()
        return number

    def held(self) -> list[str]:
        """Devices that wait for their turn, by name."""
        return sorted(r.device for r in self.home.installation.registry.changed(0) if r.held)

    def sign_in(self, chromium: Browser, watched: Any, **options: Any) -> Page:
        page: Page = watched.watch(chromium.new_context(**options).new_page())
        token = self.house.sessions.invite("ann", self.home.keys["ann"].public.fingerprint)
        page.goto(f"{self.address}/login/{token}")
        return page

    def close(self) -> None:
        self._server.should_exit = True
        self._thread.join(60)
        self.home.close()


@pytest.fixture(scope="module")
def street(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Street]:
    made = Street(tmp_path_factory.mktemp("street"))
    yield made
    made.close()


def test_a_plan_says_who_and_when_and_goes_on_after_a_name(
    chromium: Browser, street: Street, watched: Any
) -> None:
    size = street.home.installation.log.size()
    page = street.sign_in(chromium, watched, java_script_enabled=False)
    page.goto(street.address + "/environments/dev/devices")
    page.get_by_role("link", name="Plan a rollout").click()
    page.get_by_label("Release", exact=True).select_option("1.0.0")
    page.get_by_role("button", name="Compute").click()
    radius = page.locator("section[aria-labelledby=radius]")
    expect(radius.locator(".tiles > div").nth(0)).to_contain_text("70")
    expect(radius.locator(".tiles > div").nth(2)).to_contain_text("2")
    cannot = page.locator("section[aria-labelledby=cannot]")
    expect(cannot).to_contain_text("Other hardware")
    expect(cannot.get_by_role("link", name="old-1")).to_be_visible()
    waves = page.locator("section[aria-labelledby=waves]")
    expect(waves.locator("tbody tr")).to_have_count(2)
    expect(waves).to_contain_text("at most 4 at once")
    expect(waves).to_contain_text("each wave soaks for 3600 s")
    names = page.locator("ul.names li")
    expect(names).to_have_count(50)
    page.get_by_role("link", name="Next").click()
    expect(names).to_have_count(20)
    assert street.home.installation.log.size() == size
    page.context.close()


def test_a_query_and_a_tag_narrow_the_plan_and_the_list(
    chromium: Browser, street: Street, watched: Any
) -> None:
    page = street.sign_in(chromium, watched, java_script_enabled=False)
    page.goto(f"{street.address}{PLAN}?release=1.0.0")
    page.get_by_label("Only devices that a query finds").fill("attribute.region==eu*")
    page.get_by_label("With the tag").fill("pilot")
    page.get_by_role("button", name="Compute").click()
    names = page.locator("ul.names li")
    expect(names).to_have_count(10)
    expect(page.get_by_label("With the tag")).to_have_value("pilot")
    page.get_by_label("Only devices that a query finds").fill("region=~x")
    page.get_by_role("button", name="Compute").click()
    expect(page.locator(".error-card")).to_contain_text("device.query.input")
    expect(page.get_by_label("Only devices that a query finds")).to_have_value("region=~x")
    rows = page.locator("section[aria-labelledby=list] tbody tr")
    page.goto(f"{street.address}/environments/dev/devices?tag=pilot")
    expect(rows).to_have_count(10)
    expect(rows.first).to_contain_text("pilot")
    page.get_by_label("Query").fill("attribute.region==us* and name!=lamp-041")
    page.get_by_label("Tag", exact=True).fill("")
    page.get_by_role("button", name="Show").last.click()
    expect(rows).to_have_count(19)
    page.context.close()


def test_a_rollout_shows_what_holds_it_and_can_be_paused(
    chromium: Browser, street: Street, watched: Any
) -> None:
    number = street.begin()
    page = street.sign_in(chromium, watched, java_script_enabled=False)
    page.goto(street.address + "/environments/dev/devices")
    page.get_by_role("link", name=f"Rollout {number}").click()
    expect(page.locator("h1")).to_contain_text("Rollout of 1.0.0")
    holds = page.locator("section[aria-labelledby=holds]")
    expect(holds).to_contain_text("Its turn")
    expect(holds).to_contain_text("4 may be at once")
    first = page.locator(".waves > li").first
    expect(first).to_contain_text("1 of 14 devices verified, 1 failed")
    expect(first.locator("svg line.threshold")).to_have_count(1)
    expect(first.locator("svg line.limit")).to_have_attribute("x1", "80%")
    expect(page.locator(".blockers")).to_contain_text("no space")
    expect(page.locator("section[aria-labelledby=rules]")).to_contain_text("1 h 0 min")
    page.goto(f"{street.address}/environments/dev/devices/{street.held()[0]}")
    expect(page.locator("main")).to_contain_text("4 may be at once")
    page.goto(f"{street.address}/environments/dev/rollouts/{number}")
    page.get_by_text("Pause", exact=True).first.click()
    page.get_by_label("Hide what no device has begun").check()
    page.get_by_role("button", name="Pause").click()
    expect(page).to_have_url(f"{street.address}/environments/dev/rollouts/{number}")
    expect(page.locator("h1")).to_contain_text("paused")
    page.goto(f"{street.address}/environments/dev/rollouts/99")
    expect(page.locator(".error-card")).to_contain_text("rollout.number.unknown")
    page.context.close()


def test_the_pages_fit_a_telephone_and_name_their_fields(
    chromium: Browser, street: Street, watched: Any
) -> None:
    small = {"width": 360, "height": 800}
    page = street.sign_in(chromium, watched, viewport=small, color_scheme="dark")
    number = street.home.call("rollout list", "ann", name="dev")["rollouts"][0]["deployment"]
    for path in (f"{PLAN}?release=1.0.0", f"/environments/dev/rollouts/{number}", "/patterns"):
        page.goto(street.address + path)
        assert page.evaluate("document.documentElement.scrollWidth") <= 360, path
        unnamed = "[...document.querySelectorAll('main input:not([type=hidden]), main select')]"
        assert page.evaluate(unnamed + ".filter(e => !e.labels.length).length") == 0
    page.context.close()
