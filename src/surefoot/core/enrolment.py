"""Who of the devices is let in: standings, one-time codes, and what changes them.

Keeps: a device that is pending, rejected or revoked is offered nothing and none of its reports
counts; every change says what it was before. A code has 100 bits, lets one device in, once, until
it expires, and is void after five uses that did not fit. A repeat within ten minutes, with the same
words of the device's own, is the same use: an answer that was lost is given again.
Does not: keep tokens or codes, or read time.
"""

from __future__ import annotations

import hashlib
import hmac
from collections.abc import Sequence
from typing import Annotated, Literal

import msgspec

from surefoot.core.device import Standing
from surefoot.core.errors import Refused

Verdict = Literal["accept", "reject", "revoke"]

PENDING_MAX = 10_000
CODES_MAX = 1_000
TRIES_MAX = 5
AGAIN_MS = 600_000
CODE_BYTES = 13
_FROM: dict[str, tuple[str, ...]] = {
    "accept": ("pending", "rejected", "revoked"),
    "reject": ("pending",),
    "revoke": ("", "pending", "rejected"),
}
_TO: dict[str, Standing] = {"accept": "", "reject": "rejected", "revoke": "revoked"}

# Without I, L, O and U: what is read from a label is not mistaken for a digit.
_LETTERS = "0123456789ABCDEFGHJKMNPQRSTVWXYZ"
_LIKE = str.maketrans("OIL", "011", "- ")
_CODE_LETTERS = 20
_TYPED_MAX = 40
_CODE_DOMAIN = b"surefoot enrolment code\0"


class Code(msgspec.Struct, frozen=True, kw_only=True):
    """A code as it is kept. `used_by` is the device that it let in, `number` that device's own.

    `hardware` and `device` bind it, when they are not empty; `tries` did not fit.
    """

    environment: str
    hardware: str
    device: str
    expires_ms: int
    tries: int = 0
    withdrawn: bool = False
    used_by: str = ""
    used_ms: int = 0
    token_hash: bytes = b""
    number: int = 0


class Knock(msgspec.Struct, frozen=True, kw_only=True):
    """What a device says with a code. `token_hash` is that of the token it would get."""

    device: str
    hardware: str = ""
    token_hash: bytes
    repeatable: bool = False


class Told(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """What a device says to be enrolled; `retry` is its own text, by which it may repeat this."""

    device: Annotated[str, msgspec.Meta(min_length=1, max_length=256)]
    code: Annotated[str, msgspec.Meta(min_length=1, max_length=64)]
    hardware: Annotated[str, msgspec.Meta(max_length=64, pattern=r"^[ -~]*\Z")] = ""
    retry: Annotated[str, msgspec.Meta(max_length=128, pattern=r"^([!-~]{16,})?\Z")] = ""


class Admitted(msgspec.Struct, frozen=True, kw_only=True):
    """The device is in; the token is told here alone."""

    environment: str
    device: str
    token: str


Use = Literal["first", "again", "void", "other"]


def code_text(random: bytes) -> str:
    """A code of 13 unpredictable bytes as people type it: four groups of five letters."""
    number = int.from_bytes(random, "big")
    letters = [_LETTERS[number >> 5 * place & 31] for place in range(_CODE_LETTERS)]
    return "-".join("".join(letters[at : at + 5]) for at in range(0, _CODE_LETTERS, 5))


def code_hash(typed: str) -> bytes | None:
    """The SHA-256 a code is kept by, however it was typed; None for what is no code."""
    plain = typed[: _TYPED_MAX + 1].upper().translate(_LIKE)
    fine = len(typed) <= _TYPED_MAX and len(plain) == _CODE_LETTERS and set(plain) <= {*_LETTERS}
    return hashlib.sha256(_CODE_DOMAIN + plain.encode()).digest() if fine else None


def code_name(kept: bytes) -> str:
    """What a code is called in facts and lists, which give nothing of it away."""
    return hashlib.sha256(kept).hexdigest()[:12]


def use_of(code: Code, knock: Knock, now_ms: int, number: int) -> Use:
    """What a device that knocks with the code makes of it; `number` is the device's own, 0: new.

    A code made for one device lets it in again with a new token, so that it can be set up anew.
    """
    if code.used_ms:
        same = hmac.compare_digest(code.token_hash, knock.token_hash)
        fine = same and code.used_by == knock.device and code.number == number
        return "again" if fine and knock.repeatable and _soon(code, now_ms) else "void"
    if code.withdrawn or code.tries >= TRIES_MAX or now_ms >= code.expires_ms:
        return "void"
    if code.device not in ("", knock.device):
        return "other"
    if code.hardware and knock.hardware not in ("", code.hardware):
        return "other"
    return "first" if not number or code.device else "other"


def _soon(code: Code, now_ms: int) -> bool:
    return code.used_ms <= now_ms < code.used_ms + AGAIN_MS and not code.withdrawn


def token_for(secret: bytes, kept: bytes, words: Sequence[str]) -> str:
    """The token that a code gives: the same for the same words, and nobody's guess without the
    installation's secret."""
    content = kept + b"".join(len(w.encode()).to_bytes(4, "big") + w.encode() for w in words)
    derived = hmac.new(secret, b"surefoot device token\0" + content, hashlib.sha256)
    return derived.hexdigest()[:48]


def judged(device: str, verdict: Verdict, standing: str) -> Standing:
    """The device's standing after a person's verdict. Raises `Refused` when it does not apply."""
    if standing not in _FROM[verdict]:
        names = " or ".join(shown(each) for each in _FROM[verdict])
        raise Refused(
            "device.standing.moved",
            f"device {device[:80]}",
            expected=f"one that is {names}, to {verdict} it",
            found=shown(standing),
            remedy="look again with: surefoot device show",
        )
    return _TO[verdict]


def shown(standing: str) -> str:
    """The standing as people read it."""
    return standing or "accepted"
