"""New devices: their names, and the rows that are written of them.

Keeps: a device that is there is left as it is; one that is bound to a certificate is so from its
first moment. Does not: commit, or take the registry's lock.
"""

from __future__ import annotations

from collections.abc import Sequence

import msgspec

from surefoot.core.errors import Refused
from surefoot.core.offer import DEVICE_LENGTH_MAX
from surefoot.store.database import Session, Value
from surefoot.store.device_rows import take_numbers


class NewDevice(msgspec.Struct, frozen=True, kw_only=True):
    """A device to admit; `token_hash` is the SHA-256 of its token, 32 bytes.

    `certificate` is the SHA-256 in hex of the only one it speaks with, or empty.
    """

    device: str
    token_hash: bytes
    hardware: str = ""
    certificate: str = ""


def insert_devices(
    session: Session, environment: str, fresh: Sequence[NewDevice], now_ms: int
) -> int:
    """Write the rows of devices that are not there yet; how many are new."""
    first = take_numbers(session, "device", len(fresh)) - len(fresh) + 1
    change = take_numbers(session, "change", 1)
    session.run_many(
        "device.insert_device",
        [
            {
                "number": first + place,
                "environment": environment,
                "device": new.device,
                "hardware": new.hardware,
                "token_hash": new.token_hash,
                "enrolled_ms": now_ms,
                "change": change,
            }
            for place, new in enumerate(fresh)
        ],
    )
    session.run("device.insert_heads", number=first)
    bound: list[dict[str, Value]] = [
        {"number": first + place, "fingerprint": new.certificate}
        for place, new in enumerate(fresh)
        if new.certificate
    ]
    session.run_many("enrolment.bind_new", bound)
    row = session.row("device.count_from", number=first)
    return int(row[0]) if row else 0


def checked_name(device: str) -> str:
    """The device's name itself. Raises `Refused` when it could not be part of a path."""
    plain = device.isprintable() and device.isascii() and not set(device) & set('/\\ ?#%"')
    if not device or len(device) > DEVICE_LENGTH_MAX or not plain or device in (".", ".."):
        raise Refused(
            "device.name.input",
            f"device {device[:40]!r}",
            expected=f"1 to {DEVICE_LENGTH_MAX} printable ASCII characters, no space or / \\ ? # %",
            found=repr(device[:40]),
            remedy="name the device by its serial number or hardware address",
        )
    return device
