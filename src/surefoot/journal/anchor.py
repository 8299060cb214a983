"""The log's own post-quantum key: cosigns a checkpoint now and then, so that all before it stays
believable when Ed25519 no longer is.

Keeps: one anchor a size; at most one an hour by itself. A later checkpoint covers all that came
before, so few suffice. Does not: replace the log's signature. Source: c2sp.org/tlog-cosignature.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from surefoot.core.errors import Refused
from surefoot.journal.log import Log
from surefoot.store.cosignature import CosignatureRows
from surefoot.store.database import Database
from surefoot.trust.cosignature import CosignerSigner
from surefoot.trust.note import parse_checkpoint, split_note

EVERY_SECONDS = 3600


class Anchor:
    """See the module."""

    def __init__(
        self, log: Log[Any], database: Database, signer: CosignerSigner, now_s: Callable[[], int]
    ) -> None:
        self.key = signer.key
        self._log = log
        self._rows = CosignatureRows(database)
        self._signer = signer
        self._now_s = now_s

    def newest(self) -> tuple[int, int] | None:
        """Size and time (POSIX seconds) of the newest anchor, None before the first."""
        return self._rows.newest(self.key.text())

    def due(self) -> bool:
        """Whether an hour went by since the newest one."""
        newest = self.newest()
        return newest is None or self._now_s() - newest[1] >= EVERY_SECONDS

    def cosign(self) -> tuple[int, int]:
        """Anchor the newest checkpoint when it is not yet; its size, and when it was anchored.

        Raises the alarm of a journal that is not sound, `Refused` before the first checkpoint.
        """
        self._log.check_writable()
        note = self._log.checkpoint()
        if not note:
            raise Refused(
                "journal.anchor.input",
                "anchor",
                expected="a signed checkpoint",
                found="none",
                remedy="write something first",
            )
        text, _ = split_note(note)
        size, time_s = parse_checkpoint(text).size, max(self._now_s(), 1)
        newest = self.newest()
        if newest is not None and newest[0] >= size:
            return newest
        self._rows.add(size, self.key.text(), time_s, self._signer.cosign(text, time_s))
        return size, time_s
