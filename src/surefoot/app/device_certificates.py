"""Operations on client certificates: whose an environment believes, and which one a device has.

Keeps: each is a fact before it is done; a certificate is named by the SHA-256 of its DER.
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
from surefoot.core.errors import Refused
from surefoot.core.target import Plain
from surefoot.trust.certificate import Certificate, parse_der, parse_pem, plain_fingerprint

_ISSUERS_MAX = 10


class CertificateArguments(Arguments, frozen=True, kw_only=True):
    name: str
    id: Annotated[str, msgspec.Meta(min_length=1, max_length=256)]
    certificate: Annotated[str, msgspec.Meta(max_length=16_384)] = ""
    fingerprint: Annotated[str, msgspec.Meta(max_length=128)] = ""
    off: bool = False


class IssuersArguments(Arguments, frozen=True, kw_only=True):
    name: str
    certificates: Annotated[str, msgspec.Meta(max_length=65_536)] = ""
    required: bool = False
    off: bool = False


class NameArguments(Arguments, frozen=True, kw_only=True):
    name: str


@operation(
    "device set-certificate",
    "PUT",
    "/environments/{name}/devices/{id}/certificate",
    CertificateArguments,
)
def set_certificate(app: App, request: Request, arguments: CertificateArguments) -> Plain:
    """Bind a device to one client certificate, in place of any before; or, with off, to none."""
    permit.check(app, request, arguments.name)
    fingerprint = _fingerprint(arguments)
    held = app.certificates.credential(arguments.name, arguments.id)
    if held is None:
        raise permit.unknown(arguments.name, arguments.id)
    fact = fe.DeviceCertificateSet(
        environment=arguments.name, device=arguments.id, fingerprint=fingerprint, before=held[1]
    )
    permit.record(app, request, fact)
    app.certificates.bind(arguments.name, arguments.id, fingerprint)
    return {"environment": arguments.name, "device": arguments.id, "certificate": fingerprint}


def _fingerprint(arguments: CertificateArguments) -> str:
    given = [bool(arguments.certificate), bool(arguments.fingerprint), arguments.off]
    try:
        if sum(given) != 1:
            raise ValueError(f"{sum(given)} of them")
        if arguments.fingerprint:
            return plain_fingerprint(arguments.fingerprint)
        if arguments.certificate:
            return parse_pem(arguments.certificate.encode())[0].fingerprint
    except ValueError as error:
        raise Refused(
            "device.certificate.input",
            f"device {arguments.id[:80]}",
            expected="a certificate in PEM, its SHA-256 in hex, or off",
            found=str(error)[:120],
            remedy="see: surefoot device set-certificate --help",
        ) from None
    return ""


@operation("device set-issuers", "PUT", "/environments/{name}/device-issuers", IssuersArguments)
def set_issuers(app: App, request: Request, arguments: IssuersArguments) -> Plain:
    """Believe client certificates of these issuers alone, in place of any before; off: of none."""
    permit.check(app, request, arguments.name)
    issuers = _issuers(arguments)
    fact = fe.DeviceAuthoritiesSet(
        environment=arguments.name,
        authorities=tuple(each.fingerprint for each in issuers),
        required=arguments.required and bool(issuers),
    )
    permit.record(app, request, fact)
    app.certificates.put_authorities(
        arguments.name, [each.der for each in issuers], required=fact.required
    )
    return {
        "environment": arguments.name,
        "issuers": [*fact.authorities],
        "required": fact.required,
    }


def _issuers(arguments: IssuersArguments) -> list[Certificate]:
    if arguments.off and not arguments.certificates and not arguments.required:
        return []
    try:
        if arguments.off:
            raise ValueError("both")
        found = parse_pem(arguments.certificates.encode())
        if len(found) > _ISSUERS_MAX:
            raise ValueError(f"{len(found)}")
        if not all(each.issues for each in found):
            raise ValueError("one that may not issue others")
    except ValueError as error:
        raise Refused(
            "device.issuer.input",
            f"issuers of {arguments.name}",
            expected=f"1 to {_ISSUERS_MAX} certificates of issuers in PEM, or off",
            found=str(error)[:120],
            remedy="see: surefoot device set-issuers --help",
        ) from None
    return found


@operation(
    "device issuers",
    "GET",
    "/environments/{name}/device-issuers",
    NameArguments,
    timeless="who was believed when is in the journal",
)
def issuers(app: App, request: Request, arguments: NameArguments) -> Plain:
    """Whose client certificates an environment believes, and whether a device needs one."""
    app.read(lambda w: environments.find(w, arguments.name))
    known, certificates = app.certificates.authorities()
    found = known.get(arguments.name.casefold())
    trusted = found.trusted if found else frozenset()
    rows = [parse_der(each) for each in certificates]
    return {
        "required": bool(found and found.required),
        "issuers": [
            {
                "certificate": each.fingerprint,
                "name": ", ".join(each.names),
                "until": shown(each.until_ms),
            }
            for each in rows
            if each.fingerprint in trusted
        ],
    }
