"""How many of a rollout's actions are in each state, kept in the transaction that changes one.

Keeps: a page of a million devices counts nothing: it reads a row for each wave and state.
Does not: count for a rule, which reads sealed counters.
"""

from __future__ import annotations

from surefoot.store.database import Session, Value
from surefoot.store.device_rows import ActionRow


class Tallies:
    """The differences of one transaction."""

    def __init__(self) -> None:
        self._changes: dict[tuple[str, int, str, str], int] = {}

    def add(self, environment: str, action: ActionRow, count: int = 1) -> None:
        """So many new actions like this one, or with a negative count fewer."""
        key = (environment, action.deployment, action.wave, action.state)
        self._changes[key] = self._changes.get(key, 0) + count

    def write(self, session: Session) -> None:
        """Write what has changed; afterwards nothing has."""
        rows: list[dict[str, Value]] = [
            {"environment": e, "deployment": d, "wave": w, "state": s, "count": count}
            for (e, d, w, s), count in sorted(self._changes.items())
            if count
        ]
        if rows:
            session.run_many("device.tally", rows)
        self._changes.clear()
