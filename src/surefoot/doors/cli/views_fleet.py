"""How answers about a fleet are shown as text."""

from __future__ import annotations

from typing import Any

from surefoot.doors.cli import show

_BAR = 30
_ORDER = (
    *("verified", "downloaded", "reported", "installing", "downloading", "offered", "assigned"),
    *("failed", "timed_out", "returned", "unknown"),
)


def fleet(answer: dict[str, Any]) -> None:
    """Versions by share, and each rollout wave by wave."""
    total = int(answer.get("devices", 0))
    show.fields([("fleet", answer.get("name")), ("devices", total)])
    _versions(answer.get("versions", {}), total)
    for rollout in answer.get("rollouts", []):
        _rollout(rollout)


def blockers(answer: dict[str, Any]) -> None:
    """Each kind of blocker that has names."""
    show.fields([("deployment", answer.get("deployment"))])
    if answer.get("pending"):
        show.fields([("wait to be let in", answer["pending"])])
    for kind, rows in answer.items():
        if isinstance(rows, list) and rows:
            show.heading("\n" + kind.replace("_", " "))
            show.table(
                ("device", "wave", "why"),
                ((r["device"], r["wave"], r.get("why") or r["reason"]) for r in rows),
            )


def _versions(versions: dict[str, int], total: int) -> None:
    show.heading("\nversions")
    known = [(v or "not known", int(n)) for v, n in sorted(versions.items(), reverse=True)]
    rest = total - sum(n for _, n in known)
    rows = [*known, *([("not reported yet", rest)] if rest > 0 else [])]
    whole = max(total, 1)
    show.table(
        ("version", "devices", "share", ""),
        ((v, n, f"{n * 100 / whole:.1f} %", "#" * round(n * _BAR / whole)) for v, n in rows),
    )


def _rollout(rollout: dict[str, Any]) -> None:
    about = " ".join(str(rollout.get(n, "")) for n in ("release_version", "status"))
    show.heading(f"\nrollout of deployment {rollout['deployment']}: {about}")
    verdicts = rollout.get("verdicts", {})
    rows = []
    for wave, counts in rollout["waves"].items():
        states = ", ".join(f"{counts[s]} {s.replace('_', ' ')}" for s in _ORDER if counts.get(s))
        name = str(int(wave) + 1) if wave.isdigit() else wave
        rows.append((name, sum(counts.values()), states, verdicts.get(wave, {}).get("reason", "")))
    show.table(("wave", "devices", "states", "verdict"), rows)


VIEWS = {"fleet": fleet, "blockers": blockers}
