"""Facts of how devices come to speak: one-time codes, certificates, who issues those; and tags."""

from __future__ import annotations

from surefoot.core.fact import Fact
from surefoot.trust.digest import Digest


class EnrolmentCodesMade(Fact, frozen=True, kw_only=True):
    """One-time codes were made, each for one device until `expires_ms`; `codes` are their names.

    `device` and `hardware` bind them, when they are not empty. No code is in the fact.
    """

    environment: str
    codes: tuple[str, ...]
    expires_ms: int
    hardware: str = ""
    device: str = ""


class EnrolmentCodesWithdrawn(Fact, frozen=True, kw_only=True):
    """Codes that nobody had used yet are refused from now on."""

    environment: str
    codes: tuple[str, ...]


class DeviceCertificateSet(Fact, frozen=True, kw_only=True):
    """A device speaks with this certificate alone (SHA-256 of its DER); empty: as its issuer
    names it."""

    environment: str
    device: str
    fingerprint: str = ""
    before: str = ""


class DeviceAuthoritiesSet(Fact, frozen=True, kw_only=True):
    """Whose certificates name this environment's devices (SHA-256 of each DER), in place of those
    before; `required`: no device speaks without one."""

    environment: str
    authorities: tuple[str, ...] = ()
    required: bool = False


class DeviceTagsChanged(Fact, frozen=True, kw_only=True):
    """Tags were added to devices and others removed; the list of names is a blob."""

    environment: str
    count: int
    devices: Digest
    add: tuple[str, ...] = ()
    remove: tuple[str, ...] = ()


KINDS = (
    *(EnrolmentCodesMade, EnrolmentCodesWithdrawn, DeviceCertificateSet, DeviceAuthoritiesSet),
    DeviceTagsChanged,
)
