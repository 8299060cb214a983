"""What a device is offered: the words that pass between the device desk and a device's protocol.

Does not: decide or store. Digests of an image are lower-case hex without a prefix, as clients
expect them; `digest` is the blob's address.
"""

from __future__ import annotations

import msgspec

from surefoot.trust.digest import Digest

ACTION_MAX = 2**31 - 1
DEVICE_LENGTH_MAX = 256
ATTRIBUTES_MAX = 100
ATTRIBUTE_LENGTH_MAX = 128


class Firmware(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """A firmware image as clients need it described, and whom it is for.

    `from_version` is the lowest version it installs over; `through`: devices below it take it
    before any later one; `attribute` tells this part's version, empty: the usual names.
    """

    digest: Digest
    name: str
    version: str
    file: str
    size_bytes: int
    sha1: str
    md5: str
    hardware: tuple[str, ...] = ()
    from_version: str = ""
    through: bool = False
    attribute: str = ""

    @property
    def sha256(self) -> str:
        """64 hex digits."""
        return self.digest.removeprefix("sha256:")


class Poll(msgspec.Struct, frozen=True, kw_only=True, gc=False):
    """What a device hears when it asks: how long to sleep, and at most one thing to do.

    `change` is a signed number of 32 bits that differs when the offer's content does; 0: none.
    """

    sleep_seconds: int
    action: int = 0
    cancel: int = 0
    confirm: int = 0
    installed: int = 0
    change: int = 0
    wants_attributes: bool = False


class Offer(msgspec.Struct, frozen=True, kw_only=True):
    """An action with its image, and the newest messages about it when asked for.

    Not `forced`: the device may choose its time. `download_only`: it fetches and holds the image.
    """

    action: int
    state: str
    firmware: Firmware
    messages: tuple[str, ...] = ()
    part: str = "bApp"
    forced: bool = True
    download_only: bool = False


class AutoConfirm(msgspec.Struct, frozen=True, kw_only=True):
    """The device's user wants every action confirmed by itself, and who says so."""

    initiator: str = ""
    remark: str = ""
    activated_ms: int = 0


class Image(msgspec.Struct, frozen=True, kw_only=True):
    """An image's file on this machine, already checked against its digest."""

    path: str
    firmware: Firmware
