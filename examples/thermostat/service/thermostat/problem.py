"""One kind of error for the whole service: what was expected, what was found, what to do."""

from __future__ import annotations


class Problem(Exception):
    """An answer other than success. `status` is the HTTP status; no field holds a secret."""

    def __init__(self, status: int, code: str, expected: str, found: str, remedy: str) -> None:
        super().__init__(f"{code}: expected {expected}, found {found}; {remedy}")
        self.status = status
        self.code = code
        self.expected = expected
        self.found = found
        self.remedy = remedy

    def body(self) -> dict[str, object]:
        """The JSON a client reads."""
        return {
            "error": {
                "code": self.code,
                "expected": self.expected,
                "found": self.found,
                "remedy": self.remedy,
            }
        }


def shown(value: object) -> str:
    """A found value, short enough for an error message."""
    text = repr(value)
    return text if len(text) <= 60 else text[:57] + "..."
