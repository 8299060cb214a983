"""The contract of a target: something that a deployment changes.

A target observes, plans and applies. `plan` is pure; `apply` is the only thing that changes the
outside world, and before it touches anything it verifies, with the log's keys that it was made
with, that the claim of exactly this step is in a signed checkpoint (`core.interlock`).

Durability: when `apply` returns, its effect and its receipt survive a crash of the machine.
Repeatability: `apply` with an operation already finished answers from the receipt, changing
nothing. After a crash between effect and receipt it looks first and finishes what is missing.
Concurrency: two callers may race; the one with the older fence is refused with
`Refused("target.fence.moved")`, also after the newer one has finished.
Log before act: a token without that proof, or with one of another step, deployment or environment,
is refused with `target.intent.missing` or `target.intent.differs`; a proof that does not verify is
`Corrupt("target.intent.unproved")`. Then nothing has been touched, not even the fence.
Errors: `Refused` for bad input (nothing changed), `Failed` for the outside world; an expected bad
result (a health check that fails) is an `Outcome` with status "failed", not an exception.
Retries: only the engine retries, under the same operation and a newer fence.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import PurePath
from typing import Literal, Protocol

import msgspec

from surefoot.trust import canonical
from surefoot.trust.digest import Digest, digest_of
from surefoot.trust.intent import Intent

Plain = dict[str, canonical.JSON]


class Observation(msgspec.Struct, frozen=True, kw_only=True):
    """What a target looks like now. Only `stable` counts for the digest.

    `stable` maps a path like "service/configuration" to its value in plain canonical JSON;
    `volatile` holds what moves by itself (process ids, counters, device presence).
    """

    target: str
    stable: Plain = {}
    volatile: Plain = {}

    def digest(self) -> Digest:
        """Digest over the target's name and its stable part."""
        return digest_of(canonical.encode({"target": self.target, "stable": self.stable}))


class Token(msgspec.Struct, frozen=True, kw_only=True):
    """Right to act once: `operation` names the act for ever, `fence` grows with every claim.

    The fence is the journal position of the claim; the operation is `deployment/step`. `intent`
    proves the claim to the target, which acts on nothing without it.
    """

    operation: str
    fence: int
    intent: Intent | None = None


class Step(msgspec.Struct, frozen=True, kw_only=True):
    """One planned act on one target. `arguments` is plain canonical JSON: blobs by digest,
    secrets by reference, never a secret's value."""

    id: str
    target: str
    action: str
    component: str = ""
    arguments: Plain = {}
    summary: str = ""
    reversible: bool = True
    why_irreversible: str = ""

    def digest(self) -> Digest:
        """Digest over every field: what a claim names and an actor compares."""
        return digest_of(canonical.encode(msgspec.to_builtins(self)))


class Outcome(msgspec.Struct, frozen=True, kw_only=True):
    """What an act came to. `waiting` means: ask again later, nothing is held meanwhile.

    `figures` is plain JSON (counts, milliseconds); `evidence` are digests of blobs the target put.
    """

    status: Literal["done", "failed", "waiting"]
    reason: str = ""
    figures: Plain = {}
    evidence: tuple[Digest, ...] = ()


class Capabilities(msgspec.Struct, frozen=True, kw_only=True):
    """What a driver can do, for the table of drivers and for the plan's rollback verdict."""

    name: str
    actions: tuple[str, ...]
    needs_network: bool = False
    needs_credential: bool = False
    can_roll_back: bool = False
    can_dry_run: bool = False
    can_extract: bool = False


class Blobs(Protocol):
    """Artifacts by digest, as files on this machine. A target gets one at construction."""

    def path(self, digest: Digest) -> PurePath:
        """Path of the verified file. Raises `Failed` when missing, `Corrupt` when it differs."""

    def put(self, content: bytes) -> Digest:
        """Store durably and return the digest; storing the same twice is harmless."""

    def get(self, digest: Digest) -> bytes:
        """The bytes. Raises `Failed` when missing, `Corrupt` when they differ."""


class Opener(Protocol):
    """Opens secrets for one environment's runner; the value lives only in memory."""

    def open(self, environment: str, name: str, version: int) -> bytes:
        """The secret's value. Raises `Refused` when this runner may not read it."""


class Target(Protocol):
    """A driver bound to one environment."""

    @property
    def capabilities(self) -> Capabilities:
        """Constant for the driver."""

    def observe(self) -> Observation:
        """Look, changing nothing. Raises `Failed` when the outside does not answer."""

    def plan(
        self, desired: Mapping[str, canonical.JSON], observed: Observation
    ) -> tuple[Step, ...]:
        """Steps from observed to desired, in order. Pure: no clock, no I/O, no randomness."""

    def apply(self, step: Step, token: Token) -> Outcome:
        """Act. See the module's contract."""
