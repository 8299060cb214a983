"""What an approver signs: the exact bytes, and the commands that sign them on their own machine.

Keeps: the bytes are those the operation will check, DSSE's pre-authentication encoding over the
approval's canonical JSON.
Does not: sign, or know who may.
"""

from __future__ import annotations

from typing import Any, NamedTuple

from surefoot.doors import words
from surefoot.trust import envelope

VERDICTS = ("approve", "reject")


class Offer(NamedTuple):
    """One verdict that can be signed: the bytes, and commands that sign them."""

    verdict: str
    online: str
    piped: str
    by_file: str
    file: str
    address: str


def offers(deployment: dict[str, Any]) -> list[Offer]:
    """What may be signed about a deployment."""
    return [_offer(deployment, verdict) for verdict in VERDICTS]


def _offer(deployment: dict[str, Any], verdict: str) -> Offer:
    number = deployment["number"]
    text = message(deployment, verdict).decode()
    file = file_name(number, verdict)
    sign = f"ssh-keygen -Y sign -n {envelope.NAMESPACE} -f ~/.ssh/id_ed25519"
    return Offer(
        verdict=verdict,
        online=f"surefoot deployment {verdict} {number}",
        piped=f"printf %s '{text}' | {sign}",
        by_file=f"{sign} {file}",
        file=file,
        address=f"/deployments/{number}/approval?verdict={verdict}",
    )


def message(deployment: dict[str, Any], verdict: str) -> bytes:
    """The bytes an approver's key signs."""
    payload = words.approval_bytes(
        deployment["number"], deployment["environment"], deployment["digest"], verdict
    )
    return envelope.pae(words.APPROVAL_TYPE, payload)


def file_name(number: int, verdict: str) -> str:
    """The name of the file those bytes are saved under."""
    return f"deployment-{number}-{verdict}"
