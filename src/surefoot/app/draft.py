"""What is made from a commit before anybody has signed it: a definition, a draft of a release."""

from __future__ import annotations

import msgspec

from surefoot.core import facts as f
from surefoot.trust.digest import Digest


class Source(msgspec.Struct, frozen=True, kw_only=True):
    """A definition as it stands in a signed commit, and the people who changed it."""

    commit: str
    content: bytes
    authors: tuple[str, ...]


class Draft(msgspec.Struct, frozen=True, kw_only=True):
    """A manifest that waits for its cutter's signature, with the judgement of its gates."""

    manifest: bytes
    gates: tuple[f.GateResult, ...]
    evidence: tuple[Digest, ...]
