"""Who may be given a firmware, by what path, and why not: as a table, and as properties."""

import itertools
from collections.abc import Sequence

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from surefoot.core.eligibility import (
    AlreadyThere,
    Demand,
    Fit,
    Known,
    Unfit,
    judge,
    stones_for,
)
from surefoot.core.offer import Firmware
from surefoot.core.version import compare
from surefoot.trust.digest import digest_of


def image(
    version: str, *, after: str = "", through: bool = False, hardware: Sequence[str] = ()
) -> Firmware:
    return Firmware(
        digest=digest_of(version.encode()),
        name="fw",
        version=version,
        file="fw.swu",
        size_bytes=1,
        sha1="",
        md5="",
        hardware=tuple(hardware),
        from_version=after,
        through=through,
    )


def runs(version: str, *may_run: str) -> Known:
    return Known(hardware="v1", shown={"": version}, may_run={"": may_run})


STONES = (image("1.4"), image("1.5", after="1.2"), image("3.0"), image("1.8", through=True))
CASES: list[tuple[Known, Demand, object]] = [
    (runs("1.0"), Demand(parts=(image("1.1"),)), ["1.1"]),
    (runs("1.9"), Demand(parts=(image("1.10"),)), ["1.10"]),
    (runs("1.1"), Demand(parts=(image("1.1"),)), "there"),
    (runs("1.1", "1.2"), Demand(parts=(image("1.1"),)), "downgrade"),
    (runs("1.1", "1.0"), Demand(parts=(image("1.1"),)), ["1.1"]),
    (runs("2.0"), Demand(parts=(image("1.1"),)), "downgrade"),
    (runs("2.0"), Demand(parts=(image("1.1"),), allow_downgrade=True), ["1.1"]),
    (runs("", "2.0"), Demand(parts=(image("1.1"),)), "downgrade"),
    (runs("none"), Demand(parts=(image("1.1"),)), ["1.1"]),
    (runs("none", "2.0"), Demand(parts=(image("1.1"),)), "downgrade"),
    (runs("none"), Demand(parts=(image("1.1"),), unknown="wait"), "version_unknown"),
    (runs(""), Demand(parts=(image("1.1"),)), ["1.1"]),
    (runs("", "1.1"), Demand(parts=(image("1.1"),)), ["1.1"]),
    (runs(""), Demand(parts=(image("1.1"),), unknown="wait"), "version_unknown"),
    (runs(""), Demand(parts=(image("1.1", after="1.0"),)), "version_unknown"),
    (runs(""), Demand(parts=(image("2.0"),), stones=STONES), "version_unknown"),
    (runs("main"), Demand(parts=(image("1.1"),)), "version_unordered"),
    (runs("main"), Demand(parts=(image("1.1"),), allow_downgrade=True), ["1.1"]),
    (runs("1.0"), Demand(parts=(image("1.1", hardware=["v2"]),)), "hardware"),
    (runs("1.0"), Demand(parts=(image("1.1", hardware=["v2", "v1"]),)), ["1.1"]),
    (runs("1.0"), Demand(parts=(image("2.0"),), stones=STONES), ["1.8", "2.0"]),
    (runs("1.8"), Demand(parts=(image("2.0"),), stones=STONES), ["2.0"]),
    (runs("1.0"), Demand(parts=(image("1.7", after="1.5"),), stones=STONES), ["1.4", "1.5", "1.7"]),
    (runs("1.3"), Demand(parts=(image("1.7", after="1.5"),), stones=STONES), ["1.5", "1.7"]),
    (runs("1.0"), Demand(parts=(image("1.7", after="1.6"),), stones=STONES), "no_route"),
    (
        runs("1.0", "1.6"),
        Demand(parts=(image("1.7", after="1.5"),), stones=STONES),
        "version_unknown",
    ),
    (Known(standing="pending"), Demand(parts=(image("1.1"),)), "standing"),
    (Known(profile="swupdate"), Demand(parts=(image("1.1"),)), ["1.1"]),
]


@pytest.mark.parametrize("case", CASES)
def test_the_table(case: tuple[Known, Demand, object]) -> None:
    device, demand, expected = case
    found = judge(device, demand)
    if isinstance(found, Fit):
        assert [hop.version for hop in found.hops] == expected
    elif isinstance(found, AlreadyThere):
        assert expected == "there" and found.sentence
    else:
        assert found.reason == expected and found.sentence


def test_a_client_that_cannot_take_the_file_is_told_apart() -> None:
    raw = msgspec.structs.replace(image("1.1"), file="fw.bin")
    found = judge(Known(profile="swupdate"), Demand(parts=(raw,)))
    assert isinstance(found, Unfit) and found.reason == "client"


def test_the_same_version_built_anew_is_not_there_when_the_digest_says_so() -> None:
    shown = Known(shown={"": "1.1"}, digests={"": "0" * 64})
    assert isinstance(judge(shown, Demand(parts=(image("1.1"),))), Fit)


def test_parts_go_in_order_and_by_hardware() -> None:
    modem = msgspec.structs.replace(image("7.0"), attribute="modem_version")
    other = image("9.9", hardware=["v2"])
    demand = Demand(parts=(modem, other, image("2.0")))
    found = judge(runs("1.0"), demand)
    assert isinstance(found, Fit) and [hop.version for hop in found.hops] == ["7.0", "2.0"]
    shown = Known(hardware="v1", shown={"": "1.0", "modem_version": "7.0"})
    found = judge(shown, demand)
    assert isinstance(found, Fit) and [hop.version for hop in found.hops] == ["2.0"]
    shown = Known(hardware="v1", shown={"": "1.0", "modem_version": "8.0"})
    found = judge(shown, demand)
    assert isinstance(found, Unfit) and found.reason == "downgrade"


VERSIONS = st.builds("{}.{}".format, st.integers(0, 3), st.integers(0, 3))
IMAGES = st.builds(
    lambda version, after, through: image(version, after=after, through=through),
    VERSIONS,
    st.one_of(st.just(""), VERSIONS),
    st.booleans(),
)


@given(
    st.one_of(st.just(""), VERSIONS, st.just("main")),
    st.lists(VERSIONS, max_size=2),
    IMAGES,
    st.lists(IMAGES, max_size=6),
)
def test_no_path_goes_down_skips_a_release_or_breaks_a_demand(
    version: str, may_run: list[str], target: Firmware, stones: list[Firmware]
) -> None:
    found = judge(runs(version, *may_run), Demand(parts=(target,), stones=tuple(stones)))
    if not isinstance(found, Fit):
        return
    assert found.hops[-1] == target
    for at in filter(None, (version, *may_run)):
        # Whatever it runs of all that it may, the first image is not lower, and the path rises.
        path = [at, *(hop.version for hop in found.hops)]
        assert all(compare(a, b) in (-1, 0) for a, b in itertools.pairwise(path))
        for before, hop in zip(path, found.hops, strict=False):
            assert not hop.from_version or compare(before, hop.from_version) in (0, 1)
        for stone in stones:
            passed = compare(at, stone.version) == -1 == compare(stone.version, target.version)
            assert not (stone.through and passed) or stone.version in path


def test_the_images_that_lead_on_are_all_to_pass_through_and_what_meets_the_demands() -> None:
    earlier = [image("1.0"), image("1.4"), image("1.5", after="1.2"), *STONES, image("2.5")]
    found = stones_for(image("2.0", after="1.5"), earlier)
    assert [stone.version for stone in found] == ["1.8"]
    found = stones_for(image("1.7", after="1.5"), earlier)
    assert [stone.version for stone in found] == ["1.4", "1.5"]
    assert stones_for(image("1.7"), earlier) == ()
