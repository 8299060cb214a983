"""Tags: their form, and what a change makes of them."""

import pytest

from surefoot.core.device_tags import changed, check_change, with_tag
from surefoot.core.errors import Refused


@pytest.mark.parametrize("tag", ["a", "0", "lab-2", "a" * 41, "a-"])
def test_a_tag_of_the_form_is_taken(tag: str) -> None:
    check_change([tag], [])
    check_change([], [tag])


@pytest.mark.parametrize("tag", ["", "-a", "A", "a b", "a_b", "a" * 42, "a\n", "ä"])
def test_a_tag_outside_the_form_is_refused(tag: str) -> None:
    for add, remove in (([tag], []), ([], [tag])):
        with pytest.raises(Refused) as caught:
            check_change(add, remove)
        assert caught.value.code == "device.tag.input"


def test_nothing_both_and_too_many_are_refused() -> None:
    many = [f"t{n}" for n in range(41)]
    for add, remove in (([], []), (["a"], ["a"]), (many, [])):
        with pytest.raises(Refused):
            check_change(add, remove)


def test_a_change_made_again_changes_nothing() -> None:
    once = changed(("lab", "old"), ["pilot", "lab"], ["old", "gone"])
    assert once == ("lab", "pilot")
    assert changed(once, ["pilot", "lab"], ["old", "gone"]) == once


def test_a_query_cannot_leave_the_tag_that_narrows_it() -> None:
    assert with_tag("name==a,name==b", "lab") == "(name==a,name==b);tag==lab"
    assert (with_tag("", "lab"), with_tag("name==a", "")) == ("tag==lab", "name==a")
    with pytest.raises(Refused, match=r"device\.query\.input"):
        with_tag("name==a),(name==b", "lab")
