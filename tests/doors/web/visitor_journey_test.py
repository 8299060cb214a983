"""A person's way through the pages in a real browser, with script switched off."""

from __future__ import annotations

import base64
import re
import subprocess
from collections.abc import Callable
from pathlib import Path
from typing import Any

from playwright.sync_api import Browser, BrowserContext, Page, expect

from surefoot.trust.entry import text_of_time
from surefoot.trust.proof import Proved, verify


def _signed_in(chromium: Browser, place: Any, who: str, watched: Any, **options: Any) -> Page:
    context: BrowserContext = chromium.new_context(**options)
    page = watched.watch(context.new_page())
    page.goto(place.login_link(who))
    return page


def _sign(place: Any, who: str, file: Path) -> str:
    command = ["ssh-keygen", "-Y", "sign", "-n", "surefoot", "-f", str(place.folder / f"{who}.key")]
    subprocess.run([*command, str(file)], check=True, capture_output=True)
    return file.with_name(file.name + ".sig").read_text()


def test_pages_fit_a_small_screen_and_load_nothing_forbidden(
    chromium: Browser, place: Any, watched: Any
) -> None:
    page = _signed_in(
        chromium, place, "bob", watched, viewport={"width": 360, "height": 800}, color_scheme="dark"
    )
    for path in (
        *("/", "/environments/dev", "/releases/1.0.0", "/deployments/3", "/journal"),
        *("/environments/dev/at", "/environments/dev/map", "/environments/dev/at?beside=staging"),
        *("/deployments", "/releases"),
    ):
        page.goto(place.address + path)
        assert page.evaluate("document.documentElement.scrollWidth") <= 360, path
        dark = page.evaluate("getComputedStyle(document.body).backgroundColor")
        assert dark == "rgb(14, 20, 26)"
    for path in ("/people", "/patterns", "/environments/diff?left=dev&right=staging"):
        page.goto(place.address + path)
        assert page.evaluate("document.documentElement.scrollWidth") <= 360, path
    page.context.close()


def test_icons_and_focus_are_visible(chromium: Browser, place: Any, watched: Any) -> None:
    page = _signed_in(chromium, place, "bob", watched)
    page.keyboard.press("Tab")
    expect(page.locator(".skip")).to_be_focused()
    page.keyboard.press("Enter")
    page.goto(place.address + "/patterns")
    drawn = (
        "e => [...e.querySelectorAll('svg.icon use')].filter(u => u.getBBox().width === 0).length"
    )
    assert page.locator("body").evaluate(drawn) == 0
    page.context.close()


def _proof(page: Page, tmp_path: Path, key: str) -> Proved:
    """What the button's download proves to a stranger who pinned the log's key."""
    with page.expect_download() as downloading:
        page.get_by_role("link", name="Prove it").click()
    file = tmp_path / f"{len(list(tmp_path.iterdir()))}-{downloading.value.suggested_filename}"
    downloading.value.save_as(file)
    return verify(file.read_bytes(), key)


def test_the_time_machine_shows_then_compares_and_proves(
    chromium: Browser, place: Any, watched: Any, tmp_path: Path
) -> None:
    key = place.installation.app.log_key
    page = _signed_in(chromium, place, "bob", watched, java_script_enabled=False)
    page.goto(place.address + "/environments/dev")
    page.get_by_role("link", name="Time machine").click()
    expect(page.locator("h1")).to_have_text("dev, now")
    expect(page.locator(".stop[aria-current]")).to_contain_text("now")
    page.locator(".stop", has_text="deploy 1").click()
    expect(page.locator(".stop[aria-current]")).to_contain_text("deploy 1")
    expect(page.locator("section[aria-label=Summary]")).to_contain_text("1.0.0")
    expect(page.locator("section[aria-labelledby=beside]")).to_contain_text("devices")
    ended = page.locator("h1 time").get_attribute("datetime")
    proved = _proof(page, tmp_path, key)
    assert proved.state is not None and proved.state["release_version"] == "1.0.0"
    assert text_of_time(proved.until_ms) == ended
    _steps_and_compares(page, ended)
    page.get_by_label("At (UTC)").fill("2020-01-01T00:00:00")
    page.get_by_role("button", name="Show").click()
    expect(page.get_by_text("It did not exist then")).to_be_visible()
    assert _proof(page, tmp_path, key).entry is None
    page.context.close()


def _steps_and_compares(page: Page, ended: str | None) -> None:
    """To the change before and back again; then beside another environment of that time."""
    page.get_by_role("link", name="Change before").click()
    before = page.locator("h1 time").get_attribute("datetime")
    assert before is not None and ended is not None and before < ended
    page.get_by_role("link", name="Change after").click()
    after = page.locator("h1 time").get_attribute("datetime")
    assert after is not None and before < after <= ended
    page.get_by_label("Compare with").select_option("staging")
    page.get_by_role("button", name="Compare").click()
    expect(page.locator("h2#beside")).to_have_text("Beside staging at that time")
    expect(page.locator("section[aria-labelledby=beside] tbody")).to_contain_text("values/greeting")


def test_the_map_names_commit_and_person(chromium: Browser, place: Any, watched: Any) -> None:
    page = _signed_in(chromium, place, "bob", watched, java_script_enabled=False)
    page.goto(place.address + "/environments/dev/map")
    row = page.locator("section[aria-labelledby=values] tbody tr", has_text="greeting")
    expect(row).to_contain_text("ann")
    release = place.call("release show", "bob", version="1.0.0")
    expect(row.locator("code.digest")).to_have_attribute("title", release["commit"])
    expect(page.locator("section[aria-labelledby=secrets]")).to_contain_text("session_key")
    page.context.close()


def test_from_the_login_link_to_the_journal(
    chromium: Browser,
    place: Any,
    watched: Any,
    tmp_path: Path,
    require_tool: Callable[[str], str],
) -> None:
    require_tool("ssh-keygen")
    ann = _signed_in(chromium, place, "ann", watched, java_script_enabled=False)
    ann.goto(place.address + "/deployments/3")
    expect(ann.get_by_text("Your own signature would not count.")).to_be_visible()
    expect(ann.locator("textarea")).to_have_count(0)
    ann.context.close()

    bob = _signed_in(chromium, place, "bob", watched, java_script_enabled=False)
    expect(bob.locator("h1")).to_have_text("Environments")
    bob.get_by_role("link", name="deployment 3 waiting").click()
    expect(bob.get_by_text("2 more approvals")).to_be_visible()
    expect(bob.locator(".offer-approve")).to_be_hidden()
    bob.get_by_label("Approve", exact=True).check()
    expect(bob.locator(".offer-approve")).to_be_visible()
    expect(bob.locator(".offer-reject")).to_be_hidden()
    _refused(bob)
    bob.get_by_label("Approve", exact=True).check()
    with bob.expect_download() as downloading:
        bob.get_by_role("link", name="download the exact bytes").first.click()
    file = tmp_path / downloading.value.suggested_filename
    downloading.value.save_as(file)
    bob.locator("textarea").fill(_sign(place, "bob", file))
    bob.get_by_role("button", name="Send the signed verdict").click()
    expect(bob.locator(".notice.ok").first).to_contain_text("bob approved the plan")
    expect(bob.get_by_text("1 more approval needed.")).to_be_visible()
    bob.context.close()

    _second_approval(chromium, place, watched)


def _refused(page: Page) -> None:
    """A signature that is none is answered with a card, and what was pasted is still there."""
    page.locator("textarea").fill("not a signature")
    page.get_by_role("button", name="Send the signed verdict").click()
    expect(page.locator(".error-card")).to_contain_text("approval.envelope.signature")
    expect(page.locator("textarea")).to_have_value("not a signature")


def _second_approval(chromium: Browser, place: Any, watched: Any) -> None:
    """By the one-line command the page shows; then the page follows the deployment by itself."""
    cyn = _signed_in(chromium, place, "cyn", watched, java_script_enabled=False)
    cyn.goto(place.address + "/deployments/3")
    cyn.get_by_label("Approve", exact=True).check()
    shown = cyn.locator(".offer-approve pre").first.inner_text()
    command = shown.replace("~/.ssh/id_ed25519", str(place.folder / "cyn.key"))
    made = subprocess.run(["sh", "-c", command], check=True, capture_output=True, text=True)
    cyn.locator("textarea").fill(made.stdout)
    cyn.get_by_role("button", name="Send the signed verdict").click()
    expect(cyn.locator("h1 .badge")).to_have_text("succeeded", timeout=180_000)
    expect(cyn.locator("meta[http-equiv=refresh]")).to_have_count(0)
    expect(cyn.locator(".timeline > li .timeline-mark.ok")).to_have_count(14)
    _journal(place, cyn)
    cyn.context.close()


def _journal(place: Any, page: Page) -> None:
    page.get_by_role("link", name="Journal", exact=True).click()
    page.get_by_label("Kind").fill("ApprovalGiven")
    page.get_by_role("button", name="Show").click()
    expect(page.locator("tbody tr")).to_have_count(2)
    page.locator("tbody th a").first.click()
    expect(page.locator("h1")).to_contain_text("ApprovalGiven")
    index = int(re.findall(r"\d+", page.locator("h1").inner_text())[0])
    raw = place.call("journal entry", "cyn", index=index)["raw"]
    shown = page.locator("section[aria-labelledby=raw] pre").inner_text()
    assert shown.encode() == base64.b64decode(raw)
