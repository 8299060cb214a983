"""Who can open an environment's secrets: named age recipients, checked.

Rules: one to twelve, names and keys distinct, X25519 keys only; always in the order of names, so
that the same group is the same text. Does not: say who should be in the group.
"""

from __future__ import annotations

import re
from collections.abc import Sequence

import msgspec
import pyrage

from surefoot.core.errors import Refused
from surefoot.secrets.text import SecretText

RECIPIENTS_MAX = 12
_LABEL = re.compile(r"[A-Za-z0-9][A-Za-z0-9 ._@-]{0,80}")


class Recipient(msgspec.Struct, frozen=True, kw_only=True):
    """Someone who can open an environment's secrets: a name, and an age X25519 public key."""

    name: str
    key: str


def new_identity() -> tuple[SecretText, str]:
    """A fresh age identity and its public key."""
    identity = pyrage.x25519.Identity.generate()
    return SecretText(str(identity)), str(identity.to_public())


def public_of(identity: SecretText) -> str:
    """The public key of an identity."""
    return str(pyrage.x25519.Identity.from_str(identity.reveal().decode()).to_public())


def checked(recipients: Sequence[Recipient]) -> tuple[Recipient, ...]:
    """The group in order. Raises `Refused("secret.recipients.input")`."""
    count = len(recipients)
    trouble = "" if 1 <= count <= RECIPIENTS_MAX else f"{count} recipients"
    if len({r.key for r in recipients}) != count or len({r.name for r in recipients}) != count:
        trouble = "one twice"
    for recipient in recipients:
        try:
            pyrage.x25519.Recipient.from_str(recipient.key)
        except pyrage.RecipientError:
            trouble = "a key that is not age X25519"
        if not _LABEL.fullmatch(recipient.name):
            trouble = "a name with other characters"
    if trouble:
        raise Refused(
            "secret.recipients.input",
            "recipients",
            expected=f"1 to {RECIPIENTS_MAX} distinct names with age public keys",
            found=trouble,
        )
    return tuple(sorted(recipients, key=lambda r: r.name))


def names(recipients: tuple[Recipient, ...]) -> str:
    """The group for a sentence."""
    return ", ".join(r.name for r in recipients)
