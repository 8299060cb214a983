"""The interlock of an actor: no act without the proof of its own claim.

Keeps: the log's keys are pinned when the actor is made, and an actor has one environment; without
a proof of exactly this step, under exactly this fence, nothing is touched.
Does not: fence; receipts do, afterwards. Source: docs/decisions (log before act).
"""

from __future__ import annotations

import re
from collections.abc import Sequence

import msgspec

from surefoot.core.errors import Corrupt, Refused, SurefootError
from surefoot.core.target import Step, Token
from surefoot.trust.canonical import NotCanonical
from surefoot.trust.intent import Act, Intent, NotIntended, verify_intent
from surefoot.trust.note import VerifierKey

_OPERATION = re.compile(r"([1-9][0-9]{0,14})/.{1,200}")


class Claimed(msgspec.Struct, frozen=True, kw_only=True):
    """A step with the proof of its claim, as it is kept for an actor who acts later."""

    step: Step
    intent: Intent


def encode_claimed(step: Step, token: Token) -> bytes:
    """A checked step and its proof, for `decode_claimed`; empty without a proof."""
    if token.intent is None:
        return b""
    return msgspec.json.encode(Claimed(step=step, intent=token.intent))


def decode_claimed(content: bytes) -> Claimed:
    """What was kept. Raises `ValueError` for anything else."""
    return msgspec.json.decode(content, type=Claimed)


class Interlock:
    """What an actor of one environment asks before each act. `keys` are the log's, parsed."""

    def __init__(self, environment: str, keys: Sequence[VerifierKey]) -> None:
        self._environment = environment
        self._keys = tuple(keys)

    def check(self, step: Step, token: Token) -> None:
        """Return when the token proves the claim of this step, under its own fence.

        Raises `Refused("target.intent.missing")`, `Refused("target.intent.differs")`,
        `Corrupt("target.intent.unproved")`.
        """
        subject = f"operation {token.operation[:120]}"
        if token.intent is None:
            raise _refused("target.intent.missing", subject, "a proof of the claim", "none")
        if token.intent.index != token.fence:
            found = f"a proof of entry {token.intent.index}"
            raise _other(subject, f"a proof of entry {token.fence}", found)
        operation = _OPERATION.fullmatch(token.operation)
        if operation is None:
            raise _other(subject, "an operation deployment/step", "another form")
        self.verify(step, token.intent, int(operation[1]), subject)

    def verify(self, step: Step, intent: Intent, deployment: int, subject: str) -> None:
        """Return when the intent is the claim of this step. Raises as `check` does."""
        try:
            digest = step.digest()
        except NotCanonical as error:
            raise _other(subject, "a step that a claim can name", str(error)) from None
        act = Act(environment=self._environment, deployment=deployment, digest=digest)
        try:
            verify_intent(intent, self._keys, act)
        except NotIntended as error:
            if error.proved:
                raise _other(subject, error.expected, error.found) from None
            raise _unproved(subject, error) from None


def _other(subject: str, expected: str, found: str) -> SurefootError:
    return _refused("target.intent.differs", subject, expected, found)


def _refused(code: str, subject: str, expected: str, found: str) -> SurefootError:
    return Refused(
        code,
        subject,
        expected=expected,
        found=found,
        remedy="nothing was touched: let the engine claim the step, then act under that claim",
    )


def _unproved(subject: str, error: NotIntended) -> SurefootError:
    return Corrupt(
        "target.intent.unproved",
        subject,
        expected=error.expected,
        found=error.found,
        remedy="nothing was touched: run journal verify, and compare the log's key with the pinned",
    )
