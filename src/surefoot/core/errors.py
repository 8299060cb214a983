"""Every way to say no, as a record: code, subject, expected, found, remedy.

    SurefootError
    ├── Refused   a rule said no; the asker acts                     exit 3   HTTP 403/404/409/422
    ├── Failed    the outside world did not answer as agreed         exit 4   HTTP 502/503
    └── Corrupt   a digest, signature, proof or fold disagrees       exit 5   HTTP 500, read-only

Keeps: one renderer for command line, API and pages; no secret value ever enters a field.
Does not: log, retry or exit. Source: style, section "Errors".
"""

from __future__ import annotations

from typing import ClassVar

_STATUS_OF_CODE_END = {
    "unknown": 404,
    "input": 422,
    "signature": 403,
    "moved": 409,
    "unauthenticated": 401,
    "oversize": 413,
    "rate": 429,
    "overload": 503,
}


class SurefootError(Exception):
    """An error a person can act on."""

    exit_status: ClassVar[int] = 70
    http_status: ClassVar[int] = 500
    kind: ClassVar[str] = "error"

    def __init__(
        self, code: str, subject: str, *, expected: str = "", found: str = "", remedy: str = ""
    ) -> None:
        super().__init__(code, subject)
        self.code = code
        self.subject = subject
        self.expected = expected
        self.found = found
        self.remedy = remedy

    def record(self) -> dict[str, str]:
        """The error as a flat record, the same on every door."""
        return {
            "kind": self.kind,
            "code": self.code,
            "subject": self.subject,
            "expected": self.expected,
            "found": self.found,
            "remedy": self.remedy,
        }

    def status(self) -> int:
        """The HTTP status for this error: by the last word of its code, else by its kind."""
        if isinstance(self, Refused):
            return _STATUS_OF_CODE_END.get(self.code.rsplit(".", 1)[-1], self.http_status)
        return self.http_status

    def __str__(self) -> str:
        return render(self.record())


class Refused(SurefootError):
    """A rule said no: bad input, a missing right, a plan that moved."""

    exit_status = 3
    http_status = 409
    kind = "refused"


class Failed(SurefootError):
    """The outside world did not answer as agreed: a timeout, a full disk, a failed build."""

    exit_status = 4
    http_status = 502
    kind = "failed"


class Corrupt(SurefootError):
    """A digest, signature, proof or fold disagrees: stop, go read-only, raise the alarm."""

    exit_status = 5
    http_status = 500
    kind = "corrupt"


_KINDS: dict[str, type[SurefootError]] = {c.kind: c for c in (Refused, Failed, Corrupt)}


def from_record(record: dict[str, str]) -> SurefootError:
    """Rebuild an error that crossed a door as a record."""
    kind = _KINDS.get(record.get("kind", ""), Failed)
    return kind(
        record.get("code", "door.unknown"),
        record.get("subject", ""),
        expected=record.get("expected", ""),
        found=record.get("found", ""),
        remedy=record.get("remedy", ""),
    )


def render(record: dict[str, str]) -> str:
    """One line: subject first, both values, then the remedy and the code in brackets."""
    parts = [f"{record['subject']}: {record['kind']}"]
    if record["expected"]:
        parts.append(f"expected {record['expected']}")
    if record["found"]:
        parts.append(f"found {record['found']}")
    if record["remedy"]:
        parts.append(record["remedy"])
    return "; ".join(parts) + f" [{record['code']}]"
