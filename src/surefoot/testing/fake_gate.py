"""A gate that reports what a test tells it to, counted on disk.

Does not: look at anything.
"""

from __future__ import annotations

from pathlib import Path

import msgspec

from surefoot.core.errors import Failed, Refused
from surefoot.core.gate import Evidence, Finding
from surefoot.core.target import Plain
from surefoot.store.durable import write_durably
from surefoot.trust import canonical
from surefoot.trust.digest import Digest, digest_of, parse_digest


class FakeGate:
    """Answers `evidence` fields as given; each run is appended to the file at `path`."""

    def __init__(
        self,
        path: Path,
        *,
        name: str = "fake",
        findings: tuple[Finding, ...] = (),
        complete: bool = True,
        trouble: str = "",
        cannot_start: bool = False,
    ) -> None:
        self._path = path
        self._name = name
        self._findings = findings
        self._complete = complete
        self._trouble = trouble
        self._cannot_start = cannot_start

    @property
    def name(self) -> str:
        """The gate's name in the pipeline definition."""
        return self._name

    def run(self, subject: Digest, arguments: Plain) -> Evidence:
        """Report. Raises `Failed` when told that it cannot start, `Refused` for bad input."""
        try:
            parse_digest(subject)
            inputs = digest_of(canonical.encode(arguments))
        except ValueError as wrong:
            raise Refused(
                "gate.arguments.input",
                f"gate {self._name}",
                expected="a digest and plain arguments",
                found=str(wrong)[:200],
                remedy="correct the pipeline definition",
            ) from None
        if self._cannot_start:
            raise Failed(
                "gate.start.failed",
                f"gate {self._name}",
                expected="a tool that starts",
                found="none",
            )
        write_durably(self._path, msgspec.json.encode([*read_runs(self._path), subject]))
        return Evidence(
            gate=self._name,
            subject=subject,
            tool="fake",
            tool_version="1",
            inputs=(inputs,),
            complete=self._complete,
            findings=self._findings,
            trouble=self._trouble,
        )


def read_runs(path: Path) -> list[str]:
    """The subjects of all runs so far."""
    try:
        return msgspec.json.decode(path.read_bytes(), type=list[str])
    except FileNotFoundError:
        return []
