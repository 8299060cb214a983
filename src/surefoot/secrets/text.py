"""A secret in memory that does not get out by accident.

Rules: printing, formatting and logging show a placeholder; pickling, copying and JSON fail;
comparing takes constant time; only `reveal` gives the bytes. Does not: erase memory, which Python
cannot promise; keep secrets short-lived.
"""

from __future__ import annotations

import hmac
from typing import NoReturn, SupportsIndex

from surefoot.core.errors import Refused

SIZE_BYTES_MAX = 64 * 1024
_SHOWN = "[secret]"


class SecretText:
    """A secret value of 1 to 65,536 bytes."""

    __slots__ = ("_content",)
    __hash__ = None  # type: ignore[assignment]

    def __init__(self, content: str | bytes) -> None:
        """Raises `Refused("secret.value.input")` when empty or too long."""
        held = content.encode() if isinstance(content, str) else bytes(content)
        if not 1 <= len(held) <= SIZE_BYTES_MAX:
            raise Refused(
                "secret.value.input",
                "secret",
                expected=f"1 to {SIZE_BYTES_MAX} bytes",
                found=f"{len(held)} bytes",
            )
        self._content = held

    def reveal(self) -> bytes:
        """The value. Callers hand it on and keep no copy."""
        return self._content

    def __repr__(self) -> str:
        return _SHOWN

    __str__ = __repr__

    def __format__(self, _spec: str) -> str:
        return _SHOWN

    def __eq__(self, other: object) -> bool:
        if not isinstance(other, SecretText):
            return NotImplemented
        return hmac.compare_digest(self._content, other._content)

    def __reduce_ex__(self, _protocol: SupportsIndex) -> NoReturn:
        raise TypeError("a secret is not copied or pickled")

    def __copy__(self) -> NoReturn:
        raise TypeError("a secret is not copied or pickled")

    def __deepcopy__(self, _memo: object) -> NoReturn:
        raise TypeError("a secret is not copied or pickled")
