"""Clones under a data policy: none, masked, full."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from surefoot.core.errors import Refused


def clone(stand: Any, make: Any, policy: str, masked: list[str] | None = None) -> Any:
    backup = stand.act("backup").figures["backup"]
    other = make("copy")
    outcome = other.act("clone_from", backup=backup, policy=policy, masked=masked or [])
    assert outcome.status == "done", outcome.reason
    return other


@pytest.mark.parametrize(("policy", "rows"), [("none", 0), ("masked", 25), ("full", 25)])
def test_every_policy_keeps_the_schema(filled: Any, make: Any, policy: str, rows: int) -> None:
    other = clone(filled, make, policy, ["telemetry.room"])
    ours, theirs = filled.target.observe(), other.target.observe()
    assert ours.stable == theirs.stable
    assert theirs.volatile["rows/telemetry"] == rows
    assert theirs.volatile["origin"]["policy"] == policy


def test_a_clone_without_data_holds_no_value(filled: Any, make: Any, files: Any) -> None:
    other = clone(filled, make, "none")
    assert other.count("device") == 0
    assert other.count("surefoot_migration") == 2
    if other.engine == "sqlite":
        assert b"it's" not in Path(other.driver.address()).read_bytes()
    assert other.migrate(files, "expand", "backfill", "contract").status == "done"


def test_masked_values_are_gone_and_equal_ones_stay_equal(filled: Any, make: Any) -> None:
    other = clone(filled, make, "masked", ["telemetry.room"])
    ours = filled.sql("SELECT id, room FROM telemetry ORDER BY id")
    theirs = other.sql("SELECT id, room FROM telemetry ORDER BY id")
    pairs = {(left[1], right[1]) for left, right in zip(ours, theirs, strict=True)}
    assert len(pairs) == 3
    assert all(value.startswith("masked-") for _, value in pairs)
    assert other.sql("SELECT name FROM device WHERE id = 1")[0][0] == "one; two"
    if other.engine == "sqlite":
        assert b"room 1" not in Path(other.driver.address()).read_bytes()


def test_two_clones_have_other_pseudonyms(filled: Any, make: Any) -> None:
    first = clone(filled, make, "masked", ["telemetry.room"])
    backup = filled.act("backup").figures["backup"]
    second = make("second")
    second.act("clone_from", backup=backup, policy="masked", masked=["telemetry.room"])
    query = "SELECT room FROM telemetry WHERE id = 1"
    assert first.sql(query) != second.sql(query)


def test_masked_keys_still_join(filled: Any, make: Any) -> None:
    other = clone(filled, make, "masked", ["device.name", "telemetry.device"])
    joined = "SELECT count(*) FROM telemetry t JOIN device d ON d.name = t.device"
    assert other.sql(joined) == filled.sql(joined)
    assert not other.sql("SELECT 1 FROM device WHERE name = 'one; two'")


def test_whole_numbers_and_others_are_masked_by_their_type(filled: Any, make: Any) -> None:
    filled.sql("CREATE TABLE mixed (id BIGINT PRIMARY KEY, whole INTEGER, real REAL)")
    filled.sql("INSERT INTO mixed VALUES (1, 12345, 1.5), (2, NULL, NULL)")
    other = clone(filled, make, "masked", ["mixed.whole", "mixed.real"])
    (first, second) = other.sql("SELECT whole, real FROM mixed ORDER BY id")
    assert isinstance(first[0], int) and first[0] != 12345
    assert isinstance(first[1], float) and first[1] != 1.5
    assert tuple(second) == (None, None)


BAD_COLUMNS = [
    ([], "1 to"),
    (["telemetry.nowhere"], "no such one"),
    (["nowhere.room"], "no such one"),
    (["surefoot_migration.words"], "no such one"),
    (["room"], "'room'"),
    (["telemetry.device"], "one side only"),
    (["device.name"], "one side only"),
]


def test_columns_that_cannot_be_masked_are_refused(filled: Any, make: Any) -> None:
    backup = filled.act("backup").figures["backup"]
    other = make("copy")
    for masked, words in BAD_COLUMNS:
        with pytest.raises(Refused) as refused:
            other.act("clone_from", backup=backup, policy="masked", masked=masked)
        assert refused.value.code == "database.mask.input"
        assert words in refused.value.expected + refused.value.found
    assert not other.driver.exists()


def test_triggers_do_not_copy_old_values_while_masking(filled: Any, make: Any) -> None:
    filled.sql("CREATE TABLE history (room TEXT)")
    if filled.engine == "sqlite":
        filled.sql(
            "CREATE TRIGGER keep AFTER UPDATE ON telemetry"
            " BEGIN INSERT INTO history VALUES (old.room); END"
        )
    else:
        filled.sql(
            "CREATE FUNCTION keep() RETURNS trigger LANGUAGE plpgsql AS"
            " $$ BEGIN INSERT INTO history VALUES (old.room); RETURN new; END $$"
        )
        filled.sql(
            "CREATE TRIGGER keep AFTER UPDATE ON telemetry FOR EACH ROW EXECUTE FUNCTION keep()"
        )
    other = clone(filled, make, "masked", ["telemetry.room"])
    assert other.count("history") == 0
    other.sql("UPDATE telemetry SET room = 'new' WHERE id = 1")
    assert other.count("history") == 1


def test_a_database_with_tables_is_no_place_for_a_clone(filled: Any, make: Any) -> None:
    backup = filled.act("backup").figures["backup"]
    with pytest.raises(Refused) as refused:
        filled.act("clone_from", backup=backup, policy="full")
    assert refused.value.code == "database.clone.target"


def test_an_empty_database_is_a_place_for_a_clone(filled: Any, make: Any) -> None:
    backup = filled.act("backup").figures["backup"]
    other = make("copy")
    other.act("create")
    assert other.act("clone_from", backup=backup, policy="full").status == "done"
    assert other.count("telemetry") == 25


def test_a_backup_of_the_other_engine_is_refused(filled: Any, make: Any) -> None:
    digest = filled.act("backup").figures["backup"]
    content = filled.blobs.get(digest).replace(filled.engine.encode(), b"other")
    with pytest.raises(Refused) as refused:
        make("copy").act("clone_from", backup=filled.blobs.put(content), policy="full")
    assert refused.value.code == "database.backup.engine"
