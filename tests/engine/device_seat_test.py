"""A seat is offered nothing that one reason forbids, whatever else speaks for it."""

import pytest

from surefoot.engine.device_seat import Seat, seat_of
from surefoot.store.device import DeskRow

TOKEN = b"\x01" * 32
ROW = (1, 1, "production", "d", TOKEN, True, 5, False, 7, "offered", False)


def seat(*, fits: bool = True, proved: bool = True, **changes: object) -> Seat:
    row = {
        "change": 1,
        "number": 1,
        "environment": "production",
        "device": "d",
        "token_hash": TOKEN,
        "wants_attributes": True,
        "installed": 5,
        "removed": False,
        "action": 7,
        "state": "offered",
        "cancelling": False,
    }
    return seat_of(DeskRow(**{**row, **changes}), 300, fits=fits, proved=proved)  # type: ignore[arg-type]


def test_what_nothing_forbids_is_offered() -> None:
    found = seat()
    assert (found.action, found.confirm, found.cancel) == (7, 0, 0)
    assert found.ground.offered and found.ground.readable and found.change


@pytest.mark.parametrize("standing", ["pending", "rejected", "revoked"])
@pytest.mark.parametrize("cancelling", [False, True])
def test_who_is_not_let_in_hears_nothing(standing: str, cancelling: bool) -> None:
    found = seat(standing=standing, cancelling=cancelling, consent="waiting")
    poll = found
    assert (poll.action, poll.cancel, poll.confirm, poll.installed) == (0, 0, 0, 0)
    assert not (poll.wants_attributes or found.ground.offered or found.ground.readable)
    assert (found.token_hash == TOKEN) == (standing != "revoked")


@pytest.mark.parametrize(
    "why", [{"fits": False}, {"proved": False}, {"consent": "waiting"}, {"consent": "denied"}]
)
def test_one_reason_is_enough(why: dict[str, object]) -> None:
    found = seat(**why)  # type: ignore[arg-type]
    assert found.action == 0 and not found.ground.offered and not found.ground.readable
    assert found.confirm == (7 if "consent" in why else 0)


def test_what_is_not_proved_is_not_asked_of_a_user_either() -> None:
    assert seat(proved=False, consent="waiting").confirm == 0


def test_at_most_one_thing_is_said() -> None:
    for cancelling in (False, True):
        for consent in ("", "waiting", "given"):
            poll = seat(cancelling=cancelling, consent=consent)
            assert sum(map(bool, (poll.action, poll.cancel, poll.confirm))) == 1


def test_the_change_number_follows_the_content_of_the_offer() -> None:
    base = seat().change
    for other in ({"action": 8}, {"firmware": "sha256:1"}, {"profile": "rauc"}):
        assert seat(**other).change != base  # type: ignore[arg-type]
    assert seat(wants_attributes=False).change == base
    assert -(2**31) <= base < 2**31


def test_an_offer_that_becomes_forced_has_another_change_number() -> None:
    free = seat_of(DeskRow(*ROW), 300, fits=True, proved=True, forced=False)
    bound = seat_of(DeskRow(*ROW), 300, fits=True, proved=True)
    assert free.change and bound.change and free.change != bound.change
