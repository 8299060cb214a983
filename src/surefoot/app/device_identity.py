"""Operations on who may speak as a device: tokens, gateways, standings, profiles.

Keeps: each is a fact before it is done, so that nobody is let in or kept out unseen; a new token is
told once, in the answer, and kept as its hash. A repeat after a crash does the rest.
"""

from __future__ import annotations

import hashlib
from typing import Annotated, Literal

import msgspec

from surefoot.app import device_permit as permit
from surefoot.app.facade import App
from surefoot.app.operation import Arguments, Request, operation
from surefoot.core import facts as f
from surefoot.core.enrolment import Verdict, judged, shown
from surefoot.core.errors import Refused
from surefoot.core.profile import ProfileName
from surefoot.core.target import Plain
from surefoot.store.device import DeviceSummary

_TOKEN_BYTES = 24
_DeviceText = Annotated[str, msgspec.Meta(min_length=1, max_length=256)]


class OneDevice(Arguments, frozen=True, kw_only=True):
    name: str
    id: _DeviceText


class GatewayArguments(Arguments, frozen=True, kw_only=True):
    name: str
    off: bool = False


class ProfileArguments(Arguments, frozen=True, kw_only=True):
    name: str
    id: _DeviceText
    profile: ProfileName | Literal["learn"]


@operation("device rotate-token", "POST", "/environments/{name}/devices/{id}/token", OneDevice)
def rotate_token(app: App, request: Request, arguments: OneDevice) -> Plain:
    """Give a device a new token, told once; the old one is refused from then on."""
    _found(app, request, arguments)
    token = app.clock.token(_TOKEN_BYTES).hex()
    fact = f.DeviceTokenRotated(environment=arguments.name, device=arguments.id)
    permit.record(app, request, fact)
    app.fleet.set_token(arguments.name, arguments.id, _hash(token))
    return {"environment": arguments.name, "device": arguments.id, "token": token}


@operation("device accept", "POST", "/environments/{name}/devices/{id}/accept", OneDevice)
def accept(app: App, request: Request, arguments: OneDevice) -> Plain:
    """Let a device in that is pending, rejected or revoked."""
    return _judge(app, request, arguments, "accept")


@operation("device reject", "POST", "/environments/{name}/devices/{id}/reject", OneDevice)
def reject(app: App, request: Request, arguments: OneDevice) -> Plain:
    """Keep a pending device out; it hears that there is nothing to do."""
    return _judge(app, request, arguments, "reject")


@operation("device revoke", "POST", "/environments/{name}/devices/{id}/revoke", OneDevice)
def revoke(app: App, request: Request, arguments: OneDevice) -> Plain:
    """Refuse a device's token from now on, and end what it was to do."""
    return _judge(app, request, arguments, "revoke")


def _judge(app: App, request: Request, arguments: OneDevice, verdict: Verdict) -> Plain:
    found = _found(app, request, arguments)
    try:
        standing = judged(arguments.id, verdict, found.standing)
    except Refused as refused:
        app.note_refusal(request, refused)
        raise
    fact = f.DeviceStandingSet(
        environment=arguments.name,
        device=arguments.id,
        standing=shown(standing),
        before=shown(found.standing),
    )
    permit.record(app, request, fact)
    app.identities.set_standing(arguments.name, arguments.id, standing, request.asker.id)
    return {"environment": arguments.name, "device": arguments.id, "standing": shown(standing)}


@operation("device gateway-token", "POST", "/environments/{name}/gateway-token", GatewayArguments)
def gateway_token(app: App, request: Request, arguments: GatewayArguments) -> Plain:
    """Let unknown devices knock with a new gateway token, told once; or, with off, none."""
    permit.check(app, request, arguments.name)
    token = "" if arguments.off else app.clock.token(_TOKEN_BYTES).hex()
    permit.record(app, request, f.GatewayTokenSet(environment=arguments.name, active=bool(token)))
    app.identities.set_gateway(arguments.name, _hash(token) if token else b"")
    return {"environment": arguments.name, **({"token": token} if token else {"active": False})}


@operation(
    "device set-profile", "PUT", "/environments/{name}/devices/{id}/profile", ProfileArguments
)
def set_profile(app: App, request: Request, arguments: ProfileArguments) -> Plain:
    """Say which client a device runs, or let it be learned again."""
    _found(app, request, arguments)
    profile = "" if arguments.profile == "learn" else arguments.profile
    fact = f.DeviceProfileSet(environment=arguments.name, device=arguments.id, profile=profile)
    permit.record(app, request, fact)
    app.identities.set_profile(arguments.name, arguments.id, profile)
    return {"environment": arguments.name, "device": arguments.id, "profile": arguments.profile}


def _found(app: App, request: Request, arguments: OneDevice | ProfileArguments) -> DeviceSummary:
    permit.check(app, request, arguments.name)
    found = app.fleet.find(arguments.name, arguments.id)
    if found is None:
        raise permit.unknown(arguments.name, arguments.id)
    return found


def _hash(token: str) -> bytes:
    return hashlib.sha256(token.encode()).digest()
