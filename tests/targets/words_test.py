"""Receipts: a repeat is answered, another act under the same name is done."""

from __future__ import annotations

import json
from pathlib import Path

import msgspec
import pytest

from surefoot.core.errors import Refused
from surefoot.core.target import Outcome, Step, Token
from surefoot.targets.words import Receipts

SWITCH = Step(id="switch-api", target="process", action="switch", arguments={"generation": "a"})
OTHER = msgspec.structs.replace(SWITCH, arguments={"generation": "b"})
DONE = Outcome(status="done")


def answered(receipts: Receipts, step: Step, fence: int) -> Outcome | None:
    with receipts.admit(step, Token(operation="7/switch-api", fence=fence)) as found:
        return found


def test_a_deployment_whose_number_was_lost_and_given_again_is_no_repeat(tmp_path: Path) -> None:
    """A log that goes on without lost leaves counts on from an earlier number."""
    receipts = Receipts(tmp_path / "receipts.json")
    token = Token(operation="7/switch-api", fence=90)
    with receipts.admit(SWITCH, token):
        receipts.record(SWITCH, token, DONE)
    assert answered(receipts, SWITCH, 91) == DONE
    assert answered(receipts, OTHER, 92) is None
    with receipts.admit(OTHER, token := Token(operation="7/switch-api", fence=93)):
        receipts.record(OTHER, token, DONE)
    assert answered(receipts, OTHER, 93) == DONE
    assert answered(receipts, SWITCH, 93) is None
    with pytest.raises(Refused, match=r"target\.fence\.moved"):
        answered(receipts, OTHER, 92)


def test_receipts_of_an_earlier_version_are_read(tmp_path: Path) -> None:
    path = tmp_path / "receipts.json"
    content = {"fence": 4, "outcomes": {"7/switch-api": {"status": "done"}}}
    path.write_text(json.dumps(content))
    assert answered(Receipts(path), SWITCH, 5) == DONE
