"""Everybody of the simulator's product, with their roles, and two registered releases."""

from __future__ import annotations

import pytest

from surefoot.testing import simulator_product as product
from surefoot.testing.history import History


@pytest.fixture
def history() -> History:
    told = History()
    told.tell(*product.found_installation(told.world))
    told.tell(*product.accept_rules(told.world))
    for name in product.ROLES:
        told.tell(*product.enrol(told.world, name))
        told.tell(*product.grant(told.world, name))
    for version in ("1.0.0", "1.1.0"):
        told.tell(*product.register(told.world, product.manifest_of(version)))
    return told
