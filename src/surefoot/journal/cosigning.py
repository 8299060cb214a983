"""Has the log's checkpoints cosigned, in the background, by the witnesses of its policy.

Keeps: no append waits for a witness; only the newest checkpoint is offered, at most one request a
witness at a time; a line is verified before it is stored, and is not from the future. A witness
that saw more than is here, or something else, is an alarm that the operator sees; one that does not
answer is asked again, later and later.
Does not: decide how many are enough. Source: c2sp.org/tlog-witness.
"""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable, Iterable, Sequence
from typing import Any

import msgspec

from surefoot.core.errors import Corrupt, Refused, SurefootError
from surefoot.journal.log import Log
from surefoot.journal.witness_client import WitnessClient, failed, witness_ahead
from surefoot.store.cosignature import CosignatureRows
from surefoot.store.database import Database
from surefoot.trust.backing import FUTURE_MS_MAX
from surefoot.trust.cosignature import Cosignature, CosignerKey, cosignatures, with_lines
from surefoot.trust.note import (
    Checkpoint,
    NotANote,
    VerifierKey,
    open_checkpoint,
    parse_checkpoint,
    split_note,
)
from surefoot.trust.quorum import PolicyWitness, TrustPolicy
from surefoot.trust.witnessing import AddCheckpoint, parse_size

_LOG = logging.getLogger("surefoot.cosigning")
_PAUSE_SECONDS = 0.2
_WAIT_SECONDS = 1.0
_RETRY_SECONDS = (1.0, 60.0)
_TRIES = 3
_UNCHANGED = "bring the file that surefoot witness sign or auditor run wrote, unchanged"
_NAMED = (
    "name the witness in the data folder's witness.policy and start the server again, or the "
    "auditor in a published root.json; then bring the file again"
)


class Standing(msgspec.Struct, frozen=True, kw_only=True):
    """Where a witness is: the newest size it cosigned, when (POSIX seconds), what went wrong."""

    name: str
    size: int = 0
    time_s: int = 0
    error: SurefootError | None = None


class Cosigning:
    """See the module. `keys` are the log's own, present and earlier."""

    def __init__(
        self,
        log: Log[Any],
        database: Database,
        policy: TrustPolicy,
        keys: Iterable[VerifierKey],
        retry_seconds: tuple[float, float] = _RETRY_SECONDS,
        *,
        now_ms: Callable[[], int],
    ) -> None:
        self.policy = policy
        self._log = log
        self._now_ms = now_ms
        self._rows = CosignatureRows(database)
        self._keys = tuple(keys)
        self._retry_seconds = retry_seconds
        self._stop = threading.Event()
        self._standings = {n: self._standing(n, w) for n, w in policy.witnesses.items()}
        self._threads = [
            threading.Thread(target=self._follow, args=item, name=f"witness-{item[0]}", daemon=True)
            for item in policy.witnesses.items()
            if item[1].url
        ]

    def start(self) -> None:
        """Begin, one thread a witness."""
        for thread in self._threads:
            thread.start()

    def stop(self) -> None:
        """End; a request under way is let go of."""
        self._stop.set()
        for thread in self._threads:
            thread.join(timeout=2)

    def standings(self) -> tuple[Standing, ...]:
        """Each witness of the policy, in its order."""
        return tuple(self._standings.values())

    def alarm(self) -> Corrupt | None:
        """What a witness saw that cannot be of one honest log, None when nothing."""
        errors = [s.error for s in self._standings.values() if isinstance(s.error, Corrupt)]
        return errors[0] if errors else None

    def request(self, old: int) -> AddCheckpoint:
        """What to send a witness that cosigned `old` leaves last, -1 for the least of all of them.

        Raises `Refused("journal.request.input")` without a checkpoint, or beyond it.
        """
        note = self._log.checkpoint()
        size = _parsed(note).size if note else 0
        if old < 0:
            old = min((s.size for s in self.standings()), default=0)
        if not note or old > size:
            raise Refused(
                "journal.request.input",
                "request to a witness",
                expected=f"an old size of at most {size}, and a signed checkpoint",
                found=f"old {old}",
                remedy="give the size that the witness cosigned last; 0 when it never did",
            )
        return self._request(note, old, size)

    def keep(
        self, note: str, auditors: Sequence[CosignerKey] = ()
    ) -> tuple[int, tuple[Cosignature, ...]]:
        """Verify and store the cosignatures under a checkpoint of this log; its size, and they.

        `auditors` are keys that count beside those of the policy's witnesses.
        Raises `Refused("journal.cosignature.input")`.
        """
        known = {w.key.text(): n for n, w in self.policy.witnesses.items()}
        try:
            checkpoint = open_checkpoint(note, *self._keys)
            text, lines = split_note(note)
            keys = [*(w.key for w in self.policy.witnesses.values()), *auditors]
            found = cosignatures(note, dict.fromkeys(keys))
        except NotANote as error:
            raise _not_kept(str(error)) from None
        if not found:
            raise _not_kept(
                "no cosignature by a witness of the policy or an auditor of the root", _NAMED
            )
        ahead = self._ahead(found)
        if ahead:
            raise _not_kept(ahead, "have the witness's clock set right, then sign again")
        if not self._own(checkpoint):
            raise _not_kept("a checkpoint of another tree than this log's")
        self._store(checkpoint.size, text, lines, keys)
        for cosignature in found:
            name = known.get(cosignature.key, "")
            if name:
                self._standings[name] = self._standing(name, self.policy.witnesses[name])
        return checkpoint.size, found

    # -- one witness ------------------------------------------------------------------------------

    def _follow(self, name: str, witness: PolicyWitness) -> None:
        """Offer the newest checkpoint whenever there is one, until stopped."""
        client, delay = None, self._retry_seconds[0]
        while not self._stop.wait(_PAUSE_SECONDS):
            try:
                client = client or WitnessClient(name, witness.url)
                size = self._offer(name, witness.key, client)
                self._standings[name] = self._standing(name, witness)
                delay = self._retry_seconds[0]
                self._log.wait_for_change(size, _WAIT_SECONDS)
                continue
            except SurefootError as error:
                self._tell(name, error)
            except Exception:  # noqa: BLE001 -- the thread's last place, told in the log
                _LOG.exception("witness %s", name)
                self._tell(name, failed(name, "an answer", "a fault of our own; see the log"))
            if not self._stop.wait(delay):
                delay = min(delay * 2, self._retry_seconds[1])
        if client is not None:
            client.close()

    def _offer(self, name: str, key: CosignerKey, client: WitnessClient) -> int:
        """Have the newest checkpoint cosigned when it is not yet; its size.

        Raises `Failed`, or `Corrupt` for a witness that saw more, or something else.
        """
        old = kept = (self._rows.newest(key.text()) or (0, 0))[0]
        for _ in range(_TRIES):
            note = self._log.checkpoint()
            size = _parsed(note).size if note else 0
            if old >= size and self._rows.newest(key.text()):
                return size
            if not note:
                return 0
            if old > size:
                break
            reply = client.add_checkpoint(self._request(note, old, size).body())
            if reply.status == 200:
                self._take(name, key, note, reply.content)
                return size
            said = parse_size(reply.content) if reply.status == 409 else None
            if reply.status == 422 or said == old:
                raise _differs(name, old)
            if said is None:
                raise failed(name, "a cosignature", f"status {reply.status}")
            if said > self._log.size():
                raise witness_ahead(name, self._log.size(), said)
            if said < kept:
                _LOG.warning("witness %s forgot: it signed %d leaves, says %d", name, kept, said)
            old = said
        raise failed(name, f"at most {size} leaves for now", f"{old} leaves")

    def _take(self, name: str, key: CosignerKey, note: str, answer: bytes) -> None:
        """Verify the lines of an answer and store them."""
        try:
            lines = answer.decode().splitlines()
            found = cosignatures(with_lines(note, lines), [key])
        except (NotANote, UnicodeDecodeError) as error:
            raise failed(name, f"a cosignature by {key.id.hex()}", str(error)) from None
        if not found:
            raise failed(name, f"a cosignature by {key.id.hex()}", "none by this key")
        ahead = self._ahead(found)
        if ahead:
            raise failed(name, "a time up to now", ahead)
        text, _ = split_note(note)
        self._store(_parsed(note).size, text, lines, [key])

    # -- what they share --------------------------------------------------------------------------

    def _request(self, note: str, old: int, size: int) -> AddCheckpoint:
        proof: list[bytes] = []
        if 0 < old < size:
            proof = self._log.prove(lambda chain: chain.tree.consistency(old, size))
        return AddCheckpoint(old=old, proof=tuple(proof), note=note)

    def _own(self, checkpoint: Checkpoint) -> bool:
        """Whether the tree begins with this checkpoint, and it is kept."""
        if not 0 < checkpoint.size <= self._log.size() or not self._log.cosigned(checkpoint.size):
            return False
        root = self._log.prove(lambda chain: chain.tree.root(checkpoint.size))
        return root == checkpoint.root

    def _ahead(self, found: Sequence[Cosignature]) -> str:
        """What is of a time yet to come, in words: under a root it would spoil every proof."""
        latest = self._now_ms() + FUTURE_MS_MAX
        ahead = [each for each in found if each.time_s * 1000 > latest]
        return f"{ahead[0].name} at second {ahead[0].time_s}, which is yet to come" if ahead else ""

    def _store(
        self, size: int, text: str, lines: Iterable[str], keys: Sequence[CosignerKey]
    ) -> None:
        """Store each line that is a valid cosignature by one of the keys."""
        for line in lines:
            for found in cosignatures(f"{text}\n{line}\n", keys):
                self._rows.add(size, found.key, found.time_s, f"{line}\n")

    def _standing(self, name: str, witness: PolicyWitness) -> Standing:
        size, time_s = self._rows.newest(witness.key.text()) or (0, 0)
        return Standing(name=name, size=size, time_s=time_s)

    def _tell(self, name: str, error: SurefootError) -> None:
        """Show the error beside what was known; the database may be what fails."""
        before = self._standings[name]
        self._standings[name] = msgspec.structs.replace(before, error=error)
        if before.error is None or before.error.code != error.code:
            _LOG.error("%s", error)


def _parsed(note: str) -> Checkpoint:
    return parse_checkpoint(split_note(note)[0])


def _differs(name: str, old: int) -> Corrupt:
    return Corrupt(
        "journal.witness.differs",
        f"witness {name}",
        expected=f"the same first {old} leaves as here",
        found="others, or another log under this one's name and key",
        remedy="ask its operator what it cosigned; compare with an export, find who holds the key",
    )


def _not_kept(found: str, remedy: str = _UNCHANGED) -> Refused:
    return Refused(
        "journal.cosignature.input",
        "cosigned checkpoint",
        expected="a checkpoint of this log, cosigned by witnesses of the policy or auditors",
        found=found[:200],
        remedy=remedy,
    )
