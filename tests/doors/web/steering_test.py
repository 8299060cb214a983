"""A deployment is held and let go on from its page, by those who may."""

from __future__ import annotations

from typing import Any

import pytest
from playwright.sync_api import Browser, Page, expect


@pytest.fixture
def held(place: Any) -> int:
    """A deployment to production that waits for approvals.

    Another file of tests may have approved the first one before, in the same installation.
    """
    shown = place.call("deployment list", "ann", environment="production")["deployments"]
    waiting = [int(each["number"]) for each in shown if each["status"] == "waiting"]
    return waiting[0] if waiting else int(place.request("production", "1.0.0"))


def _signed_in(chromium: Browser, place: Any, who: str, watched: Any, number: int) -> Page:
    page: Page = watched.watch(chromium.new_context(java_script_enabled=False).new_page())
    page.goto(place.login_link(who))
    page.goto(place.address + f"/deployments/{number}")
    return page


def test_it_is_held_and_goes_on_and_the_journal_says_by_whom(
    chromium: Browser, place: Any, watched: Any, held: int
) -> None:
    page = _signed_in(chromium, place, "ann", watched, held)
    page.get_by_text("Hold it").click()
    page.get_by_label("Why").fill("the line is full")
    page.get_by_label("Start nothing after the step under way").check()
    page.get_by_role("button", name="Pause").click()
    expect(page.get_by_role("button", name="Resume")).to_be_visible()
    entry = place.call("journal show", "ann", kind="DeploymentPaused", limit=1)["entries"][0]
    assert entry["actor"] == "person ann"
    page.get_by_label("It may go on").check()
    page.get_by_role("button", name="Resume").click()
    expect(page.get_by_text("Hold it")).to_be_visible()
    assert len(place.call("journal show", "ann", kind="DeploymentResumed")["entries"]) == 1
    page.context.close()


def test_an_unticked_or_foreign_form_and_one_without_the_right_change_nothing(
    chromium: Browser, place: Any, watched: Any, held: int
) -> None:
    before = len(place.call("journal show", "ann", kind="DeploymentPaused")["entries"])
    ann, bob = (_signed_in(chromium, place, who, watched, held) for who in ("ann", "bob"))
    expect(bob.get_by_text("Hold it")).to_have_count(0)
    token = bob.locator("form[action='/logout'] [name=form_token]").get_attribute("value") or ""
    own = ann.locator("form[action='/logout'] [name=form_token]").get_attribute("value") or ""
    address = f"{place.address}/deployments/{held}/pause"
    sent = {"sure": "yes", "form_token": token}
    origin = {"origin": place.address}
    refused = bob.request.post(address, form=sent, headers=origin)
    assert refused.status in (403, 409)
    assert "policy." in refused.text()
    assert ann.request.post(address, form=sent, headers=origin).status in (401, 403)
    unticked = {"form_token": own}
    answer = ann.request.post(address, form=unticked, headers=origin)
    assert "form.confirmation.input" in answer.text()
    elsewhere = {"origin": "http://elsewhere.test"}
    sent["form_token"] = own
    assert ann.request.post(address, form=sent, headers=elsewhere).status in (401, 403)
    assert len(place.call("journal show", "ann", kind="DeploymentPaused")["entries"]) == before
    for page in (ann, bob):
        page.context.close()
