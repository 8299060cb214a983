"""The complete list of a scope's findings as bytes: what a blob holds and an entry names.

Keeps: the bytes are canonical, so equal lists have equal digests. Does not: store.
"""

from __future__ import annotations

import msgspec

from surefoot.core.finding import Record
from surefoot.trust import canonical
from surefoot.trust.digest import Digest

FORMAT = "surefoot/findings/v1"
RECORDS_MAX = 100_000


class Sheet(msgspec.Struct, frozen=True, kw_only=True):
    """Findings by fingerprint, and the digests of all reports they come from."""

    format: str = FORMAT
    reports: tuple[Digest, ...] = ()
    records: tuple[Record, ...] = ()

    def by_name(self) -> dict[str, Record]:
        """The findings by fingerprint."""
        return {record.fingerprint: record for record in self.records}

    def after(self, report: Digest, changed: tuple[Record, ...]) -> Sheet:
        """The list after a report."""
        records = self.by_name() | {record.fingerprint: record for record in changed}
        ordered = tuple(records[name] for name in sorted(records))
        return Sheet(reports=(*self.reports, report), records=ordered)

    def encoded(self) -> bytes:
        """The canonical bytes."""
        return canonical.encode(msgspec.to_builtins(self))


_DECODER = msgspec.json.Decoder(Sheet)


def read(content: bytes) -> Sheet:
    """The list in these bytes. Raises `ValueError` for another format."""
    sheet = _DECODER.decode(content)
    if sheet.format != FORMAT:
        raise ValueError(f"another format: {sheet.format[:60]}")
    return sheet
