"""Operations on witnesses and anchors: who watches the log, and cosignatures that come as files."""

from __future__ import annotations

from typing import Annotated

import msgspec

from surefoot.app.facade import App
from surefoot.app.moment import shown
from surefoot.app.operation import Arguments, Request, operation
from surefoot.app.root import newest
from surefoot.core import policy
from surefoot.core.errors import Refused
from surefoot.core.target import Plain
from surefoot.journal.cosigning import Standing
from surefoot.trust.canonical import JSON
from surefoot.trust.cosignature import CosignerKey
from surefoot.trust.note import NOTE_BYTES_MAX
from surefoot.trust.root import read_root


class RequestArguments(Arguments, frozen=True, kw_only=True):
    old: Annotated[int, msgspec.Meta(ge=-1, le=2**53 - 1)] = -1


class CosignArguments(Arguments, frozen=True, kw_only=True):
    note: Annotated[str, msgspec.Meta(max_length=NOTE_BYTES_MAX)]


class AnchorArguments(Arguments, frozen=True, kw_only=True):
    pass


def watching(app: App) -> Plain:
    """Witnesses and anchor, as part of what the installation says of itself."""
    answer: Plain = {}
    standings = app.cosigning.standings()
    if standings:
        answer["witnesses"] = [_witness(standing) for standing in standings]
        answer["quorum"] = app.cosigning.policy.quorum
    alarm = app.cosigning.alarm()
    if alarm is not None and app.log.alarm is None:
        answer["witness_alarm"] = dict(alarm.record())
    if app.anchor is not None:
        newest = app.anchor.newest()
        answer["anchor_key"] = app.anchor.key.text()
        answer["anchored"] = {"size": newest[0], "at": shown(newest[1] * 1000)} if newest else {}
    return answer


def _witness(standing: Standing) -> Plain:
    return {
        "name": standing.name,
        "size": standing.size,
        "at": shown(standing.time_s * 1000) if standing.time_s else "",
        "error": str(standing.error) if standing.error else "",
    }


@operation(
    "journal request",
    "GET",
    "/journal/request",
    RequestArguments,
    timeless="it is for what a witness signs next",
)
def request_cosignature(app: App, request: Request, arguments: RequestArguments) -> Plain:
    """What to bring to a witness that no network reaches: the body of add-checkpoint."""
    app.read(lambda w: policy.person_of(w, request.asker))
    asked = app.cosigning.request(arguments.old)
    return {"old": asked.old, "body": asked.body().decode()}


@operation("journal cosign", "POST", "/journal/cosignatures", CosignArguments)
def keep_cosignatures(app: App, request: Request, arguments: CosignArguments) -> Plain:
    """Take a checkpoint that a witness cosigned by file, or an auditor; verified, then stored."""
    app.read(lambda w: policy.person_of(w, request.asker))
    content = newest(app)
    auditors = read_root(content).auditors if content else ()
    keys = [CosignerKey.parse(entry.vkey) for entry in auditors]
    size, found = app.cosigning.keep(arguments.note, keys)
    kept: list[JSON] = [{"name": c.name, "at": shown(c.time_s * 1000)} for c in found]
    return {"size": size, "cosignatures": kept}


@operation("journal anchor", "POST", "/journal/anchor", AnchorArguments)
def anchor(app: App, request: Request, arguments: AnchorArguments) -> Plain:
    """Cosign the newest checkpoint with the log's own post-quantum key, now."""
    app.read(lambda w: policy.person_of(w, request.asker))
    if app.anchor is None:
        raise Refused(
            "journal.anchor.missing",
            "anchor",
            expected="a log made with anchors",
            found="a log without",
            remedy="decide it when an installation is made: surefoot init --anchors",
        )
    size, time_s = app.anchor.cosign()
    return {"size": size, "at": shown(time_s * 1000), "anchor_key": app.anchor.key.text()}
