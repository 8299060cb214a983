"""What every target driver shares: receipts with fences, and atomic durable writes.

A receipt file holds, for one target of one environment, the newest fence seen, and of each finished
operation its outcome and the digest of what was done: a log that lost its last leaves counts its
deployments anew, and what is another act is no repeat. The fence is raised durably before the act,
the outcome is written durably after it: a crash between them leaves an operation without receipt,
which the driver finishes by looking first.
"""

from __future__ import annotations

import fcntl
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import msgspec

from surefoot.core.errors import Corrupt, Refused
from surefoot.core.target import Outcome, Step, Token
from surefoot.store.durable import write_durably


class _Ledger(msgspec.Struct, kw_only=True):
    fence: int = -1
    outcomes: dict[str, Outcome] = {}
    acts: dict[str, str] = {}


class Receipts:
    """Durable receipts in one file, guarded by a lock file beside it."""

    def __init__(self, path: Path) -> None:
        self._path = path

    @contextmanager
    def admit(self, step: Step, token: Token) -> Iterator[Outcome | None]:
        """Hold the target's lock; yield the receipt of this step, when it is finished, else None.

        Raises `Refused("target.fence.moved")` when a newer fence has been seen.
        """
        self._path.parent.mkdir(parents=True, exist_ok=True)
        with open(self._path.with_suffix(".lock"), "w") as lock:
            fcntl.flock(lock, fcntl.LOCK_EX)
            ledger = self._read()
            if token.fence < ledger.fence:
                raise Refused(
                    "target.fence.moved",
                    f"operation {token.operation}",
                    expected=f"a fence of at least {ledger.fence}",
                    found=str(token.fence),
                    remedy="another worker took this over; look again before acting",
                )
            if token.fence > ledger.fence:
                ledger.fence = token.fence
                self._write(ledger)
            # A receipt of an earlier version says no act, and is believed as it was then.
            same = ledger.acts.get(token.operation, step.digest()) == step.digest()
            yield ledger.outcomes.get(token.operation) if same else None

    def record(self, step: Step, token: Token, outcome: Outcome) -> Outcome:
        """Write the outcome of a finished operation; call it inside `admit`."""
        ledger = self._read()
        ledger.outcomes[token.operation] = outcome
        ledger.acts[token.operation] = step.digest()
        self._write(ledger)
        return outcome

    def all(self) -> dict[str, Outcome]:
        """Every receipt, by operation."""
        return self._read().outcomes

    def _read(self) -> _Ledger:
        try:
            return msgspec.json.decode(self._path.read_bytes(), type=_Ledger)
        except FileNotFoundError:
            return _Ledger()
        except msgspec.DecodeError as error:
            raise Corrupt(
                "target.receipts.corrupt",
                str(self._path),
                expected="a ledger of receipts",
                found=str(error),
                remedy="restore the file or observe the target and adopt it anew",
            ) from None

    def _write(self, ledger: _Ledger) -> None:
        write_durably(self._path, msgspec.json.encode(ledger))
