"""A witness's answers, one status at a time; races; and that what it saw never grows smaller."""

from __future__ import annotations

import itertools
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from surefoot.journal.witness import Witness
from surefoot.store.witness import WitnessRows
from surefoot.testing.witness import NumberedLog
from surefoot.trust.cosignature import ED25519, ML_DSA_44, CosignerSigner, cosignatures, with_lines
from surefoot.trust.note import Checkpoint, SignerKey, VerifierKey
from surefoot.trust.witnessing import AddCheckpoint

KEY = SignerKey("log.example", b"l" * 32)
OTHER = SignerKey("log.example", b"o" * 32)
SIGNER = CosignerSigner("witness.example/w", b"w" * 32, ED25519)
COUNT = itertools.count()


@pytest.fixture
def rows(tmp_path: Path) -> Iterator[WitnessRows]:
    found = WitnessRows(tmp_path / "store")
    yield found
    found.close()


@pytest.fixture
def witness(rows: WitnessRows) -> Witness:
    return watching(rows)


def watching(rows: WitnessRows, *keys: VerifierKey, now_s: int = 1_700_000_000) -> Witness:
    return Witness(SIGNER, rows, lambda: keys or (KEY.verifier,), lambda: now_s)


def test_a_growing_log_is_cosigned_step_by_step(witness: Witness, rows: WitnessRows) -> None:
    log = NumberedLog(KEY)
    for old, size in ((0, 3), (3, 3), (3, 8), (8, 100)):
        answer = witness.add_checkpoint(log.request(old, size))
        assert answer.status == 200
        (found,) = cosignatures(with_lines(log.note(size), [answer.text]), [SIGNER.key])
        assert found.time_s == 1_700_000_000
        assert rows.every()["log.example"].size == size


@pytest.mark.parametrize("kind", [ED25519, ML_DSA_44])
def test_both_kinds_of_key_cosign(rows: WitnessRows, kind: int) -> None:
    signer = CosignerSigner("witness.example/w", b"w" * 32, kind)
    witness = Witness(signer, rows, lambda: (KEY.verifier,), lambda: 5)
    log = NumberedLog(KEY)
    answer = witness.add_checkpoint(log.request(0, 3))
    assert len(cosignatures(with_lines(log.note(3), [answer.text]), [signer.key])) == 1


def test_each_refusal_has_its_status_and_changes_nothing(
    witness: Witness, rows: WitnessRows
) -> None:
    log, fork = NumberedLog(KEY), NumberedLog(KEY, fork=2)
    assert witness.add_checkpoint(log.request(0, 5)).status == 200
    before = rows.every()
    stranger = NumberedLog(SignerKey("other.example", b"l" * 32))
    empty = Checkpoint(origin="log.example", size=5, root=bytes(32)).text()
    proofless = AddCheckpoint(old=5, proof=(), note=log.note(9)).body()
    surplus = AddCheckpoint(old=5, proof=(bytes(32),), note=log.note(5)).body()
    cases = [
        (b"nothing", 400),
        (b"old 5\n\nno note\n", 400),
        (AddCheckpoint(old=5, proof=(), note=KEY.sign("not a checkpoint\n")).body(), 400),
        (log.request(9, 5), 400),
        (stranger.request(0, 5), 404),
        (NumberedLog(OTHER).request(5, 9), 403),
        (log.request(5, 9).replace(b"9\n", b"8\n", 1), 403),
        (log.request(0, 9), 409),
        (log.request(4, 9), 409),
        (log.request(6, 9), 409),
        (fork.request(5, 5), 409),
        (AddCheckpoint(old=5, proof=(), note=KEY.sign(empty)).body(), 409),
        (fork.request(5, 9), 422),
        (proofless, 422),
        (surplus, 422),
    ]
    for body, status in cases:
        answer = witness.add_checkpoint(body)
        assert answer.status == status, (body, answer)
        if status == 409:
            assert (answer.text, answer.media) == ("5\n", "text/x.tlog.size")
        assert rows.every() == before


def test_a_first_checkpoint_comes_without_a_proof(witness: Witness) -> None:
    log = NumberedLog(KEY)
    body = AddCheckpoint(old=0, proof=(bytes(32),), note=log.note(5)).body()
    assert witness.add_checkpoint(body).status == 422
    lie = KEY.sign(Checkpoint(origin="log.example", size=0, root=bytes(32)).text())
    assert witness.add_checkpoint(AddCheckpoint(old=0, proof=(), note=lie).body()).status == 409
    assert witness.add_checkpoint(log.request(0, 0)).status == 200
    assert witness.add_checkpoint(log.request(0, 5)).status == 200


def test_a_rotated_key_of_the_same_log_is_taken(rows: WitnessRows) -> None:
    assert watching(rows).add_checkpoint(NumberedLog(KEY).request(0, 3)).status == 200
    both = watching(rows, KEY.verifier, OTHER.verifier)
    assert both.add_checkpoint(NumberedLog(OTHER).request(3, 6)).status == 200


def test_a_clock_that_goes_back_does_not_take_the_time_back(rows: WitnessRows) -> None:
    log = NumberedLog(KEY)
    assert watching(rows, now_s=500).add_checkpoint(log.request(0, 3)).status == 200
    answer = watching(rows, now_s=100).add_checkpoint(log.request(3, 6))
    (found,) = cosignatures(with_lines(log.note(6), [answer.text]), [SIGNER.key])
    assert found.time_s == 500


def test_of_requests_at_once_from_one_size_one_is_cosigned(
    witness: Witness, rows: WitnessRows
) -> None:
    log = NumberedLog(KEY)
    assert witness.add_checkpoint(log.request(0, 4)).status == 200
    for round_ in range(8):
        old = rows.every()["log.example"].size
        bodies = [log.request(old, old + step) for step in (1, 2, 3, 4)]
        barrier, answers = threading.Barrier(len(bodies)), {}

        def ask(body: bytes) -> None:
            barrier.wait()  # noqa: B023
            answers[body] = witness.add_checkpoint(body)  # noqa: B023

        threads = [threading.Thread(target=ask, args=(body,)) for body in bodies]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        statuses = sorted(answer.status for answer in answers.values())
        assert statuses == [200, 409, 409, 409], round_
        size = rows.every()["log.example"].size
        assert all(a.text == f"{size}\n" for a in answers.values() if a.status == 409)


@settings(max_examples=40, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.lists(st.tuples(st.booleans(), st.integers(0, 12), st.integers(0, 12)), max_size=12))
def test_what_was_cosigned_never_shrinks_and_never_forks(
    tmp_path: Path, requests: list[tuple[bool, int, int]]
) -> None:
    rows = WitnessRows(tmp_path / str(next(COUNT)))
    witness = watching(rows)
    logs = (NumberedLog(KEY), NumberedLog(KEY, fork=3))
    try:
        cosigned: list[tuple[bool, int]] = []
        for forked, old, size in requests:
            before = rows.every().get("log.example")
            if witness.add_checkpoint(logs[forked].request(old, size)).status == 200:
                cosigned.append((forked, size))
            after = rows.every().get("log.example")
            assert before is None or (after is not None and after.size >= before.size)
        large = {forked for forked, size in cosigned if size > 3}
        assert len(large) <= 1
    finally:
        rows.close()
