"""A witness: cosigns a log's checkpoints as long as each tree begins with the one before.

Keeps: what was cosigned is on disk before the cosignature exists, and never grows smaller; looking
and writing are one transaction; the time is read inside it and never goes back, so a later
cosignature is of a tree as large or larger. A crash after the write leaves a size without a
cosignature: asked again for the same tree, it is given.
Does not: listen, or read files. Source: c2sp.org/tlog-witness, add-checkpoint.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Sequence

import msgspec

from surefoot.store.witness import Seen, WitnessRows
from surefoot.trust.cosignature import CosignerSigner
from surefoot.trust.merkle import verify_consistency
from surefoot.trust.note import (
    Checkpoint,
    NotANote,
    VerifierKey,
    open_checkpoint,
    parse_checkpoint,
    split_note,
)
from surefoot.trust.witnessing import SIZE_TYPE, AddCheckpoint, parse_request

_LOG = logging.getLogger("surefoot.witness")


class Answer(msgspec.Struct, frozen=True):
    """An HTTP status and the text that goes with it."""

    status: int
    text: str
    media: str = "text/plain; charset=utf-8"


class _Stop(Exception):
    """An answer that ends the transaction without a change."""

    def __init__(self, answer: Answer) -> None:
        super().__init__(answer.status)
        self.answer = answer


class Witness:
    """See the module; any thread. `logs` says whose checkpoints are taken, at each request."""

    def __init__(
        self,
        signer: CosignerSigner,
        rows: WitnessRows,
        logs: Callable[[], Sequence[VerifierKey]],
        now_s: Callable[[], int],
        fault: Callable[[str], None] = lambda place: None,
    ) -> None:
        self._signer = signer
        self._rows = rows
        self._logs = logs
        self._now_s = now_s
        self._fault = fault

    def add_checkpoint(self, content: bytes) -> Answer:
        """Answer one request: 200 with a cosignature line, 400, 403, 404, 409 or 422."""
        try:
            asked = parse_request(content)
            text, _ = split_note(asked.note)
            checkpoint = parse_checkpoint(text)
        except NotANote as error:
            return Answer(400, f"{error}\n")
        keys = [key for key in self._logs() if key.name == checkpoint.origin]
        if not keys:
            return Answer(404, "the witness does not know this log\n")
        try:
            open_checkpoint(asked.note, *keys)
        except NotANote as error:
            return Answer(403, f"{error}\n")
        if asked.old > checkpoint.size:
            return Answer(400, "the old size is larger than the checkpoint's\n")
        try:
            seen = self._rows.step(checkpoint.origin, lambda s: self._grown(s, asked, checkpoint))
        except _Stop as stop:
            return stop.answer
        self._fault("witness:written")
        return Answer(200, self._signer.cosign(text, seen.time_s))

    def _grown(self, seen: Seen, asked: AddCheckpoint, checkpoint: Checkpoint) -> Seen:
        """What is seen after this checkpoint. Raises `_Stop`."""
        if asked.old != seen.size:
            raise _Stop(_other_size(seen))
        if checkpoint.size == seen.size and checkpoint.root != seen.root:
            self._note_fork(seen, asked)
            raise _Stop(_other_size(seen))
        if not verify_consistency(
            seen.size, seen.root, checkpoint.size, checkpoint.root, asked.proof
        ):
            self._note_fork(seen, asked)
            raise _Stop(Answer(422, "the proof does not show that the log only grew\n"))
        return Seen(checkpoint.size, checkpoint.root, max(self._now_s(), seen.time_s, 1))

    def _note_fork(self, seen: Seen, asked: AddCheckpoint) -> None:
        """Keep in the log what the log signed: it may prove that it shows two histories."""
        _LOG.warning(
            "a signed checkpoint does not continue what was cosigned",
            extra={"size": seen.size, "root": seen.root.hex(), "offered": asked.note},
        )


def _other_size(seen: Seen) -> Answer:
    return Answer(409, f"{seen.size}\n", SIZE_TYPE)
