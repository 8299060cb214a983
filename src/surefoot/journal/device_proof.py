"""Makes proofs about one device: its newest report at a time, and the batches since without one.

Keeps: batches are walked from the newest of that time backwards, at most 1,000 of them; where the
walk ends before the device was met, or a batch has no second root, the proof says so. It is
verified before it is given out. Does not: sign or write. Source: docs/formats/device-proof.md.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import msgspec

from surefoot.core.errors import Corrupt
from surefoot.journal.log import Log
from surefoot.journal.proof import Prover
from surefoot.trust import canonical, merkle, proof
from surefoot.trust import device_proof as form
from surefoot.trust.digest import Digest
from surefoot.trust.entry import Entry

_KIND = "DeviceBatchSealed"


class DeviceProver:
    """Makes the files. `read` gives a batch's object by its digest. Any thread."""

    def __init__(self, log: Log[Any], prover: Prover, read: Callable[[Digest], bytes]) -> None:
        self._log = log
        self._prover = prover
        self._read = read

    def prove(
        self, environment: str, device: str, at_ms: int, batches_max: int = form.BATCHES_MAX
    ) -> bytes:
        """The file for "what the journal knew of this device at this time".

        Raises as `Prover.state`, and what a missing or changed batch raises.
        """
        stream = f"devices/{environment}"
        bundle = self._prover.state(stream, at_ms)
        newest = self._verified(bundle).entry
        links: list[form.Link] = []
        report: form.Shown | None = None
        entry = newest
        while entry is not None and report is None and len(links) < batches_max:
            link, report = self._link(entry, device)
            links.append(link)
            entry = self._before(stream, entry) if report is None else None
        made = form.DeviceBundle(
            format=form.FORMAT,
            environment=environment,
            device=device,
            bundle=bundle.decode(),
            batches=tuple(reversed(links)),
            report=report,
        )
        content = canonical.encode(msgspec.to_builtins(made))
        self._check(content)
        return content

    def _verified(self, bundle: bytes) -> proof.Proved:
        return proof.verify(bundle, self._prover.trust)

    def _check(self, content: bytes) -> None:
        try:
            form.verify(content, self._verified)
        except proof.NotProved as error:
            raise Corrupt(
                error.code,
                error.subject,
                expected=error.expected,
                found=error.found,
                remedy="run journal verify: what is stored does not fit together",
            ) from error

    def _before(self, stream: str, entry: Entry) -> Entry | None:
        if entry.n == 0:
            return None
        (found,) = self._log.stream_entries(stream, entry.n - 1, 1)
        return found

    def _link(self, entry: Entry, device: str) -> tuple[form.Link, form.Shown | None]:
        """One batch with the device's neighbours in it, and its newest report when it has one."""
        bare = form.Link(i=entry.index, raw=entry.raw.decode())
        if entry.kind != _KIND:
            return bare, None
        reports = form.reports_of(self._read(Digest(str(entry.body["batch"]))))
        ordered = form.by_device(reports)
        names = [_device_of(raw) for raw in ordered]
        wanted = device.encode()
        above = next((n for n, name in enumerate(names) if name > wanted), len(names))
        there = above > 0 and names[above - 1] == wanted
        shown = _shown(reports, ordered[above - 1]) if there else None
        if not entry.body.get("by_device"):
            return bare, shown
        return msgspec.structs.replace(bare, near=_near(ordered, above)), shown


def _device_of(raw: bytes) -> bytes:
    held = canonical.parse(raw)
    assert isinstance(held, dict)
    return str(held["device"]).encode()


def _shown(reports: list[bytes], raw: bytes) -> form.Shown:
    place = reports.index(raw)
    tree = merkle.Tree(merkle.leaf_hash(each) for each in reports)
    path = tuple(node.hex() for node in tree.inclusion(place))
    return form.Shown(raw=raw.decode(), place=place, path=path)


def _near(ordered: list[bytes], above: int) -> form.Near:
    """The last report that is not above the device, and the first that is; one at either end."""
    tree = merkle.Tree(merkle.leaf_hash(each) for each in ordered)
    places = [place for place in (above - 1, above) if 0 <= place < len(ordered)]
    return form.Near(
        index=places[0],
        reports=tuple(ordered[place].decode() for place in places),
        paths=tuple(tuple(node.hex() for node in tree.inclusion(place)) for place in places),
    )
