"""The audit table that many programs keep: each row holds the hash of the row before it.

Here as what the journal is compared with. Keeps: its verifier checks all that such a table lets it
check. Does not: sign anything, for such tables rarely do.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Sequence

Row = tuple[str, str]


def chained(contents: Sequence[str]) -> list[Row]:
    """Rows of content and link; anyone can compute them."""
    rows: list[Row] = []
    for content in contents:
        rows.append((content, _link(rows)))
    return rows


def holds(rows: Sequence[Row]) -> bool:
    """Whether every row's link is the hash of the row before it."""
    return chained([content for content, _ in rows]) == list(rows)


def _link(rows: Sequence[Row]) -> str:
    return hashlib.sha256(json.dumps(rows[-1:]).encode()).hexdigest()
