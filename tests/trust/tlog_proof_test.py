"""The proof of one entry as C2SP text: what is read, and what is refused."""

from __future__ import annotations

import base64
import json
from collections.abc import Callable, Iterator

import pytest

from surefoot.testing.proof_scene import OTHER, VKEY
from surefoot.testing.root_scene import FIRST, NOW_MS, W1, W2, RootScene, lines, stolen
from surefoot.trust.bundle import NotProved
from surefoot.trust.cosignature import with_lines
from surefoot.trust.entry import Entry, Seal
from surefoot.trust.tlog_proof import HEADER, verify_entry


@pytest.fixture(scope="module")
def scene(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RootScene]:
    made = RootScene(tmp_path_factory.mktemp("scene"))
    yield made
    made.close()


def test_every_leaf_is_proved_in_the_exact_form(scene: RootScene) -> None:
    size = scene.true.log.size()
    for index in range(size):
        content = scene.true.prover.entry(index)
        found = verify_entry(content, VKEY)
        assert found.entry.index == index and found.backing.checkpoint.size == size
        head, note = content.decode().split("\n\n", 1)
        first, extra, place, *hashes = head.split("\n")
        assert (first, place) == (HEADER, f"index {index}")
        assert base64.b64decode(extra.removeprefix("extra ")) == found.entry.raw
        assert all(len(base64.b64decode(each)) == 32 for each in hashes)
        assert note == scene.true.log.checkpoint()
    assert isinstance(verify_entry(scene.true.prover.entry(0), VKEY).entry, Entry)
    assert isinstance(verify_entry(scene.true.prover.entry(size - 1), VKEY).entry, Seal)


def test_a_root_counts_its_witnesses(scene: RootScene) -> None:
    content = scene.true.prover.entry(6).decode()
    with pytest.raises(NotProved) as refused:
        verify_entry(content.encode(), FIRST, NOW_MS)
    assert refused.value.code == "proof.quorum.missing"
    head, note = content.split("\n\n", 1)
    cosigned = f"{head}\n\n{with_lines(note, lines(note, '10:30:10', [W1, W2]))}"
    assert verify_entry(cosigned.encode(), FIRST, NOW_MS).backing.witnesses == ("w1", "w2")


Change = Callable[[str], str]
_HASH = "A" * 43 + "=\n"


@pytest.mark.parametrize(
    ("code", "change"),
    [
        ("proof.form.malformed", lambda t: t.replace("@v1", "@v2")),
        ("proof.form.malformed", lambda t: t.replace("index 6", "index 06")),
        ("proof.form.malformed", lambda t: t.replace("index 6", "index -6")),
        ("proof.form.malformed", lambda t: t.replace("extra ", "more ")),
        ("proof.form.malformed", lambda t: t.replace("index 6\n", "index 6\nAAAA\n")),
        ("proof.form.malformed", lambda t: t.replace("index 6\n", "index 6\n" + _HASH * 65)),
        ("proof.form.malformed", lambda t: t.replace("\n\n", "\n")),
        ("proof.form.malformed", lambda t: t + "\u0301" * 200_000),
        ("proof.chain.broken", lambda t: t.replace("index 6", "index 7")),
        ("proof.chain.broken", lambda t: t.replace("index 6", "index 600")),
        ("proof.chain.broken", lambda t: t.replace("extra ey", "extra fy")),
        ("proof.chain.broken", lambda t: t.replace("index 6\n", "index 6\n" + _HASH)),
        ("proof.checkpoint.signature", lambda t: t.replace("journal\n26", "journal\n25")),
        ("proof.checkpoint.signature", lambda t: t.partition("\n\n")[0] + "\n\nnothing\n"),
    ],
)
def test_whatever_is_changed_is_refused(scene: RootScene, code: str, change: Change) -> None:
    text = scene.true.prover.entry(6).decode()
    assert change(text) != text
    with pytest.raises(NotProved) as refused:
        verify_entry(change(text).encode(), VKEY)
    assert refused.value.code == code


def test_another_key_or_none_shows_nothing(scene: RootScene) -> None:
    content = scene.true.prover.entry(6)
    for trust in (None, "no key", OTHER.verifier.text()):
        with pytest.raises(NotProved):
            verify_entry(content, trust)


def test_a_stolen_key_alone_shows_nothing(scene: RootScene) -> None:
    moved = json.loads(scene.bundles["moved"])
    root = stolen(moved, quorum="quorum none\n")
    with pytest.raises(NotProved) as refused:
        verify_entry(scene.true.prover.entry(6), root)
    assert refused.value.code == "proof.key.ended"
