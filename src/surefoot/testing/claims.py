"""Claims of one's own for tests of targets: a log's key, and tokens that prove what they carry.

The tree holds the claim at the fence's place and the same leaf everywhere before it, so that a
fence of any size is cheap. Does not: keep a journal; nothing is remembered but the key.
"""

from __future__ import annotations

import msgspec

from surefoot.core.interlock import Interlock
from surefoot.core.target import Plain, Step, Token
from surefoot.trust import merkle
from surefoot.trust.digest import digest_of
from surefoot.trust.entry import Actor, Entry, build
from surefoot.trust.intent import KIND, Intent
from surefoot.trust.note import Checkpoint, SignerKey

_NAME = "surefoot.example/claims"
_SEED = b"\x07" * 32


class Claims:
    """Claims in one environment, signed by a log whose key is known to everybody."""

    def __init__(self, environment: str = "test", signer: SignerKey | None = None) -> None:
        self.environment = environment
        self.signer = signer or SignerKey(_NAME, _SEED)

    def interlock(self) -> Interlock:
        """What a target of this environment is made with."""
        return Interlock(self.environment, (self.signer.verifier,))

    def token(self, step: Step, operation: str, fence: int) -> Token:
        """The right to do this step; `operation` begins with the deployment's number."""
        entry = self.claim(step, int(operation.partition("/")[0]), fence)
        return Token(operation=operation, fence=fence, intent=self.proof(entry, fence))

    def claim(self, step: Step, deployment: int, index: int, changes: Plain | None = None) -> bytes:
        """The bytes of a claim of this step at this place, with some of its body changed."""
        body: Plain = {
            "deployment": deployment,
            "environment": self.environment,
            "step": step.id,
            "worker": "w",
            "act": step.digest(),
        }
        entry = Entry(
            index=index,
            kind=KIND,
            stream=f"deployment/{deployment}",
            n=0,
            prev=None,
            time_ms=1_790_000_000_000,
            actor=Actor(type="machine", id="engine-w", auth="process"),
            request="claim",
            body={**body, **(changes or {})},
            state=digest_of(b"state"),
            state_schema=1,
        )
        return build(entry)

    def proof(self, entry: bytes, index: int) -> Intent:
        """The entry as the last leaf of a signed tree of `index + 1` leaves."""
        path, root = [], merkle.leaf_hash(entry)
        perfect, rest = merkle.leaf_hash(b"other"), index
        while rest:
            if rest & 1:
                path.append(perfect)
                root = merkle.node_hash(perfect, root)
            perfect, rest = merkle.node_hash(perfect, perfect), rest >> 1
        tree = Checkpoint(origin=self.signer.verifier.name, size=index + 1, root=root)
        return Intent(
            entry=entry, index=index, path=tuple(path), checkpoint=self.signer.sign(tree.text())
        )


def without(token: Token) -> Token:
    """The same right, unproved."""
    return msgspec.structs.replace(token, intent=None)
