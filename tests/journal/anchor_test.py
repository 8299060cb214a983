"""The log's own ML-DSA-44 key: one anchor a size, one an hour, and it verifies."""

from __future__ import annotations

from pathlib import Path

import pytest

from surefoot.core.errors import Refused
from surefoot.journal.anchor import EVERY_SECONDS, Anchor
from surefoot.store.database import Database
from surefoot.testing.journal import ANN, KEY, draft, open_log
from surefoot.trust.cosignature import ML_DSA_44, CosignerSigner, cosignatures


def test_an_anchor_an_hour_covers_what_came_before(database: Database, checkpoint: Path) -> None:
    now_s = [1_700_000_000]
    log = open_log(database, checkpoint)
    signer = CosignerSigner(KEY.verifier.name, b"a" * 32, ML_DSA_44)
    anchor = Anchor(log, database, signer, lambda: now_s[0])
    assert anchor.due()
    with pytest.raises(Refused, match=r"journal\.anchor\.input"):
        anchor.cosign()
    log.transact(lambda world: [draft()], ANN, "r")
    size, time_s = anchor.cosign()
    assert (size, time_s) == (log.size(), now_s[0]) == anchor.newest()
    (found,) = cosignatures(log.cosigned(size), [anchor.key])
    assert (found.name, found.kind, found.time_s) == (KEY.verifier.name, ML_DSA_44, time_s)
    assert not anchor.due()
    now_s[0] += 5
    assert anchor.cosign() == (size, time_s)
    log.heartbeat()
    assert anchor.cosign() == (log.size(), now_s[0])
    now_s[0] += EVERY_SECONDS
    assert anchor.due()
