"""Operations on an environment's devices."""

from __future__ import annotations

import hashlib
import re
from typing import Annotated

import msgspec

from surefoot.app import device_permit as permit
from surefoot.app.as_of import AsOf
from surefoot.app.device_list import row
from surefoot.app.device_record import show_then
from surefoot.app.facade import App
from surefoot.app.operation import Arguments, Request, operation
from surefoot.app.rollout_holds import hold_of
from surefoot.core import environment as environments
from surefoot.core import facts as f
from surefoot.core.errors import Refused
from surefoot.core.target import Plain
from surefoot.store.device import NewDevice
from surefoot.store.device_identity import CERTIFICATE_ONLY, NO_TOKEN
from surefoot.store.device_new import checked_name
from surefoot.trust import canonical
from surefoot.trust.certificate import plain_fingerprint
from surefoot.trust.digest import Digest

_LOOK_BACK = 100
_TOKEN_HASH = re.compile(r"[0-9a-f]{64}")


class Enrolment(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A device to admit: its id, its hardware, and its token (or the token's SHA-256 in hex).

    With `gateway` it has no token of its own: it comes with the environment's gateway token. With
    `certificate`, the SHA-256 of a client certificate, it speaks with that one alone.
    """

    id: str
    hardware: str = ""
    token: str = ""
    token_hash: str = ""
    gateway: bool = False
    certificate: str = ""


class EnrolArguments(Arguments, frozen=True, kw_only=True):
    name: str
    devices: Annotated[tuple[Enrolment, ...], msgspec.Meta(min_length=1, max_length=10_000)]


class DeviceArguments(Arguments, frozen=True, kw_only=True):
    name: str
    id: str
    before: Annotated[int, msgspec.Meta(ge=1, le=2**53)] = 2**53
    limit: Annotated[int, msgspec.Meta(ge=1, le=1000)] = 100
    at: str = ""


@operation("device enrol", "POST", "/environments/{name}/devices", EnrolArguments)
def enrol(app: App, request: Request, arguments: EnrolArguments) -> Plain:
    """Admit devices; their tokens are kept as hashes."""
    permit.check(app, request, arguments.name)
    asked = {
        checked_name(d.id): NewDevice(
            device=d.id, hardware=d.hardware, token_hash=_hash(d), certificate=_certificate(d)
        )
        for d in arguments.devices
    }
    known = app.tags.of(arguments.name, asked)
    fresh = [device for name, device in asked.items() if name not in known]
    if not fresh:
        return {"environment": arguments.name, "enrolled": 0}
    blob = app.blobs.put(canonical.encode([_listed(device) for device in fresh]))
    # The fact is first; a repeat after a crash in between adds its devices, and tells no other.
    if not _told(app, arguments.name, blob):
        fact = f.DevicesEnrolled(environment=arguments.name, count=len(fresh), devices=blob)
        permit.record(app, request, fact, (blob,))
    return {"environment": arguments.name, "enrolled": app.fleet.enrol(arguments.name, fresh)}


def _told(app: App, environment: str, listed: Digest) -> bool:
    """Whether the newest fact about enrolled devices names this list."""
    for entry in app.log.stream_entries(f"env/{environment}", 0, _LOOK_BACK, newest=True):
        if entry.kind in ("DevicesEnrolled", "EnvironmentDestroyed"):
            return entry.body.get("devices") == listed
    return False


def _listed(device: NewDevice) -> list[canonical.JSON]:
    return [device.device, device.hardware, *([device.certificate] if device.certificate else [])]


def _certificate(device: Enrolment) -> str:
    try:
        return plain_fingerprint(device.certificate) if device.certificate else ""
    except ValueError as error:
        raise Refused(
            "device.certificate.input",
            f"device {device.id[:60]}",
            expected="the SHA-256 of a certificate in hex",
            found=str(error),
            remedy="take it from: openssl x509 -fingerprint -sha256",
        ) from None


def _hash(device: Enrolment) -> bytes:
    if device.certificate and not (device.token or device.token_hash or device.gateway):
        return CERTIFICATE_ONLY
    if device.gateway and not (device.token or device.token_hash):
        return NO_TOKEN
    if device.token and not (device.token_hash or device.gateway):
        return hashlib.sha256(device.token.encode()).digest()
    if device.gateway or device.token or not _TOKEN_HASH.fullmatch(device.token_hash):
        both = device.token or device.gateway
        raise Refused(
            "device.token.input",
            f"device {device.id[:60]}",
            expected="a token, or its SHA-256 as 64 lower-case hex digits, or gateway: true",
            found="two of them" if both else "another form" if device.token_hash else "none",
            remedy="give each device a token of its own",
        )
    return bytes.fromhex(device.token_hash)


@operation("device show", "GET", "/environments/{name}/devices/{id}", DeviceArguments)
def show(app: App, request: Request, arguments: DeviceArguments) -> Plain:
    """A device and its reports, newest first; of a time that has been, those sealed by then."""
    if arguments.at:
        asked, then = arguments, AsOf(app, arguments.at)
        return show_then(app, then, asked.name, asked.id, before=asked.before, limit=asked.limit)
    app.read(lambda w: environments.find(w, arguments.name))
    found = app.fleet.find(arguments.name, arguments.id)
    if found is None:
        raise permit.unknown(arguments.name, arguments.id)
    reports = app.fleet.timeline(arguments.name, arguments.id, arguments.limit, arguments.before)
    held = hold_of(app, arguments.name, found.deployment, found.action) if found.action else {}
    return {
        "device": {**row(found), **({"held": held} if held else {})},
        "reports": [canonical.parse(report) for report in reports],
    }
