"""A draft counts when the installation's own builder made it, about exactly this manifest."""

from __future__ import annotations

from pathlib import Path

import msgspec
import pytest

from surefoot.app.draft import Draft
from surefoot.compose.drafts import Drafts
from surefoot.core import facts as f
from surefoot.trust import keys
from surefoot.trust.digest import digest_of

KEY = keys.private_key(b"\x01" * 32)
OTHER = keys.private_key(b"\x02" * 32)


def draft_of(manifest: bytes) -> Draft:
    passed = f.GateResult(gate="tests", verdict="pass", reason="", evidence=digest_of(b"e"))
    return Draft(manifest=manifest, gates=(passed,), evidence=(passed.evidence,))


@pytest.fixture
def drafts(tmp_path: Path) -> Drafts:
    return Drafts(tmp_path, lambda: KEY)


def test_what_was_kept_is_found(drafts: Drafts) -> None:
    made = draft_of(b"one")
    drafts.keep(made)
    assert drafts.find(digest_of(b"one")) == made
    assert drafts.find(digest_of(b"two")) is None


def test_a_planted_draft_does_not_exist(drafts: Drafts, tmp_path: Path) -> None:
    """Gates that pass, written by hand: plain, or under another key."""
    name = digest_of(b"one").removeprefix("sha256:")
    (tmp_path / name).write_bytes(msgspec.json.encode(draft_of(b"one")))
    assert drafts.find(digest_of(b"one")) is None
    Drafts(tmp_path, lambda: OTHER).keep(draft_of(b"one"))
    assert drafts.find(digest_of(b"one")) is None


def test_the_judgement_of_another_manifest_does_not_count(drafts: Drafts, tmp_path: Path) -> None:
    drafts.keep(draft_of(b"one"))
    one, two = (digest_of(m).removeprefix("sha256:") for m in (b"one", b"two"))
    (tmp_path / two).write_bytes((tmp_path / one).read_bytes())
    assert drafts.find(digest_of(b"two")) is None
