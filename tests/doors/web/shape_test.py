"""Answers become words: pure functions."""

from surefoot.doors.web import shape


def test_lengths_of_time_have_one_unit_or_two() -> None:
    cases = {85: "85 ms", 3_240: "3.2 s", 250_000: "4 min 10 s", 7_500_000: "2 h 5 min"}
    assert {ms: shape.duration(ms) for ms in cases} == cases
    assert shape.duration(None) == ""


def test_sizes_have_the_unit_people_use() -> None:
    cases = {812: "812 B", 4096: "4.0 KiB", 1_258_291: "1.2 MiB"}
    assert {count: shape.size(count) for count in cases} == cases


def test_digests_and_commits_are_short_and_other_text_is_not_a_digest() -> None:
    digest = "sha256:" + "ab" * 32
    assert shape.short(digest) == "ab" * 6
    assert shape.is_digest(digest)
    assert shape.is_digest("cd" * 32)
    assert not shape.is_digest("1.0.0")
    assert not shape.is_digest(3)


def test_moments_for_reading_and_for_the_control() -> None:
    assert shape.moment("2026-11-21T10:00:01.250Z") == "2026-11-21 10:00:01"
    assert shape.moment("yesterday") == "yesterday"
    assert shape.local("2026-11-21T10:00:01.250Z") == "2026-11-21T10:00:01"
    assert shape.local("2026-11-21T10:00Z") == "2026-11-21T10:00"
    assert shape.local("yesterday") == ""


def test_the_parts_of_a_bar_lie_side_by_side() -> None:
    bar = shape.firmware_bar({"1.0.0": 15, "1.1.0": 30}, 50)
    assert [(p.label, p.devices, p.offset, p.width) for p in bar] == [
        ("1.1.0", 30, "0.00%", "60.00%"),
        ("1.0.0", 15, "60.00%", "30.00%"),
        ("not reported yet", 5, "90.00%", "10.00%"),
    ]
    assert shape.firmware_bar({}, 0) == []


def test_waves_show_their_thresholds_also_before_they_begin() -> None:
    policy = {"waves": [10, 100], "success_percent": 80, "error_percent": 20, "minimum_sample": 3}
    first, second = shape.wave_bars({"0": {"verified": 4, "failed": 1}}, policy)
    assert (first.total, first.verified, first.errors, first.threshold) == (5, 4, 1, "80%")
    assert first.passes == "passes at 80 % verified"
    assert first.stops == "stops above 20 % errors of those that ended, once 3 ended"
    assert first.limit == "80%"
    counted = shape.wave_bars({"0": {"verified": 40}}, {**policy, "error_count": 2})
    assert (counted[0].limit, counted[1].limit) == ("95%", "80%")
    assert (second.title, second.total) == ("Wave 2, up to 100 % of devices", 0)
    returned = shape.wave_bars({"return": {"returned": 2}}, {})
    assert returned[0].title == "Return to the earlier release"


def test_the_rollback_verdict_is_one_plain_sentence() -> None:
    steps = [{"id": "01-backup", "summary": "backup"}, {"id": "02-drop", "summary": "drop column"}]
    whole = {"reversible": True, "last_reversible_step": "02-drop"}
    assert shape.verdict_sentence(whole, steps) == "Every step can be undone, the last one too."
    partly = {
        "reversible": False,
        "last_reversible_step": "01-backup",
        "first_irreversible_step": "02-drop",
        "why": "what is dropped is gone",
    }
    assert shape.verdict_sentence(partly, steps) == (
        "It can be undone up to step 01-backup; not after 02-drop (drop column): "
        "what is dropped is gone."
    )
    never = {"reversible": False, "first_irreversible_step": "01-backup", "why": "nothing before"}
    assert shape.verdict_sentence(never, steps) == "It cannot be undone: nothing before."


def test_every_status_has_an_icon_of_the_sprite() -> None:
    from surefoot.doors.web.visit import static_files

    sprite = static_files()["icons.svg"].content.decode()
    for status in (*shape.TONES, "never heard of"):
        assert f'id="{shape.tone(status).icon}"' in sprite
