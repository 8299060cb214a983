"""The database target on both engines: migrations, drift, checks, receipts."""

from __future__ import annotations

from typing import Any

import pytest

from surefoot.core.errors import Corrupt, Refused
from surefoot.core.target import Step


def test_create_is_repeatable_and_observed(stand: Any) -> None:
    assert stand.act("create").status == "done"
    seen = stand.target.observe()
    assert seen.stable["state"] == "present"
    assert seen.stable["schema/version"] == 0
    assert not any(name.startswith("schema/object") for name in seen.stable)


def test_a_release_is_installed_and_upgraded_by_its_plan(make: Any, files: Any) -> None:
    stand = make("main")
    for count in (2, 4):
        wanted = stand.desired(dict(list(files.items())[:count]))
        for step in stand.target.plan(wanted, stand.target.observe()):
            assert stand.target.apply(step, stand.token(step)).status == "done"
        assert stand.target.plan(wanted, stand.target.observe()) == ()
        assert stand.target.observe().stable["schema/version"] == count
    assert stand.target.observe().stable["schema/contract"] == 4


def test_batches_go_on_until_nothing_changes(filled: Any, files: Any) -> None:
    done = filled.migrate(dict(list(files.items())[:3]))
    assert (done.status, done.figures["rows_changed"]) == ("done", 25)
    assert filled.sql("SELECT count(*) FROM telemetry WHERE unit IS NULL")[0][0] == 0


def test_batches_without_end_fail_and_are_not_recorded(filled: Any, files: Any) -> None:
    endless = dict(list(files.items())[:2])
    endless["0003_backfill_endless.sql"] = (
        "-- surefoot: batches at most 3\nUPDATE telemetry SET unit = 'C';"
    )
    failed = filled.migrate(endless)
    assert failed.status == "failed"
    assert "after 3 batches" in failed.reason
    assert filled.target.observe().stable["schema/version"] == 2


def test_a_failing_migration_leaves_nothing(filled: Any, files: Any) -> None:
    before = filled.target.observe()
    broken = dict(list(files.items())[:2])
    broken["0003_expand_broken.sql"] = (
        "CREATE TABLE extra (id INTEGER PRIMARY KEY);\n"
        "UPDATE telemetry SET room = 'lost';\n"
        "INSERT INTO device VALUES (1, 'again');\n"
    )
    failed = filled.migrate(broken)
    assert failed.status == "failed"
    assert "expand 0003 statement 3 (line 3)" in failed.reason
    assert "rolled back" in failed.reason
    assert failed.figures["failed"] == {"number": 3, "statement": 3, "line": 3}
    assert filled.target.observe().digest() == before.digest()
    assert filled.sql("SELECT count(*) FROM telemetry WHERE room = 'lost'")[0][0] == 0


def test_what_was_applied_before_the_failure_stays(filled: Any, files: Any) -> None:
    broken = dict(list(files.items())[:2])
    broken["0003_expand_good.sql"] = "CREATE TABLE good (id INTEGER);"
    broken["0004_expand_bad.sql"] = "CREATE TABLE good (id INTEGER);"
    failed = filled.migrate(broken)
    assert (failed.status, failed.figures["applied"]) == ("failed", [3])


def test_changed_content_is_refused_with_both_sums(filled: Any, files: Any) -> None:
    changed = dict(list(files.items())[:3])
    changed["0002_expand_unit.sql"] += "\n-- a second thought\n"
    with pytest.raises(Refused) as refused:
        filled.migrate(changed)
    assert refused.value.code == "migration.applied.changed"
    assert refused.value.expected.startswith("sha256:")
    assert refused.value.found.startswith("sha256:")


def test_a_class_that_was_not_asked_for_is_refused(filled: Any, files: Any) -> None:
    with pytest.raises(Refused) as refused:
        filled.migrate(files, "expand", "backfill")
    assert refused.value.code == "migration.class.refused"
    assert filled.target.observe().stable["schema/version"] == 2


def test_a_migration_that_leaves_its_transaction_is_refused(filled: Any, files: Any) -> None:
    bad = dict(list(files.items())[:2])
    bad["0003_expand_bad.sql"] = "CREATE TABLE extra (id INTEGER); COMMIT; DROP TABLE device;"
    with pytest.raises(Refused):
        filled.migrate(bad)
    assert "schema/object/table extra" not in filled.target.observe().stable


def test_a_table_altered_by_hand_is_drift_by_object(filled: Any) -> None:
    before = filled.target.observe()
    filled.sql("ALTER TABLE telemetry ADD COLUMN by_hand TEXT")
    after = filled.target.observe()
    moved = {
        name
        for name in before.stable.keys() | after.stable.keys()
        if before.stable.get(name) != after.stable.get(name)
    }
    assert moved == {"schema/digest", "schema/object/table telemetry"}


def test_rows_are_no_drift(filled: Any) -> None:
    before = filled.target.observe()
    filled.sql("INSERT INTO telemetry (id) VALUES (1000)")
    after = filled.target.observe()
    assert before.digest() == after.digest()
    assert after.volatile["rows/telemetry"] == 26


def test_a_ledger_changed_by_hand_is_refused(filled: Any, files: Any) -> None:
    filled.sql("UPDATE surefoot_migration SET sha256 = 'sha256:other' WHERE number = 2")
    with pytest.raises(Refused) as refused:
        filled.migrate(files)
    assert refused.value.code == "migration.applied.changed"


def test_a_repeat_is_answered_from_the_receipt(filled: Any, files: Any) -> None:
    three = dict(list(files.items())[:3])
    first = filled.migrate(three, operation="7/1")
    again = filled.migrate(three, operation="7/1")
    assert first == again
    assert filled.count("surefoot_migration") == 3


def test_an_older_fence_is_refused(stand: Any) -> None:
    step = Step(id="main.create", target="main", action="create")
    stand.target.apply(step, stand.claims.token(step, "1/new", 100))
    with pytest.raises(Refused) as refused:
        stand.target.apply(step, stand.claims.token(step, "1/old", 99))
    assert refused.value.code == "target.fence.moved"


BAD_STEPS: list[tuple[str, dict[str, Any]]] = [
    ("explode", {}),
    ("create", {"more": 1}),
    ("migrate", {"artifact": "sha256:x", "classes": ["expand"], "to": 1}),
    ("migrate", {"artifact": "sha256:" + "a" * 64, "classes": ["all"], "to": 1}),
    ("restore", {"writers_stopped": True}),
    ("clone_from", {"backup": "sha256:" + "a" * 64, "policy": "some"}),
]


def test_bad_arguments_are_refused(stand: Any) -> None:
    for action, arguments in BAD_STEPS:
        with pytest.raises(Refused) as refused:
            stand.act(action, **arguments)
        assert refused.value.code == "database.action.input", action


def test_checks_answer_one_value(filled: Any) -> None:
    assert filled.target.check("select count(*) from telemetry") == 25
    assert filled.target.check("select name from device where id = 2") == "it's"
    assert filled.act("check", sql="select count(*) from telemetry", expect=25).status == "done"
    failed = filled.act("check", sql="select count(*) from telemetry", expect=26)
    assert (failed.status, failed.reason) == ("failed", "expected 26, found 25")


BAD_CHECKS = [
    "delete from telemetry",
    "insert into telemetry (id) values (77) returning id",
    "select 1; delete from telemetry",
    "with gone as (delete from telemetry returning id) select count(*) from gone",
    "select * from device",
    "select 1, 2",
    "select nothing from nowhere",
    "drop table telemetry",
    "pragma journal_mode=delete",
    "copy telemetry to program 'id'",
    "",
]


def test_checks_cannot_write_and_need_one_value(filled: Any) -> None:
    for sql in BAD_CHECKS:
        with pytest.raises(Refused) as refused:
            filled.target.check(sql)
        assert refused.value.code == "database.check.input", sql
    assert filled.count("telemetry") == 25


def test_destroy_needs_nobody_connected_and_is_repeatable(filled: Any) -> None:
    assert filled.act("destroy").status == "done"
    assert filled.act("destroy").status == "done"
    assert filled.target.observe().stable["state"] == "absent"
    with pytest.raises(Refused):
        filled.act("backup")


def test_a_ledger_with_other_content_under_the_lock_is_corrupt(filled: Any, files: Any) -> None:
    from surefoot.targets.database.migration import Applied, pack, read

    (first,) = read(pack({"0001_expand_x.sql": b"SELECT 1;"}))
    entry = Applied(
        number=1, kind="expand", words="x", sha256="sha256:other", applied_at="", operation=""
    )
    with pytest.raises(Corrupt):
        filled.driver.migrate(first, entry)
