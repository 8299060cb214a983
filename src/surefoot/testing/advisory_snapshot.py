"""Small signed snapshots of advisories, made as the command line makes them."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import msgspec

from surefoot.insight import advisories, osv
from surefoot.trust import envelope

MODIFIED = "2026-01-01T00:00:00Z"


class MadeSnapshot(msgspec.Struct, frozen=True):
    """A snapshot: the signed envelope, and its parts in order."""

    sealed: bytes
    parts: tuple[bytes, ...]

    def file(self) -> bytes:
        """The bytes of its file."""
        return b"".join((self.sealed, b"\n", *self.parts))


def record(
    name: str,
    package: str,
    fixed: str = "",
    *,
    kind: str = "ECOSYSTEM",
    modified: str = MODIFIED,
    **more: Any,
) -> dict[str, Any]:
    """An OSV record about `ecosystem/package`, affected from the beginning up to `fixed`."""
    ecosystem, _, of = package.partition("/")
    events = [{"introduced": "0"}, *([{"fixed": fixed}] if fixed else [])]
    affected = {
        "package": {"ecosystem": ecosystem, "name": of},
        "ranges": [{"type": kind, "events": events}],
    }
    return {"id": name, "modified": modified, "affected": [affected], **more}


def lines(
    records: Iterable[dict[str, Any]],
    exploited: Iterable[tuple[str, int]] = (),
    likely: Iterable[tuple[str, int]] = (),
) -> list[advisories.Line]:
    """The lines of a snapshot of these."""
    read = [osv.record(r["id"], msgspec.json.encode(r)) for r in records]
    return [
        *(advisories.Line(osv=each) for each in read),
        *(advisories.Line(exploited=each) for each in exploited),
        *(advisories.Line(likely=each) for each in likely),
    ]


def snapshot(
    made: Iterable[advisories.Line], signer: envelope.Signer, made_at_ms: int
) -> MadeSnapshot:
    """A signed snapshot of lines."""
    parts = list(advisories.pack(made))
    statement = advisories.Statement(
        format=advisories.FORMAT, made_at_ms=made_at_ms, parts=tuple(p for p, _ in parts)
    )
    sealed = envelope.seal(advisories.PAYLOAD_TYPE, statement.encoded(), [signer])
    return MadeSnapshot(sealed, tuple(content for _, content in parts))
