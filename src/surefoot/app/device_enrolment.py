"""Operations on one-time codes, with which a device that nobody listed gets a token of its own.

Keeps: codes are told once, in the answer that made them; the journal and the lists have names of
them, which give nothing away. Codes are facts before they let anybody in.
"""

from __future__ import annotations

from typing import Annotated

import msgspec

from surefoot.app import device_permit as permit
from surefoot.app.facade import App
from surefoot.app.moment import shown
from surefoot.app.operation import Arguments, Request, operation
from surefoot.core import environment as environments
from surefoot.core import facts_enrolment as fe
from surefoot.core import policy
from surefoot.core.enrolment import (
    CODE_BYTES,
    CODES_MAX,
    TRIES_MAX,
    Code,
    code_hash,
    code_name,
    code_text,
)
from surefoot.core.errors import Refused
from surefoot.core.target import Plain
from surefoot.store.device_new import checked_name
from surefoot.store.enrolment_codes import CodeSummary

_HOUR_MS = 3_600_000
_HOURS_MAX = 24 * 366


class CodeArguments(Arguments, frozen=True, kw_only=True):
    name: str
    count: Annotated[int, msgspec.Meta(ge=1, le=CODES_MAX)] = 1
    hours: Annotated[int, msgspec.Meta(ge=1, le=_HOURS_MAX)] = 24
    hardware: Annotated[str, msgspec.Meta(max_length=64, pattern=r"^[ -~]*\Z")] = ""
    device: Annotated[str, msgspec.Meta(max_length=256)] = ""


class CodesArguments(Arguments, frozen=True, kw_only=True):
    name: str
    after: str = ""
    limit: Annotated[int, msgspec.Meta(ge=1, le=1000)] = 100


class WithdrawArguments(Arguments, frozen=True, kw_only=True):
    name: str
    code: Annotated[str, msgspec.Meta(max_length=64)] = ""


@operation("device code", "POST", "/environments/{name}/codes", CodeArguments)
def make_codes(app: App, request: Request, arguments: CodeArguments) -> Plain:
    """Make one-time codes, told once; each lets one device in until it expires."""
    permit.check(app, request, arguments.name)
    if arguments.device and arguments.count > 1:
        raise Refused(
            "device.code.input",
            f"codes for device {arguments.device[:60]}",
            expected="one code for one device",
            found=f"{arguments.count}",
            remedy="leave out the count, or the device",
        )
    if arguments.device:
        checked_name(arguments.device)
    app.codes.check_room(arguments.name, arguments.count)
    texts = [code_text(app.clock.token(CODE_BYTES)) for _ in range(arguments.count)]
    kept = [each for each in map(code_hash, texts) if each is not None]
    code = Code(
        environment=arguments.name,
        hardware=arguments.hardware,
        device=arguments.device,
        expires_ms=app.clock.now_ms() + arguments.hours * _HOUR_MS,
    )
    fact = fe.EnrolmentCodesMade(
        environment=arguments.name,
        codes=tuple(code_name(each) for each in kept),
        expires_ms=code.expires_ms,
        hardware=arguments.hardware,
        device=arguments.device,
    )
    permit.record(app, request, fact)
    app.codes.put(kept, code)
    return {
        "environment": arguments.name,
        "expires_at": shown(code.expires_ms),
        "codes": [{"name": n, "code": t} for n, t in zip(fact.codes, texts, strict=True)],
    }


@operation(
    "device codes",
    "GET",
    "/environments/{name}/codes",
    CodesArguments,
    timeless="who made codes is in the journal, who used them in the sealed reports",
)
def list_codes(app: App, request: Request, arguments: CodesArguments) -> Plain:
    """One-time codes by name, never the codes: open, used by whom, expired, withdrawn, void."""
    app.read(lambda w: policy.require(w, request.asker, "device.manage"))
    app.read(lambda w: environments.find(w, arguments.name))
    now = app.clock.now_ms()
    page = app.codes.page(arguments.name, arguments.after, arguments.limit)
    return {"codes": [_row(code, now) for code in page]}


@operation(
    "device withdraw-codes", "POST", "/environments/{name}/codes/withdraw", WithdrawArguments
)
def withdraw_codes(app: App, request: Request, arguments: WithdrawArguments) -> Plain:
    """Refuse codes that nobody used yet: one by its name, or all."""
    permit.check(app, request, arguments.name)
    names = app.codes.open_names(arguments.name)
    if arguments.code and arguments.code not in names:
        raise Refused(
            "device.code.unknown",
            f"code {arguments.code}",
            expected=f"the name of a code of {arguments.name} that still lets a device in",
            found="none of that name",
            remedy=f"see: surefoot device codes {arguments.name}",
        )
    taken = [arguments.code] if arguments.code else names
    for first in range(0, len(taken), CODES_MAX):
        part = tuple(taken[first : first + CODES_MAX])
        permit.record(
            app, request, fe.EnrolmentCodesWithdrawn(environment=arguments.name, codes=part)
        )
        app.codes.withdraw(arguments.name, part)
    return {"environment": arguments.name, "withdrawn": len(taken)}


def _row(code: CodeSummary, now_ms: int) -> Plain:
    return {
        "name": code.name,
        "state": _state(code, now_ms),
        "hardware": code.hardware,
        "device": code.used_by or code.device,
        "tries": code.tries,
        "expires_at": shown(code.expires_ms),
        "used_at": shown(code.used_ms),
    }


def _state(code: CodeSummary, now_ms: int) -> str:
    if code.used_ms:
        return "used"
    if code.withdrawn:
        return "withdrawn"
    if code.tries >= TRIES_MAX:
        return "void"
    return "expired" if now_ms >= code.expires_ms else "open"
