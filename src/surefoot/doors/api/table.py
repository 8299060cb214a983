"""Which operation a method and a path mean.

Keeps: paths are matched segment by segment before percent-decoding, so that a fingerprint's slash
stays inside its segment; a fixed word wins over a parameter.
Does not: read arguments or answer.
"""

from __future__ import annotations

from collections.abc import Iterable
from urllib.parse import unquote

from surefoot.app.operation import Operation
from surefoot.core.errors import Refused

PREFIX = "/v1"

_Segments = tuple[str, ...]


class Table:
    """All operations by method and path."""

    def __init__(self, operations: Iterable[Operation]) -> None:
        self._rows: dict[tuple[str, int], list[tuple[_Segments, Operation]]] = {}
        for operation in operations:
            segments = tuple(operation.path.strip("/").split("/"))
            row = self._rows.setdefault((operation.method, len(segments)), [])
            row.append((segments, operation))
        for row in self._rows.values():
            row.sort(key=lambda entry: [_is_parameter(segment) for segment in entry[0]])

    def find(self, method: str, raw_path: str) -> tuple[Operation, dict[str, str]]:
        """The operation and its path parameters. Raises `Refused("request.path.unknown")`."""
        segments = tuple(raw_path.removeprefix(f"{PREFIX}/").split("/"))
        for pattern, operation in self._rows.get((method, len(segments)), []):
            values = _match(pattern, segments)
            if values is not None:
                return operation, values
        raise Refused(
            "request.path.unknown",
            f"{method} {raw_path[:120]}",
            expected="a method and path of the API",
            found="none that matches",
            remedy=f"see {PREFIX}/openapi.json for all of them",
        )


def _match(pattern: _Segments, segments: _Segments) -> dict[str, str] | None:
    values = {}
    for expected, found in zip(pattern, segments, strict=True):
        if _is_parameter(expected):
            values[expected[1:-1]] = unquote(found)
        elif expected != found:
            return None
    return values


def _is_parameter(segment: str) -> bool:
    return segment.startswith("{")
