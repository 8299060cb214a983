"""What a device's action is, and how reports move it: the only rule that decides what runs where.

Keeps: success told by a client is provisional (`reported`); only attributes that arrive later and
show the version make it `verified`; a skipped update never counts; `closed` with `none` is a
success report; after the end every feedback is `gone`; surplus progress is dropped, a `closed`
never; an accepted cancel says nothing about what runs. Return actions end `returned`, download-only
ones `downloaded`, which is a report and never an installation. An action
that waits for the device's user is not begun, and no report moves it, until the user confirms it.
Does not: store, read time or speak HTTP. Source: hawkBit DDI v1.
"""

from __future__ import annotations

import unicodedata
from collections.abc import Mapping
from typing import Literal, TypeAlias

import msgspec

ActionState = Literal[
    "assigned",
    "offered",
    "downloading",
    "installing",
    "reported",
    "verified",
    "failed",
    "timed_out",
    "returned",
    "unknown",
    "downloaded",
]
Standing = Literal["", "pending", "rejected", "revoked"]
Strength = Literal["", "reported", "attributes", "digest"]
ActionKind = Literal["update", "return", "download"]
Execution = Literal[
    "closed",
    "proceeding",
    "scheduled",
    "resumed",
    "download",
    "downloaded",
    "canceled",
    "rejected",
]
Finished = Literal["success", "failure", "none"]
Answer = Literal["taken", "gone", "not_cancelling", "waiting", "not_waiting"]
Consent = Literal["", "waiting", "denied", "given"]

STATES: tuple[ActionState, ...] = (
    "assigned",
    "offered",
    "downloading",
    "installing",
    "reported",
    "verified",
    "failed",
    "timed_out",
    "returned",
    "unknown",
    "downloaded",
)
OPEN: frozenset[ActionState] = frozenset({"assigned", "offered", "downloading", "installing"})
WAITING: frozenset[Consent] = frozenset({"waiting", "denied"})
PENDING: frozenset[ActionState] = OPEN | {"reported"}
ERRORS: frozenset[ActionState] = frozenset({"failed", "timed_out"})

PROGRESS_MAX = 1000
DETAILS_MAX = 50
DETAIL_LENGTH_MAX = 512
VERSION_NAMES = ("firmware_version", "sw_version", "fw_version", "version")
DIGEST_NAMES = ("firmware_digest", "sw_digest", "fw_digest")

_ORDER: dict[ActionState, int] = {state: rank for rank, state in enumerate(STATES)}
_MOVES_TO: dict[Execution, ActionState] = {
    "proceeding": "installing",
    "scheduled": "installing",
    "resumed": "installing",
    "download": "downloading",
    "downloaded": "downloading",
}


class Action(msgspec.Struct, frozen=True, kw_only=True):
    """One device's task: move to `version`, whose image has `sha256` (64 hex digits).

    `consent` is empty when nobody need be asked; waiting and denied keep the action from beginning.
    One that is `held` waits for its turn likewise.
    `strength` is what speaks for its outcome: a report alone, attributes that came later, or
    attributes with the image's digest.
    """

    state: ActionState
    kind: ActionKind
    version: str
    sha256: str
    cancelling: bool = False
    progress: int = 0
    consent: Consent = ""
    strength: Strength = ""
    held: bool = False


class Opened(msgspec.Struct, frozen=True, tag="opened"):
    """The device read the offer."""


class Fetched(msgspec.Struct, frozen=True, tag="fetched"):
    """The device began to download the image."""


class Feedback(msgspec.Struct, frozen=True, tag="feedback"):
    """What the client says about the action; its own clock is never trusted."""

    execution: Execution
    finished: Finished
    details: tuple[str, ...] = ()


class CancelFeedback(msgspec.Struct, frozen=True, tag="cancel_feedback"):
    """What the client says about a cancel."""

    execution: Execution
    finished: Finished
    details: tuple[str, ...] = ()


class Consented(msgspec.Struct, frozen=True, tag="consented"):
    """The device's user confirmed the action, or denied it for now."""

    given: bool
    details: tuple[str, ...] = ()


class Attributes(msgspec.Struct, frozen=True, tag="attributes"):
    """What the device says it runs: version, and the image's digest when it knows it."""

    version: str
    sha256: str = ""


class CancelAsked(msgspec.Struct, frozen=True, tag="cancel_asked"):
    """The rollout was stopped: withdraw the offer, or ask the device to stop."""


class Superseded(msgspec.Struct, frozen=True, tag="superseded"):
    """Another action takes the device over; 0: the device is removed."""

    by: int


class Expired(msgspec.Struct, frozen=True, tag="expired"):
    """The deadline passed."""


Event: TypeAlias = (
    Opened
    | Fetched
    | Feedback
    | CancelFeedback
    | Consented
    | Attributes
    | CancelAsked
    | Superseded
    | Expired
)


class Move(msgspec.Struct, frozen=True, kw_only=True):
    """What one event does. `keep` asks for a durable row; `ask` wants new attributes.

    An empty `consent` or `strength` leaves it as it is.
    """

    state: ActionState
    reason: str = ""
    answer: Answer = "taken"
    keep: bool = True
    ask: bool = False
    cancelling: bool = False
    consent: Consent = ""
    strength: Strength = ""


_BEGINNINGS = (Opened, Fetched, Feedback, CancelFeedback)


def transition(action: Action, event: Event) -> Move:
    """The effect of one event on an action; total: every event has an answer in every state."""
    if isinstance(event, Consented):
        return _consented(action, event)
    waits = action.held or action.consent in WAITING
    if action.state in OPEN and waits and isinstance(event, _BEGINNINGS):
        return _stay(action, keep=False, answer="waiting")
    if isinstance(event, Feedback):
        return _feedback(action, event)
    if isinstance(event, CancelFeedback):
        return _cancel_feedback(action, event)
    if isinstance(event, Attributes):
        return _attributes(action, event)
    if isinstance(event, Opened):
        return _forward(action, "offered", "the device read the offer")
    if isinstance(event, Fetched):
        return _forward(action, "downloading", "the device began the download")
    return _from_inside(action, event)


def _from_inside(action: Action, event: CancelAsked | Superseded | Expired) -> Move:
    if action.state not in PENDING:
        return _stay(action, keep=False)
    if isinstance(event, Superseded):
        by = f"action {event.by}" if event.by else "the device's removal"
        return Move(state="unknown", reason=f"superseded by {by}")
    if isinstance(event, Expired):
        return Move(state="timed_out", reason=f"no end before the deadline while {action.state}")
    if action.state == "assigned":
        return Move(state="returned", reason="withdrawn before the device began")
    if action.state == "reported":
        return _stay(action, keep=False)
    return Move(state=action.state, reason="the device is asked to cancel", cancelling=True)


def _stay(action: Action, *, keep: bool, answer: Answer = "taken", reason: str = "") -> Move:
    return Move(
        state=action.state,
        reason=reason,
        answer=answer,
        keep=keep,
        cancelling=action.cancelling,
    )


def _consented(action: Action, event: Consented) -> Move:
    if action.state not in OPEN:
        return _stay(action, keep=False, answer="gone")
    if action.consent not in WAITING:
        return _stay(action, keep=False, answer="not_waiting")
    last = event.details[-1] if event.details else ""
    if event.given:
        reason = last or "the device's user confirmed it"
        return Move(state=action.state, reason=reason, consent="given")
    if action.progress >= PROGRESS_MAX:
        return _stay(action, keep=False)
    reason = f"the device's user denied it{f': {last}' if last else ''}"
    return Move(state=action.state, reason=reason, consent="denied")


def _forward(action: Action, state: ActionState, reason: str) -> Move:
    if action.state not in OPEN:
        return _stay(action, keep=False, answer="gone")
    if _ORDER[action.state] >= _ORDER[state]:
        return _stay(action, keep=False)
    return Move(state=state, reason=reason, cancelling=action.cancelling)


def _feedback(action: Action, event: Feedback) -> Move:
    if action.state not in OPEN:
        return _stay(action, keep=False, answer="gone")
    if action.kind == "download" and event.execution in ("closed", "downloaded"):
        return _held(event)
    if event.execution == "closed":
        return _closed(event)
    if action.progress >= PROGRESS_MAX:
        return _stay(action, keep=False)
    reason = event.details[-1] if event.details else event.execution
    wanted = _MOVES_TO.get(event.execution, action.state)
    if action.kind == "download" and wanted == "installing":
        wanted = "downloading"  # nothing is installed, whatever goes on
    state = wanted if _ORDER[wanted] > _ORDER[action.state] else action.state
    return Move(state=state, reason=reason, cancelling=action.cancelling)


def _held(event: Feedback) -> Move:
    """The end of a download-only action: only `downloaded` is one that was asked for."""
    last = event.details[-1] if event.details else ""
    if event.finished == "failure" or _is_skipped(event):
        return _closed(event)
    if event.execution == "downloaded":
        reason = last or "the client reports that it holds the image"
        return Move(state="downloaded", reason=reason, strength="reported")
    reason = "the client closed what it was only to download: what it runs is not known"
    return Move(state="failed", reason=reason, ask=True)


def _is_skipped(event: Feedback) -> bool:
    return any(line.strip().casefold().startswith("skipped update") for line in event.details)


def _closed(event: Feedback) -> Move:
    last = event.details[-1] if event.details else ""
    if event.finished == "failure":
        return Move(state="failed", reason=last or "the client reported a failure", ask=True)
    if _is_skipped(event):
        reason = "the client skipped the update: nothing was installed"
        return Move(state="failed", reason=reason, ask=True)
    reason = last or "the client reported success"
    return Move(state="reported", reason=reason, ask=True, strength="reported")


def _cancel_feedback(action: Action, event: CancelFeedback) -> Move:
    if not action.cancelling or action.state not in OPEN:
        return _stay(action, keep=False, answer="not_cancelling")
    accepted = event.execution == "canceled" or (
        event.execution == "closed" and event.finished != "failure"
    )
    if accepted:
        return Move(state="unknown", reason="cancel accepted; attributes are asked for", ask=True)
    if event.execution in ("rejected", "closed"):
        return Move(state=action.state, reason="the device refused the cancel")
    if action.progress >= PROGRESS_MAX:
        return _stay(action, keep=False)
    return _stay(action, keep=True, reason="still cancelling")


def _attributes(action: Action, event: Attributes) -> Move:
    shown = confirms(action, event)
    if action.state == "reported":
        if not shown:
            reason = f"attributes show {event.version or 'no version'}, not {action.version}"
            return Move(state="reported", reason=reason, keep=False, ask=True)
        state: ActionState = "returned" if action.kind == "return" else "verified"
        reason = f"attributes show {event.version}"
        return Move(state=state, reason=reason, strength="digest" if event.sha256 else "attributes")
    if action.strength == "attributes" and shown and event.sha256:
        return Move(state=action.state, reason="attributes show the digest too", strength="digest")
    if action.kind == "return" and action.state == "failed" and shown:
        # A client may book the failure of the update before on the return that took its place.
        strength: Strength = "digest" if event.sha256 else "attributes"
        return Move(state="returned", reason=f"attributes show {event.version}", strength=strength)
    if action.state == "unknown" and event.version and not shown:
        return Move(state="returned", reason=f"cancelled; attributes show {event.version}")
    return _stay(action, keep=False)


def confirms(action: Action, event: Attributes) -> bool:
    """Whether the attributes show exactly this action's version, and its image when named."""
    return event.version == action.version and event.sha256 in ("", action.sha256)


def attributes_of(attributes: Mapping[str, str], part: str = "") -> Attributes:
    """What a device says it runs, out of all its attributes; empty when it does not say.

    `part` is the attribute that tells a part's version; the one of its digest ends in `_digest`.
    """
    if part:
        digest = attributes.get(digest_name(part), "")
        return Attributes(attributes.get(part, ""), digest.removeprefix("sha256:").lower())
    version = next((attributes[n] for n in VERSION_NAMES if attributes.get(n)), "")
    digest = next((attributes[n] for n in DIGEST_NAMES if attributes.get(n)), "")
    return Attributes(version, digest.removeprefix("sha256:").lower())


def is_version(name: str) -> bool:
    """Whether an attribute of this name tells a version, the device's or a part's."""
    return name in VERSION_NAMES or name.endswith("_version")


def digest_name(part: str) -> str:
    """The attribute that tells the digest of a part's image."""
    return part.removesuffix("_version") + "_digest"


def clean_text(text: str, length_max: int = DETAIL_LENGTH_MAX) -> str:
    """Outside text as one line that canonical JSON can hold: no controls, NFC, bounded."""
    shown = "".join(
        c if unicodedata.category(c) not in ("Cc", "Cs") else " " for c in text[: 4 * length_max]
    )
    return unicodedata.normalize("NFC", shown)[:length_max].strip()


def clean_details(details: object) -> tuple[str, ...]:
    """A client's `details` of any shape as at most 50 clean lines."""
    if isinstance(details, str):
        details = [details]
    if not isinstance(details, list | tuple):
        return ()
    return tuple(clean_text(line) for line in details[:DETAILS_MAX] if isinstance(line, str))
