"""The enrolment desk: a device with a one-time code gets its own token, once.

Keeps: the token is derived from the code, the device's words and the installation's secret, so that
a repeat after a lost answer tells the same token and nothing has to be kept but its hash; a code
that is unknown, used up, expired or another environment's is one and the same refusal.
Does not: speak HTTP, or count tries by address. Loop-bound; the database is asked in a thread.
"""

from __future__ import annotations

import asyncio
import hashlib
from collections.abc import Callable
from typing import Literal

from surefoot.core.enrolment import Admitted, Knock, Told, code_hash, token_for
from surefoot.store.enrolment_codes import EnrolmentCodes

_ANY = "default"


class EnrolmentDesk:
    """See the module."""

    def __init__(
        self, codes: EnrolmentCodes, secret: bytes, admitted: Callable[[], None] = lambda: None
    ) -> None:
        """`secret` is the same in all processes of an installation; `admitted` follows each use."""
        self._codes = codes
        self._secret = secret
        self._admitted = admitted

    async def enrol(self, environment: str, told: Told) -> Admitted | Literal["void", "other"]:
        """Let the device in. `void`: no such code; `other`: it is not for this device.

        Raises `Refused` for a name outside the form.
        """
        return await asyncio.to_thread(self._enrol, environment, told)

    def _enrol(self, environment: str, told: Told) -> Admitted | Literal["void", "other"]:
        kept = code_hash(told.code)
        code = self._codes.find(kept) if kept is not None else None
        if kept is None or code is None:
            return "void"
        if environment.casefold() not in (code.environment.casefold(), _ANY):
            return "void"
        words = (code.environment, told.device, told.hardware, told.retry)
        token = token_for(self._secret, kept, words)
        knock = Knock(
            device=told.device,
            hardware=told.hardware,
            token_hash=hashlib.sha256(token.encode()).digest(),
            repeatable=bool(told.retry),
        )
        found = self._codes.redeem(kept, knock)
        if found == "void" or found == "other":
            return found
        self._admitted()
        return Admitted(environment=code.environment, device=told.device, token=token)
