"""The targets that are shipped, with what each can do: the table in the reference.

Keeps: the table is what the drivers declare, so it cannot promise more than they do.
Does not: open a target.
"""

from __future__ import annotations

from surefoot.core.target import Capabilities
from surefoot.targets import fleet, process
from surefoot.targets.database import capabilities_of

DRIVERS: tuple[tuple[str, Capabilities], ...] = (
    ("process", process.CAPABILITIES),
    ("database", capabilities_of("sqlite")),
    ("database", capabilities_of("postgres")),
    ("fleet", fleet.CAPABILITIES),
)
"""The page of each driver, and its abilities."""

_ABILITIES = (
    ("needs network", "needs_network"),
    ("needs a credential", "needs_credential"),
    ("can roll back", "can_roll_back"),
    ("can dry-run", "can_dry_run"),
    ("can extract", "can_extract"),
)
_HEAD = """# Targets

Generated from what the drivers declare (`Capabilities` in `src/surefoot/core/target.py`). A driver
observes, plans and applies; what each step does is on its own page.

"""
_FOOT = """
| ability | means |
|---|---|
| needs network | it talks to another machine, or may |
| needs a credential | it opens a secret of the environment to do its work |
| can roll back | it has an action that brings back what was there before |
| can dry-run | it can try a step without changing anything |
| can extract | the environment as it is can be read back into a description |

To write another: [Add a target](../../adding/target.md).
"""


def page() -> str:
    """`docs/reference/targets/index.md`."""
    titles = ["driver", *(title for title, _ in _ABILITIES), "actions"]
    rows = [titles, ["---"] * len(titles)]
    for name, driver in DRIVERS:
        marks = ["yes" if getattr(driver, ability) else "no" for _, ability in _ABILITIES]
        actions = ", ".join(f"`{action}`" for action in driver.actions)
        rows.append([f"[{driver.name}]({name}.md)", *marks, actions])
    return _HEAD + "".join(f"| {' | '.join(row)} |\n" for row in rows) + _FOOT
