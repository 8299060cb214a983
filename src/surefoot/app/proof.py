"""Operations that hand out proofs: bundles that a stranger verifies with the log's key alone."""

from __future__ import annotations

from typing import Annotated

import msgspec

from surefoot.app.evidence import led_to
from surefoot.app.facade import App
from surefoot.app.moment import parse_moment
from surefoot.app.operation import Arguments, Request, operation
from surefoot.core import release as releases
from surefoot.core.errors import Refused
from surefoot.core.offer import DEVICE_LENGTH_MAX
from surefoot.core.policy import check_name
from surefoot.core.target import Plain
from surefoot.trust.entry import text_of_time


class ProveArguments(Arguments, frozen=True, kw_only=True):
    name: str
    at: str = ""
    evidence: bool = False


class EntryProofArguments(Arguments, frozen=True, kw_only=True):
    index: Annotated[int, msgspec.Meta(ge=0)]


class DeviceProofArguments(Arguments, frozen=True, kw_only=True):
    name: str
    id: Annotated[str, msgspec.Meta(min_length=1, max_length=DEVICE_LENGTH_MAX)]
    at: str = ""


class NeverArguments(Arguments, frozen=True, kw_only=True):
    version: str
    name: str
    from_: str = msgspec.field(name="from")
    until: str = ""


@operation("journal prove", "GET", "/environments/{name}/proof", ProveArguments)
def prove(app: App, request: Request, arguments: ProveArguments) -> Plain:
    """A portable proof of what an environment was at a time; with evidence of what led there."""
    check_name(arguments.name, "environment")
    beside = (lambda state: led_to(app, state)) if arguments.evidence else None
    return _answer(app.prover.state(f"env/{arguments.name}", _past(app, arguments.at), beside))


@operation(
    "journal prove-entry",
    "GET",
    "/journal/{index}/proof",
    EntryProofArguments,
    timeless="an entry is the same at all times",
)
def prove_entry(app: App, request: Request, arguments: EntryProofArguments) -> Plain:
    """The proof of one entry as C2SP text (tlog-proof), for any reader of transparency logs."""
    content = app.prover.entry(arguments.index)
    return {"proof": content.decode(), "bytes": len(content)}


@operation(
    "release never",
    "GET",
    "/environments/{name}/proof/never",
    NeverArguments,
    timeless="it has two times of its own, from and until",
)
def never(app: App, request: Request, arguments: NeverArguments) -> Plain:
    """A portable proof that a release was never in an environment between two times."""
    check_name(arguments.name, "environment")
    release = app.read(lambda w: releases.find(w, arguments.version).digest)
    start, end = _past(app, arguments.from_), _past(app, arguments.until)
    return _answer(app.prover.never(f"env/{arguments.name}", start, end, release))


@operation("device prove", "GET", "/environments/{name}/devices/{id}/proof", DeviceProofArguments)
def prove_device(app: App, request: Request, arguments: DeviceProofArguments) -> Plain:
    """A portable proof of what a device had last reported at a time, and of no later report."""
    check_name(arguments.name, "environment")
    moment = _past(app, arguments.at)
    return _answer(app.device_prover.prove(arguments.name, arguments.id, moment))


def _answer(bundle: bytes) -> Plain:
    """The bundle as one text: its bytes are what is verified."""
    return {"bundle": bundle.decode(), "bytes": len(bundle)}


def _past(app: App, text: str) -> int:
    """A moment that has been; now when none is named. Raises `Refused("proof.time.input")`."""
    now = app.clock.now_ms()
    moment = parse_moment(text) if text else now
    if moment > now:
        raise Refused(
            "proof.time.input",
            f"proof at {text[:40]}",
            expected=f"a time up to {text_of_time(now)}",
            found=text[:40],
            remedy="nothing is proved about the future",
        )
    return moment
