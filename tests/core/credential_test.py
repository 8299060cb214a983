"""Whom a certificate speaks for: every field counts."""

import itertools

import pytest

from surefoot.core.credential import Shown, speaks_for

TRUSTED = frozenset({"a" * 64})
SHOWN = Shown(names=("dev1", "alias"), authorities=("b", "a" * 64), fingerprint="f", until_ms=100)


@pytest.mark.parametrize(
    ("shown", "device", "bound", "trusted", "now", "speaks"),
    [
        (SHOWN, "dev1", "", TRUSTED, 99, True),
        (SHOWN, "alias", "", TRUSTED, 99, True),
        (SHOWN, "DEV1", "", TRUSTED, 99, False),
        (SHOWN, "dev", "", TRUSTED, 99, False),
        (SHOWN, "dev1", "", TRUSTED, 100, False),
        (SHOWN, "dev1", "", frozenset(), 99, False),
        (SHOWN, "other", "f", TRUSTED, 99, True),
        (SHOWN, "dev1", "g", TRUSTED, 99, False),
        (Shown(names=("dev1",), authorities=("a" * 64,)), "dev1", "", TRUSTED, 10**15, True),
        (Shown(names=("dev1",), authorities=("a" * 64,)), "dev1", "f", TRUSTED, 0, False),
        (Shown(names=(), authorities=()), "dev1", "", TRUSTED, 0, False),
    ],
)
def test_whom_it_speaks_for(
    shown: Shown, device: str, bound: str, trusted: frozenset[str], now: int, *, speaks: bool
) -> None:
    assert speaks_for(shown, device, bound, trusted, now) is speaks


def test_without_an_issuer_that_is_believed_nothing_speaks() -> None:
    for device, bound in itertools.product(("dev1", "other"), ("", "f")):
        assert not speaks_for(SHOWN, device, bound, frozenset({"c" * 64}), 0)
