"""The rule of what runs on a device, as a table and as properties over any order of reports."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from surefoot.core.device import (
    OPEN,
    STATES,
    Action,
    Attributes,
    CancelAsked,
    CancelFeedback,
    Consented,
    Event,
    Expired,
    Feedback,
    Fetched,
    Move,
    Opened,
    Superseded,
    attributes_of,
    clean_details,
    clean_text,
    transition,
)
from surefoot.trust import canonical

IMAGE = "ab" * 32


def action(state: str = "assigned", **changes: object) -> Action:
    base = {"state": state, "kind": "update", "version": "1.1.0", "sha256": IMAGE}
    return Action(**{**base, **changes})  # type: ignore[arg-type]


def after(start: Action, *events: Event) -> Action:
    now = start
    for event in events:
        now = moved(now, transition(now, event))
    return now


def moved(before: Action, move: Move) -> Action:
    return Action(
        state=move.state,
        kind=before.kind,
        version=before.version,
        sha256=before.sha256,
        cancelling=move.cancelling,
        progress=before.progress + move.keep,
        consent=move.consent or before.consent,
        strength=move.strength or before.strength,
    )


CASES = [
    ("assigned", Opened(), "offered", "taken"),
    ("offered", Fetched(), "downloading", "taken"),
    ("installing", Fetched(), "installing", "taken"),
    ("offered", Feedback("proceeding", "none"), "installing", "taken"),
    ("assigned", Feedback("download", "none"), "downloading", "taken"),
    ("installing", Feedback("downloaded", "success"), "installing", "taken"),
    ("installing", Feedback("closed", "success"), "reported", "taken"),
    ("installing", Feedback("closed", "none"), "reported", "taken"),
    ("installing", Feedback("closed", "failure", ("no",)), "failed", "taken"),
    ("installing", Feedback("closed", "success", ("Skipped Update.",)), "failed", "taken"),
    ("installing", Feedback("canceled", "none"), "installing", "taken"),
    ("installing", Feedback("rejected", "success"), "installing", "taken"),
    ("reported", Feedback("closed", "success"), "reported", "gone"),
    ("verified", Feedback("closed", "failure"), "verified", "gone"),
    ("timed_out", Feedback("closed", "success"), "timed_out", "gone"),
    ("reported", Attributes("1.1.0"), "verified", "taken"),
    ("reported", Attributes("1.1.0", IMAGE), "verified", "taken"),
    ("reported", Attributes("1.1.0", "cd" * 32), "reported", "taken"),
    ("reported", Attributes("1.0.0"), "reported", "taken"),
    ("reported", Attributes(""), "reported", "taken"),
    ("installing", Attributes("1.1.0"), "installing", "taken"),
    ("failed", Attributes("1.1.0"), "failed", "taken"),
    ("unknown", Attributes("1.1.0"), "unknown", "taken"),
    ("unknown", Attributes("1.0.0"), "returned", "taken"),
    ("assigned", CancelAsked(), "returned", "taken"),
    ("installing", CancelAsked(), "installing", "taken"),
    ("reported", CancelAsked(), "reported", "taken"),
    ("installing", CancelFeedback("closed", "success"), "installing", "not_cancelling"),
    ("reported", Expired(), "timed_out", "taken"),
    ("verified", Expired(), "verified", "taken"),
    ("installing", Superseded(9), "unknown", "taken"),
]


@pytest.mark.parametrize(("state", "event", "expected", "answer"), CASES)
def test_one_event(state: str, event: Event, expected: str, answer: str) -> None:
    move = transition(action(state), event)
    assert (move.state, move.answer) == (expected, answer)


DOWNLOADS = [
    ("offered", Fetched(), "downloading", "taken"),
    ("downloading", Feedback("proceeding", "none"), "downloading", "taken"),
    ("downloading", Feedback("downloaded", "success"), "downloaded", "taken"),
    ("downloading", Feedback("downloaded", "failure"), "failed", "taken"),
    ("offered", Feedback("closed", "success", ("Skipped Update.",)), "failed", "taken"),
    ("downloading", Feedback("closed", "success"), "failed", "taken"),
    ("downloading", Feedback("closed", "failure"), "failed", "taken"),
    ("downloaded", Feedback("closed", "success"), "downloaded", "gone"),
    ("downloaded", Attributes("1.1.0", IMAGE), "downloaded", "taken"),
    ("downloaded", Expired(), "downloaded", "taken"),
    ("downloaded", CancelAsked(), "downloaded", "taken"),
    ("downloading", Attributes("1.1.0", IMAGE), "downloading", "taken"),
]


@pytest.mark.parametrize(("state", "event", "expected", "answer"), DOWNLOADS)
def test_one_event_of_an_image_to_be_held(
    state: str, event: Event, expected: str, answer: str
) -> None:
    move = transition(action(state, kind="download"), event)
    assert (move.state, move.answer) == (expected, answer)


@pytest.mark.parametrize(
    ("execution", "finished", "state", "cancelling"),
    [
        ("closed", "success", "unknown", False),
        ("closed", "none", "unknown", False),
        ("canceled", "none", "unknown", False),
        ("closed", "failure", "installing", False),
        ("rejected", "success", "installing", False),
        ("proceeding", "none", "installing", True),
    ],
)
def test_a_cancel_conversation(execution: str, finished: str, state: str, cancelling: bool) -> None:
    start = action("installing", cancelling=True)
    move = transition(start, CancelFeedback(execution, finished))  # type: ignore[arg-type]
    assert (move.state, move.cancelling) == (state, cancelling)


def test_an_accepted_cancel_of_an_installed_update_is_not_installed() -> None:
    ended = after(
        action(),
        Opened(),
        Feedback("proceeding", "none"),
        CancelAsked(),
        CancelFeedback("closed", "success"),
        Attributes("1.1.0"),
    )
    assert ended.state == "unknown"


def test_a_failure_booked_on_a_return_is_not_the_last_word() -> None:
    """swupdate reports the update that it undid under the number of the return."""
    failed = after(action(kind="return"), Feedback("closed", "failure"))
    assert failed.state == "failed"
    assert after(failed, Attributes("1.0.0")).state == "failed"
    shown = after(failed, Attributes("1.1.0"))
    assert (shown.state, shown.strength) == ("returned", "attributes")
    assert after(action(), Feedback("closed", "failure"), Attributes("1.1.0")).state == "failed"


def test_a_return_ends_returned() -> None:
    ended = after(action(kind="return"), Feedback("closed", "success"), Attributes("1.1.0"))
    assert ended.state == "returned"


def test_surplus_progress_is_dropped_but_a_closed_never() -> None:
    full = action("installing", progress=1000)
    assert not transition(full, Feedback("proceeding", "none")).keep
    assert transition(full, Feedback("proceeding", "none")).answer == "taken"
    closed = transition(full, Feedback("closed", "none"))
    assert closed.keep and closed.state == "reported"


EXECUTIONS = [
    "closed",
    "proceeding",
    "scheduled",
    "resumed",
    "download",
    "downloaded",
    "canceled",
    "rejected",
]
DETAILS = st.lists(st.sampled_from(["Skipped Update.", "ok", "no"]), max_size=2).map(tuple)
FEEDBACK = st.tuples(
    st.sampled_from(EXECUTIONS), st.sampled_from(["success", "failure", "none"]), DETAILS
)
EVENTS = st.one_of(
    FEEDBACK.map(lambda parts: Feedback(*parts)),
    FEEDBACK.map(lambda parts: CancelFeedback(*parts)),
    st.builds(
        Attributes,
        st.sampled_from(["1.1.0", "1.0.0", ""]),
        st.sampled_from(["", IMAGE, "cd" * 32]),
    ),
    st.booleans().map(lambda given: Consented(given=given)),
    st.sampled_from([Opened(), Fetched(), Expired(), CancelAsked(), Superseded(3)]),
)


@given(st.lists(EVENTS, max_size=25), st.sampled_from(["update", "return"]))
def test_no_order_of_reports_verifies_without_success_and_later_attributes(
    events: list[Event], kind: str
) -> None:
    now, success_at, confirmed = action(kind=kind), False, False
    for event in events:
        if isinstance(event, Attributes) and success_at:
            confirmed = confirmed or (event.version == "1.1.0" and event.sha256 in ("", IMAGE))
        if isinstance(event, Feedback) and now.state in OPEN and event.execution == "closed":
            skipped = "Skipped Update." in event.details
            success_at = success_at or (event.finished != "failure" and not skipped)
        now = moved(now, transition(now, event))
        if now.state == "verified":
            assert success_at and confirmed and kind == "update"
        assert now.state in STATES


@given(st.lists(EVENTS, max_size=25))
def test_no_order_of_reports_makes_a_download_more_than_that(events: list[Event]) -> None:
    now, held_at = action(kind="download"), False
    for event in events:
        if isinstance(event, Feedback) and event.execution == "downloaded":
            held_at = held_at or event.finished != "failure"
        now = moved(now, transition(now, event))
        assert now.state not in ("installing", "reported", "verified")
        assert now.strength in ("", "reported")
        assert held_at or now.state != "downloaded"


@given(st.lists(EVENTS, max_size=25))
def test_what_has_ended_never_opens_again(events: list[Event]) -> None:
    now = action()
    for event in events:
        before = now
        now = moved(now, transition(now, event))
        if before.state not in OPEN:
            assert now.state not in OPEN
            assert not now.cancelling


@given(st.text(max_size=3000))
def test_clean_text_always_fits_the_journal(text: str) -> None:
    canonical.encode(clean_text(text))
    assert len(clean_text(text)) <= 512


@given(st.recursive(st.none() | st.text() | st.integers(), st.lists, max_leaves=80))
def test_clean_details_takes_any_shape(details: object) -> None:
    lines = clean_details(details)
    assert len(lines) <= 50
    canonical.encode(list(lines))


def test_what_a_device_says_it_runs() -> None:
    found = attributes_of({"sw_version": "1", "firmware_version": "2", "fw_digest": "sha256:AB"})
    assert found == Attributes("2", "ab")
    assert attributes_of({"serial": "7"}) == Attributes("")


def test_nothing_begins_before_the_devices_user_confirmed_it() -> None:
    waiting = action(consent="waiting")
    for event in (
        Opened(),
        Fetched(),
        Feedback("closed", "success"),
        Feedback("closed", "failure"),
    ):
        move = transition(waiting, event)
        assert (move.state, move.answer, move.keep) == ("assigned", "waiting", False)
    denied = moved(waiting, transition(waiting, Consented(given=False)))
    assert (denied.state, denied.consent) == ("assigned", "denied")
    given = moved(denied, transition(denied, Consented(given=True)))
    assert (given.state, given.consent) == ("assigned", "given")
    assert transition(given, Consented(given=True)).answer == "not_waiting"
    assert after(given, Opened()).state == "offered"


def test_strength_only_rises() -> None:
    start = after(action(), Feedback("closed", "success"))
    assert start.strength == "reported"
    shown = after(start, Attributes("1.1.0"))
    assert shown.strength == "attributes"
    assert after(shown, Attributes("1.1.0", IMAGE)).strength == "digest"
    assert after(shown, Attributes("1.1.0", "cd" * 32)).strength == "attributes"
    assert after(shown, Attributes("1.1.0", IMAGE), Attributes("1.0.0")).strength == "digest"


RANKS = ["", "reported", "attributes", "digest"]


@given(st.lists(EVENTS, max_size=25), st.sampled_from(["", "waiting"]))
def test_no_order_of_reports_makes_strength_without_its_evidence(
    events: list[Event], consent: str
) -> None:
    now, told, given_by_user = action(consent=consent), False, consent == ""
    for event in events:
        before = now
        given_by_user = given_by_user or (isinstance(event, Consented) and event.given)
        told = told or (isinstance(event, Feedback) and event.execution == "closed")
        now = moved(now, transition(now, event))
        assert RANKS.index(now.strength) >= RANKS.index(before.strength)
        assert (now.state == "verified") <= (now.strength in ("attributes", "digest"))
        if now.strength != before.strength and now.strength != "reported":
            assert isinstance(event, Attributes) and event.version == "1.1.0"
            assert event.sha256 == (IMAGE if now.strength == "digest" else "")
        assert now.strength == "" or (told and given_by_user)
