"""No dead link, no page that nobody can find."""

from __future__ import annotations

from pathlib import Path

import pytest
from pages import DOCS, ROOT, anchors, links, pages

_ELSEWHERE = ("https://", "http://", "mailto:")


def _goes_to(page: Path, link: str) -> tuple[Path, str]:
    path, _, anchor = link.partition("#")
    return ((page.parent / path).resolve() if path else page), anchor


@pytest.mark.parametrize("page", pages(), ids=lambda p: str(p.relative_to(ROOT)))
def test_every_link_goes_somewhere(page: Path) -> None:
    dead = []
    for link in links(page):
        if link.startswith(_ELSEWHERE):
            continue
        target, anchor = _goes_to(page, link)
        here = target.is_relative_to(ROOT) and target.exists()
        if not here or (anchor and target.suffix == ".md" and anchor not in anchors(target)):
            dead.append(link)
    assert dead == []


def test_every_page_is_reached_from_the_index() -> None:
    todo, reached = [DOCS / "index.md"], set[Path]()
    while todo:
        page = todo.pop()
        if page in reached or page.suffix != ".md" or not page.is_file():
            continue
        reached.add(page)
        todo += [_goes_to(page, x)[0] for x in links(page) if not x.startswith(_ELSEWHERE)]
    assert sorted(str(p.relative_to(ROOT)) for p in set(DOCS.rglob("*.md")) - reached) == []


def test_the_front_page_leads_to_the_index() -> None:
    found = [_goes_to(ROOT / "README.md", link)[0] for link in links(ROOT / "README.md")]
    assert DOCS / "index.md" in found


@pytest.mark.parametrize("page", pages(), ids=lambda p: str(p.relative_to(ROOT)))
def test_every_page_has_one_title_first(page: Path) -> None:
    text = page.read_text(encoding="utf-8")
    assert text.startswith("# ")


def test_every_decision_says_what_it_costs() -> None:
    records = sorted((DOCS / "decisions").glob("[0-9]*.md"))
    numbers = [int(record.name[:4]) for record in records]
    assert numbers == list(range(1, len(records) + 1))
    for record in records:
        text = record.read_text(encoding="utf-8")
        assert text.startswith(f"# {record.name[:4]} "), record.name
        assert "**Decided.**" in text and "**Costs.**" in text, record.name
