"""Which verdict applies to which standing."""

import itertools

import pytest

from surefoot.core.enrolment import judged
from surefoot.core.errors import Refused

STANDINGS = ("", "pending", "rejected", "revoked")
ALLOWED = {
    ("accept", "pending"): "",
    ("accept", "rejected"): "",
    ("accept", "revoked"): "",
    ("reject", "pending"): "rejected",
    ("revoke", ""): "revoked",
    ("revoke", "pending"): "revoked",
    ("revoke", "rejected"): "revoked",
}


@pytest.mark.parametrize(
    ("verdict", "standing"), list(itertools.product(("accept", "reject", "revoke"), STANDINGS))
)
def test_a_verdict_applies_or_is_refused(verdict: str, standing: str) -> None:
    expected = ALLOWED.get((verdict, standing))
    if expected is None:
        with pytest.raises(Refused, match=r"device\.standing\.moved"):
            judged("d", verdict, standing)  # type: ignore[arg-type]
    else:
        assert judged("d", verdict, standing) == expected  # type: ignore[arg-type]
