"""A data folder's witness policy and its anchor key, and what witnesses are asked at start.

Keeps: `witness.policy` is read at start, and a wrong one refuses the start; a witness that does not
answer stops nothing. Does not: run in the background (`journal.cosigning` does).
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Mapping
from pathlib import Path

from surefoot.core.errors import Refused
from surefoot.journal.witness_client import witness_sizes
from surefoot.store.durable import write_durably
from surefoot.trust.cosignature import ML_DSA_44, CosignerSigner
from surefoot.trust.quorum import POLICY_LENGTH_MAX, NotAPolicy, TrustPolicy, parse_policy

ANCHOR_SEED = "anchor"
POLICY_FILE = "witness.policy"

_LOG = logging.getLogger("surefoot.cosigning")


def read_policy(folder: Path) -> TrustPolicy:
    """The folder's policy; one without witnesses when there is no file. Raises `Refused`."""
    try:
        with (folder / POLICY_FILE).open("rb") as file:
            content = file.read(4 * POLICY_LENGTH_MAX + 1)
    except FileNotFoundError:
        return TrustPolicy()
    return _parsed(content, str(folder / POLICY_FILE))


def keep_policy(folder: Path, content: bytes) -> None:
    """Put a policy into the folder. Raises `Refused("journal.policy.input")`."""
    _parsed(content, "witness policy")
    write_durably(folder / POLICY_FILE, content, 0o644)


def anchor_signer(folder: Path, origin: str) -> CosignerSigner | None:
    """The log's own post-quantum cosigner, None for a log that was made without."""
    try:
        seed = (folder / "keys" / ANCHOR_SEED).read_bytes()
    except FileNotFoundError:
        return None
    return CosignerSigner(origin, seed, ML_DSA_44)


def witnessed(policy: TrustPolicy, origin: str) -> Callable[[str], Mapping[str, int]]:
    """Asks all witnesses of the policy what they cosigned last; those that answer, by name."""

    def ask(note: str) -> Mapping[str, int]:
        found = witness_sizes(policy, origin, note)
        for name, answer in found.items():
            if answer.error:
                _LOG.warning("at start: %s", answer.error, extra={"witness": name})
        return {name: answer.size for name, answer in found.items() if answer.size >= 0}

    return ask


def _parsed(content: bytes, subject: str) -> TrustPolicy:
    try:
        return parse_policy(content.decode("utf-8", "surrogateescape"))
    except NotAPolicy as error:
        raise Refused(
            "journal.policy.input",
            subject,
            expected="a trust policy: witness, group and quorum lines",
            found=str(error)[:300],
            remedy="correct it; see docs/formats/policy.md",
        ) from None
