"""The words that doors share: what of a request is signed, in which headers, and its limits.

Keeps: the signed bytes bind method, path with query, body, time, nonce and installation, so that a
signature counts once, here, for this; they are canonical JSON and name their own purpose, so that
no other signature of the same key can be taken for them.
Does not: sign, verify, or read a clock.
"""

from __future__ import annotations

from surefoot.trust import canonical
from surefoot.trust.digest import digest_of

NAMESPACE = "surefoot-request"
ENROL_NAMESPACE = "surefoot-enrol"
KEY_HEADER = "surefoot-key"
TIME_HEADER = "surefoot-time"
NONCE_HEADER = "surefoot-nonce"
SIGNATURE_HEADER = "surefoot-signature"

SKEW_MS = 120_000
BODY_BYTES_MAX = 4 * 1024 * 1024
TARGET_CHARACTERS_MAX = 8 * 1024

RELEASE_TYPE = "application/vnd.surefoot.release+json"
APPROVAL_TYPE = "application/vnd.surefoot.approval+json"


def request_bytes(
    method: str, target: str, body: bytes, *, time_ms: int, nonce: str, installation: str
) -> bytes:
    """The bytes a request's signature is over. `target` is the path with its query, as sent."""
    return canonical.encode(
        {
            "body": digest_of(body),
            "installation": installation,
            "method": method,
            "nonce": nonce,
            "path": target,
            "time": time_ms,
            "type": NAMESPACE,
        }
    )


def enrolment_bytes(installation: str, person: str, key: str) -> bytes:
    """The bytes by which the holder of a key proves possession; `key` is its public line."""
    return canonical.encode({"installation": installation, "key": key, "person": person})


def approval_bytes(deployment: int, environment: str, plan: str, verdict: str) -> bytes:
    """The payload an approver signs. `verdict` is approve or reject."""
    return canonical.encode(
        {"deployment": deployment, "environment": environment, "plan": plan, "verdict": verdict}
    )
