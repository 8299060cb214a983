"""Which client it is, and what it takes."""

import pytest

from surefoot.core.profile import NAMES, PROFILES, profile_of, recognise, withheld


@pytest.mark.parametrize(
    ("agent", "attributes", "expected"),
    [
        ("libcurl-agent/1.0", (), "swupdate"),
        ("rauc-hawkbit-c-agent/1.0", (), "rauc"),
        ("Zephyr/3.7", (), "zephyr"),
        ("", ("VIN", "hwRevision"), "zephyr"),
        ("", ("VIN",), None),
        ("curl/8.5.0", (), None),
        ("", (), None),
        ("x" * 100_000, (), None),
    ],
)
def test_a_client_is_recognised_or_not(
    agent: str, attributes: tuple[str, ...], expected: str | None
) -> None:
    assert recognise(agent, attributes) == expected


@pytest.mark.parametrize(
    ("name", "chunks", "refused"),
    [
        ("swupdate", [["fw.swu"]], ""),
        ("swupdate", [["fw.swu", "notes.txt"], ["more.zck"]], ""),
        ("swupdate", [["fw.bin"]], "takes only files that end in .swu or .zck"),
        ("swupdate", [["fw.swu"]] * 51, "at most 50 chunks"),
        ("rauc", [["fw.raucb"]], ""),
        ("rauc", [["a"], ["b"]], "at most 1 chunks"),
        ("rauc", [["a", "b"]], "at most 1 files"),
        ("zephyr", [["a", "b"]], "at most 1 files"),
        ("generic", [["anything"]], ""),
        ("nobody knows", [["a", "b"]], "at most 1 files"),
    ],
)
def test_what_a_client_cannot_take_is_withheld(
    name: str, chunks: list[list[str]], refused: str
) -> None:
    why = withheld(profile_of(name), chunks)
    assert (refused in why) if refused else why == ""


def test_zephyr_reads_only_its_own_word_for_a_part() -> None:
    assert profile_of("zephyr").part == "bApp"
    assert set(PROFILES) == set(NAMES)
