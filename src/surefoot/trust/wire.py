"""SSH's wire encoding: length-prefixed strings and numbers (RFC 4251, section 5).

Keeps: every read is bounded by what is left; nothing may be left over at the end.
Does not: know what the fields mean.
"""

from __future__ import annotations


class BadWire(ValueError):
    """The bytes end early, or go on after the last field."""


def string(content: bytes) -> bytes:
    """Four bytes of length, then the content."""
    return len(content).to_bytes(4, "big") + content


class Reader:
    """Takes fields from the front of a byte string."""

    def __init__(self, content: bytes) -> None:
        self._content = content
        self._at = 0

    def take(self, size_bytes: int) -> bytes:
        """The next bytes. Raises `BadWire` when fewer are left."""
        end = self._at + size_bytes
        if end > len(self._content):
            raise BadWire(f"{size_bytes} bytes wanted, {len(self._content) - self._at} left")
        taken = self._content[self._at : end]
        self._at = end
        return taken

    def number(self) -> int:
        """The next unsigned 32-bit number. Raises `BadWire` when it is cut."""
        return int.from_bytes(self.take(4), "big")

    def string(self) -> bytes:
        """The next length-prefixed string. Raises `BadWire` when it is cut."""
        return self.take(self.number())

    def end(self) -> None:
        """Raises `BadWire` when anything is left."""
        if self._at != len(self._content):
            raise BadWire(f"{len(self._content) - self._at} bytes too many")
