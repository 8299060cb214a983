"""How plain answers become words on a page: pure functions that templates use.

Keeps: nothing here makes markup, so everything shown is escaped by the template; a word for a
status always comes with an icon, never with a colour alone.
Does not: ask, decide or read a clock.
"""

from __future__ import annotations

import re
import shlex
from collections.abc import Iterable, Mapping, Sequence
from typing import Any, NamedTuple

from surefoot.core.environment import flatten
from surefoot.trust.entry import text_of_time

_DIGEST = re.compile(r"(sha256:)?([0-9a-f]{64})")
_SHORT = 12
_MOMENT = re.compile(r"(\d{4}-\d{2}-\d{2})T(\d{2}:\d{2}:\d{2})")
_PARTS = re.compile(r"(\d{4}-\d{2}-\d{2})(?:T(\d{2}:\d{2})(?::(\d{2})(?:\.(\d{1,3}))?)?)?Z?")
_CONTROL = re.compile(r"\d{4}-\d{2}-\d{2}T\d{2}:\d{2}(:\d{2})?")
_STEP_NUMBER = re.compile(r"\d{2}-")
_SHARES = 6


class Tone(NamedTuple):
    """A colour family of the style sheet and an icon of the sprite."""

    name: str
    icon: str


_OK, _RUN, _WAIT = Tone("ok", "check"), Tone("run", "run"), Tone("wait", "clock")
_WARN, _BAD, _IDLE = Tone("wait", "warn"), Tone("bad", "cross"), Tone("idle", "dot")

TONES: dict[str, Tone] = {
    **dict.fromkeys(("succeeded", "done", "pass", "passed", "approve", "verified", "idle ok"), _OK),
    "downloaded": _OK,
    **dict.fromkeys(("running", "claimed", "returning"), _RUN),
    **dict.fromkeys(("waiting", "paused", "frozen"), _WAIT),
    **dict.fromkeys(("stopped", "inconclusive", "drift"), _WARN),
    **dict.fromkeys(("failed", "fail", "error", "rejected", "reject", "corrupt"), _BAD),
    **dict.fromkeys(("critical", "high"), _BAD),
    **dict.fromkeys(("medium", "new", "regressed", "confirmed"), _WARN),
    **dict.fromkeys(("fixed",), _OK),
    **dict.fromkeys(("accepted",), _WAIT),
    **dict.fromkeys(("refused",), Tone("bad", "hand")),
    **dict.fromkeys(("returned", "undone"), Tone("wait", "back")),
    **dict.fromkeys(("void", "cancelled", "destroyed"), Tone("idle", "minus")),
    **dict.fromkeys(("installing", "downloading", "reported"), _RUN),
    **dict.fromkeys(("pending", "offered", "assigned"), Tone("idle", "clock")),
    **dict.fromkeys(("timed_out",), Tone("bad", "clock")),
    **dict.fromkeys(("accepted",), _OK),
    **dict.fromkeys(("revoked",), Tone("bad", "hand")),
}

_WORDS = {
    "claimed": "running",
    "void": "void",
    "approve": "approved",
    "reject": "rejected",
    "timed_out": "timed out",
}


def tone(status: str) -> Tone:
    """The tone of a status; an unknown one is shown quietly."""
    return TONES.get(status, _IDLE)


def word(status: str) -> str:
    """The word people read for a status."""
    return _WORDS.get(status, status)


def is_digest(text: object) -> bool:
    """Whether a value is a digest that is better shown short."""
    return isinstance(text, str) and _DIGEST.fullmatch(text) is not None


def short(text: str) -> str:
    """The first digits of a digest or commit, without its algorithm."""
    return text.removeprefix("sha256:")[:_SHORT]


def moment(text: str) -> str:
    """`2026-11-21 10:00:00` from RFC 3339 in UTC; the full text belongs into the title."""
    found = _MOMENT.match(text)
    return f"{found[1]} {found[2]}" if found else text


def sortable(text: str) -> str:
    """A moment in UTC in one form, so that later ones sort later; `text` may lack parts."""
    found = _PARTS.match(text.strip().replace(" ", "T"))
    if not found:
        return text
    day, minute, second, fraction = found.groups()
    return f"{day}T{minute or '00:00'}:{second or '00'}.{(fraction or '').ljust(3, '0')}"


def local(text: str) -> str:
    """The time as a date-time control takes it, without zone; empty for any other form."""
    found = _CONTROL.match(text)
    return found[0] if found else ""


def duration(milliseconds: object) -> str:
    """A length of time with one unit or two: `85 ms`, `3.2 s`, `4 min 10 s`, `2 h 5 min`."""
    if not isinstance(milliseconds, int):
        return ""
    if milliseconds < 1000:
        return f"{milliseconds} ms"
    seconds = milliseconds / 1000
    if seconds < 60:
        return f"{seconds:.1f} s"
    minutes, rest = divmod(round(seconds), 60)
    if minutes < 60:
        return f"{minutes} min {rest} s"
    return f"{minutes // 60} h {minutes % 60} min"


def size(count: object) -> str:
    """A size in bytes with the unit people use: `812 B`, `4.0 KiB`, `1.2 MiB`."""
    if not isinstance(count, int):
        return ""
    if count < 1024:
        return f"{count} B"
    if count < 1024 * 1024:
        return f"{count / 1024:.1f} KiB"
    if count < 1024**3:
        return f"{count / 1024**2:.1f} MiB"
    return f"{count / 1024**3:.1f} GiB"


def flat(value: object) -> list[tuple[str, str]]:
    """Nested JSON as (path, text), in order."""
    return list(flatten(value).items()) if value else []


def moment_of(time_ms: int) -> str:
    """RFC 3339 of UTC milliseconds."""
    return text_of_time(time_ms)


def visible(text: object) -> str:
    """Somebody else's text with every control or direction character as an escape."""
    return "".join(c if c.isprintable() else f"\\u{ord(c):04x}" for c in str(text))


def quoted(text: str) -> str:
    """A word as a shell takes it."""
    return shlex.quote(text)


def step_name(step: str) -> str:
    """A step's id without its number."""
    return _STEP_NUMBER.sub("", step, count=1)


class Share(NamedTuple):
    """One part of a bar. `offset` and `width` are percent with two digits, `tone` a style class."""

    label: str
    devices: int
    offset: str
    width: str
    tone: str


def shares(parts: Iterable[tuple[str, int, str]], total: int) -> list[Share]:
    """Parts of a whole (label, count, tone) as a bar that adds up to at most 100 %."""
    found, before = [], 0
    whole = max(total, 1)
    for label, count, name in parts:
        if count <= 0:
            continue
        offset, width = before * 100 / whole, count * 100 / whole
        found.append(Share(label, count, f"{offset:.2f}%", f"{width:.2f}%", name))
        before += count
    return found


def firmware_bar(counts: Mapping[str, Any], devices: int) -> list[Share]:
    """Devices by verified firmware; those that have not reported come last."""
    known = [(version, int(count)) for version, count in sorted(counts.items(), reverse=True)]
    parts = [(v, c, f"share-{i % _SHARES + 1}") for i, (v, c) in enumerate(known)]
    rest = devices - sum(count for _, count in known)
    return shares([*parts, ("not reported yet", rest, "share-rest")], devices)


class WaveBar(NamedTuple):
    """One wave: its share of the fleet, its devices by state, and the thresholds it is held to.

    `threshold` is where enough have succeeded, from the left; `limit` where too many have failed,
    from the right: both as places on the bar.
    """

    title: str
    total: int
    verified: int
    errors: int
    parts: list[Share]
    threshold: str
    limit: str
    done: str
    passes: str
    stops: str


_WAVE_TONES = (
    ("verified", "tone-ok"),
    ("downloaded", "tone-ok"),
    ("returned", "tone-wait"),
    ("reported", "tone-run"),
    ("installing", "tone-run"),
    ("downloading", "tone-run"),
    ("offered", "tone-idle"),
    ("assigned", "tone-idle"),
    ("unknown", "tone-idle"),
    ("silent", "tone-rest"),
    ("failed", "tone-bad"),
    ("timed_out", "tone-bad"),
)


def wave_bars(counters: Mapping[str, Any], policy: Mapping[str, Any]) -> list[WaveBar]:
    """The waves of a rollout in order, also those that have not begun."""
    percents = list(policy.get("waves", ())) if policy else []
    names = [str(n) for n in range(len(percents))]
    names += [name for name in counters if name not in names]
    return [_wave(name, counters.get(name, {}), policy, percents) for name in names]


_TITLES = {"return": "Return to the earlier release", "newcomers": "Came after the last wave"}


def _wave(
    name: str, counts: Mapping[str, int], policy: Mapping[str, Any], percents: Sequence[int]
) -> WaveBar:
    number = int(name) if name.isdigit() else -1
    share = f", up to {percents[number]} % of devices" if 0 <= number < len(percents) else ""
    total = sum(counts.values())
    parts = [(s.replace("_", " "), int(counts.get(s, 0)), t) for s, t in _WAVE_TONES]
    done = "downloaded" if policy.get("urgency") == "download-only" else "verified"
    success, held = int(policy.get("success_percent", 100)), number >= 0
    limited = held or name == "newcomers"
    return WaveBar(
        title=f"Wave {number + 1}{share}" if held else _TITLES.get(name, name),
        total=total,
        verified=int(counts.get("returned" if name == "return" else done, 0)),
        errors=sum(int(counts.get(state, 0)) for state in ("failed", "timed_out", "silent")),
        parts=shares(parts, total),
        threshold=f"{success}%" if held else "",
        limit=f"{100 - _limit(policy, total):g}%" if limited else "",
        done="back" if name == "return" else done,
        passes=f"passes at {success} % {done}" if held else "",
        stops=_stops(policy) if limited else "",
    )


def _limit(policy: Mapping[str, Any], total: int) -> float:
    """The share of a wave, in percent, that may fail before it stops."""
    percent, count = float(policy.get("error_percent", 10)), int(policy.get("error_count", 0))
    return min(percent, round(count * 100 / total, 2)) if count and total else percent


def _stops(policy: Mapping[str, Any]) -> str:
    percent, count = int(policy.get("error_percent", 10)), int(policy.get("error_count", 0))
    sample = int(policy.get("minimum_sample", 1))
    also = f", or at {count}" if count else ""
    return f"stops above {percent} % errors of those that ended{also}, once {sample} ended"


_HOLDS = {
    "window": "Maintenance window",
    "retry": "Back-off",
    "paused": "Paused",
    "turn": "Its turn",
    "soak": "Soak",
    "start": "Start",
}


def hold(reason: str) -> str:
    """What holds devices, as a title."""
    return _HOLDS.get(reason, reason)


def verdict_sentence(verdict: Mapping[str, Any], steps: Sequence[Mapping[str, Any]]) -> str:
    """The rollback verdict as one plain sentence."""
    said = {str(s["id"]): str(s.get("summary") or s["id"]) for s in steps}
    last = str(verdict.get("last_reversible_step", ""))
    first = str(verdict.get("first_irreversible_step", ""))
    why = str(verdict.get("why", "")) or "no reason is recorded"
    if verdict.get("reversible"):
        return "Every step can be undone, the last one too."
    if last:
        return f"It can be undone up to step {last}; not after {first} ({said[first]}): {why}."
    return f"It cannot be undone: {why}."


def plural(count: int, noun: str, many: str = "") -> str:
    """`1 device`, `3 devices`."""
    return f"{count} {noun if count == 1 else many or noun + 's'}"
