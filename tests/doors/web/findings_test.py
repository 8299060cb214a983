"""The pages of findings, in a real browser."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from typing import Any

import pytest
from playwright.sync_api import Page, expect, sync_playwright


@pytest.fixture(scope="module")
def page(require_tool: Callable[[str], str], place: Any) -> Iterator[Page]:
    """A signed-in visitor without script."""
    path = require_tool("chromium")
    with sync_playwright() as playwright:
        args = ["--no-sandbox"] if os.geteuid() == 0 else []
        browser = playwright.chromium.launch(executable_path=path, args=args)
        context = browser.new_context(
            viewport={"width": 1200, "height": 900}, java_script_enabled=False
        )
        found = context.new_page()
        found.goto(place.login_link("bob"))
        yield found
        browser.close()


def test_open_findings_come_first_and_filters_are_the_servers(page: Page, place: Any) -> None:
    page.goto(place.address)
    page.get_by_role("link", name="Findings").click()
    rows = page.locator("tbody tr")
    expect(rows).to_have_count(2)
    expect(rows.first).to_contain_text("SQL from a variable")
    page.get_by_label("State").select_option("accepted")
    page.get_by_role("button", name="Show").click()
    expect(rows).to_have_count(1)
    expect(rows.first).to_contain_text("optimisation")
    page.get_by_label("State").select_option("")
    page.get_by_label("Words").fill("SQL")
    page.get_by_role("button", name="Show").click()
    expect(rows).to_have_count(1)
    page.get_by_label("Words").fill("nothing like it")
    page.get_by_role("button", name="Show").click()
    expect(page.get_by_text("No finding like that")).to_be_visible()


def test_one_finding_says_what_to_do_and_where_it_is_recorded(page: Page, place: Any) -> None:
    page.goto(f"{place.address}/findings")
    page.get_by_role("link", name="SQL from a variable").click()
    expect(page.get_by_role("heading", level=1)).to_have_text("SQL from a variable")
    expect(page.get_by_text("api/db.py").first).to_be_visible()
    expect(page.get_by_text("surefoot finding accept api-sast")).to_be_visible()
    page.get_by_role("link", name="What the journal says of this scope").click()
    expect(page.locator("tbody tr").first).to_contain_text("findings/api-sast")


def test_words_of_a_report_are_no_markup(page: Page, place: Any) -> None:
    page.goto(f"{place.address}/findings")
    expect(page.get_by_role("link", name="<script>alert(1)</script>")).to_be_visible()
    page.get_by_role("link", name="<script>alert(1)</script>").click()
    expect(page.get_by_text("api/<b>tls</b>.py").first).to_be_visible()


def test_a_finding_before_it_was_known(page: Page, place: Any) -> None:
    page.goto(f"{place.address}/findings")
    page.get_by_role("link", name="SQL from a variable").click()
    page.goto(f"{page.url}?at=2020-01-01T00:00")
    expect(page.get_by_text("Not known then")).to_be_visible()
