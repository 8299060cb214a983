"""The world as bytes: every part is in it, and what comes back is equal."""

from __future__ import annotations

import pytest

from surefoot.core.fold import new_world
from surefoot.core.world import Person
from surefoot.core.world_form import WorldForm, world_bytes, world_of


def test_every_part_of_the_world_is_in_the_form() -> None:
    assert set(WorldForm.__struct_fields__) == set(vars(new_world()))


def test_a_world_with_another_part_is_refused() -> None:
    world = new_world()
    world.people.people["ann"] = Person(id="ann", roles=["cutter"])
    assert vars(world_of(world_bytes(world))) == vars(world)
    world.mood = "new"  # type: ignore[attr-defined]
    with pytest.raises(ValueError, match="mood"):
        world_bytes(world)


@pytest.mark.parametrize("content", [b"", b"\x80", b"junk", b"\xff" * 40])
def test_other_bytes_are_refused(content: bytes) -> None:
    with pytest.raises(ValueError, match="not the form of a world"):
        world_of(content)
