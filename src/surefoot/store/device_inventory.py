"""The inventory of devices: pages of them by name, filtered, without a scan of the whole fleet.

Keeps: a page begins after a name, never at an offset; each question goes along one index, in
portions, and looks at no more than `SCAN_MAX` devices before it answers with what it found and
the name to go on from. Does not: decide, count a fleet (`DeviceBooks` does), or change a row.
"""

from __future__ import annotations

from collections.abc import Callable

import msgspec

from surefoot.store.database import Database, Session, Value
from surefoot.store.device import DeviceSummary, summary_of

SCAN_MAX = 5_000
PAGE_MAX = 1_000
_BEYOND = "\U0010ffff"

Keep = Callable[[DeviceSummary], bool]


class DeviceFilter(msgspec.Struct, frozen=True, kw_only=True):
    """What a device must be; None asks nothing. `runs` "" is: not known; `standing` "" is: let in.

    `state` is the device's state in the rollout of `deployment`, and `wave` narrows that down;
    `text` is how its name begins.
    """

    runs: str | None = None
    hardware: str | None = None
    standing: str | None = None
    state: str | None = None
    deployment: int = 0
    wave: str | None = None
    tag: str | None = None
    text: str = ""

    def narrowed(self, keep: Keep | None) -> Keep | None:
        """`keep`, and the tag where the way is not along the index of tags."""
        tag = self.tag if self.state is not None else None
        if tag is None:
            return keep
        return lambda device: tag in device.tags and (keep is None or keep(device))

    def statements(self) -> tuple[str, str]:
        """The pair of statements along the index of the rarest thing asked for."""
        if self.state is not None:
            return "device_inventory.by_state", "device_inventory.by_state_reach"
        if self.tag is not None:
            return "device_inventory.by_tag", "device_inventory.by_tag_reach"
        if self.standing:
            return "device_inventory.by_standing", "device_inventory.by_standing_reach"
        if self.runs is not None:
            return "device_inventory.by_runs", "device_inventory.by_runs_reach"
        if self.hardware is not None:
            return "device_inventory.by_hardware", "device_inventory.by_hardware_reach"
        return "device_inventory.by_name", "device_inventory.by_name_reach"


class DevicePage(msgspec.Struct, frozen=True, kw_only=True):
    """Devices by name. `next` is the name to go on after, "" at the end; a page may be short."""

    devices: tuple[DeviceSummary, ...]
    next: str
    looked_at: int


class DeviceInventory:
    """See the module. May be called from any thread."""

    def __init__(self, database: Database) -> None:
        self._database = database

    def page(
        self,
        environment: str,
        wanted: DeviceFilter,
        *,
        after: str = "",
        limit: int = 100,
        keep: Keep | None = None,
    ) -> DevicePage:
        """Up to `limit` devices after a name that are as wanted, and that `keep` keeps."""
        limit = min(limit, PAGE_MAX)
        found: list[DeviceSummary] = []
        if not (wanted.text.isascii() and wanted.text.isprintable()):
            return DevicePage(devices=(), next="", looked_at=0)  # no name is so
        after = max(after, _before(wanted.text))
        statement, reach = wanted.statements()
        keep = wanted.narrowed(keep)
        looked, scan, more = 0, limit + 1, True
        with self._database.read() as session:
            while more and len(found) <= limit and looked < SCAN_MAX:
                most = scan if keep else limit + 1 - len(found)
                words = _words(environment, wanted, after, scan)
                rows = session.rows(statement, limit=most, **words)
                fresh = [summary_of(row) for row in rows]
                found += [each for each in fresh if keep is None or keep(each)]
                count, last = _reach(session, reach, words)
                looked, after, more = looked + count, last, count == scan
                scan = min(scan * 8, SCAN_MAX - looked)
        if len(found) > limit:
            after = found[limit - 1].device
        elif not more:
            after = ""
        return DevicePage(devices=tuple(found[:limit]), next=after, looked_at=looked)

    def newest_rollout(self, environment: str) -> int:
        """The deployment of the newest rollout; 0 when there was none."""
        with self._database.read() as session:
            row = session.row("device.newest_rollouts", environment=environment, limit=1)
        return int(row[0]) if row else 0

    def waiting(self, environment: str) -> int:
        """How many devices wait to be let in."""
        with self._database.read() as session:
            row = session.row("device.waiting", environment=environment)
        return int(row[0]) if row else 0


def _before(text: str) -> str:
    """What comes right before every name that begins with this printable ASCII text."""
    return text[:-1] + chr(ord(text[-1]) - 1) + _BEYOND if text else ""


def _words(environment: str, wanted: DeviceFilter, after: str, scan: int) -> dict[str, Value]:
    asked: dict[str, Value] = {
        "environment": environment,
        "after": after,
        "beyond": wanted.text + _BEYOND,
        "scan": scan,
        "state": wanted.state or "",
        "deployment": wanted.deployment,
        "tag": wanted.tag or "",
    }
    for name in ("runs", "hardware", "standing", "wave"):
        value = getattr(wanted, name)
        asked[name] = value or ""
        asked[f"any_{name}"] = int(value is None)
    return asked


def _reach(session: Session, statement: str, words: dict[str, Value]) -> tuple[int, str]:
    """How many devices the scan looked at, and the last of them."""
    row = session.row(statement, **words)
    return (int(row[0]), str(row[1] or "")) if row else (0, "")
