"""The suite every gate passes: it reports about its subject, repeats, and never decides.

Use: subclass `GateConformance` and give a fixture `case` that returns a `GateCase`.
"""

from __future__ import annotations

from typing import Protocol

import msgspec

from surefoot.core.errors import SurefootError
from surefoot.core.gate import Evidence, Gate, judge
from surefoot.core.target import Plain
from surefoot.trust.digest import Digest, digest_of


class GateCase(Protocol):
    """A gate over something good and over something bad."""

    subject: Digest
    """What the evidence is about."""

    good: Plain
    """Arguments under which the gate passes."""

    bad: Plain
    """Arguments under which the gate must not pass."""

    malformed: Plain
    """Arguments that are an error, not evidence; empty when there are none."""

    def open_good(self) -> Gate:
        """The gate as it is for `good` and `malformed`."""

    def open_bad(self) -> Gate:
        """The gate as it is for `bad`; may be the same."""


def _steady(evidence: Evidence) -> Evidence:
    """The evidence without what may differ from run to run: times, figures, raw output."""
    return msgspec.structs.replace(evidence, started_at_ms=0, ended_at_ms=0, figures={}, raw=None)


class GateConformance:
    """See the module."""

    def test_good_passes(self, case: GateCase) -> None:
        """Complete evidence without findings."""
        evidence = case.open_good().run(case.subject, case.good)
        assert judge(evidence, case.subject).verdict == "pass", evidence

    def test_bad_does_not_pass(self, case: GateCase) -> None:
        """Whatever the verdict is, it says why, and it is not a pass."""
        judgement = judge(case.open_bad().run(case.subject, case.bad), case.subject)
        assert judgement.verdict != "pass"
        assert judgement.reason

    def test_evidence_is_of_its_subject_alone(self, case: GateCase) -> None:
        """The same evidence is no pass for anything else."""
        evidence = case.open_good().run(case.subject, case.good)
        assert evidence.subject == case.subject
        assert judge(evidence, digest_of(b"something else")).verdict == "error"

    def test_a_run_can_be_repeated(self, case: GateCase) -> None:
        """Twice the same, apart from times and figures."""
        runs = [case.open_good().run(case.subject, case.good) for _ in range(2)]
        assert _steady(runs[0]) == _steady(runs[1])
        runs = [case.open_bad().run(case.subject, case.bad) for _ in range(2)]
        assert [f.fingerprint for f in runs[0].findings] == [
            f.fingerprint for f in runs[1].findings
        ]

    def test_evidence_names_its_tool(self, case: GateCase) -> None:
        """Gate, tool and version are there, and times do not run backwards."""
        gate = case.open_good()
        evidence = gate.run(case.subject, case.good)
        assert evidence.gate == gate.name
        assert evidence.tool and evidence.tool_version
        assert evidence.started_at_ms <= evidence.ended_at_ms

    def test_evidence_survives_storing(self, case: GateCase) -> None:
        """Evidence is plain data."""
        evidence = case.open_good().run(case.subject, case.good)
        assert msgspec.json.decode(msgspec.json.encode(evidence), type=Evidence) == evidence

    def test_malformed_arguments_are_an_error_or_no_pass(self, case: GateCase) -> None:
        """Bad input never passes by being left out."""
        if not case.malformed:
            return
        try:
            evidence = case.open_good().run(case.subject, case.malformed)
        except SurefootError as error:
            assert error.code and error.subject
        else:
            assert judge(evidence, case.subject).verdict != "pass"
