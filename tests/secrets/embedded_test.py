"""The embedded provider: bound to its context, readable by its runner alone, never in the open."""

import copy
import json
import logging
import pickle
import secrets
import traceback
from collections.abc import Callable, Iterator
from pathlib import Path

import msgspec
import pyrage
import pytest

from surefoot.core.errors import Corrupt, Refused, SurefootError
from surefoot.core.target import Opener
from surefoot.secrets.embedded import EmbeddedSecrets, SecretMetadata
from surefoot.secrets.recipient import Recipient, new_identity
from surefoot.secrets.text import SecretText
from surefoot.store.database import Database
from surefoot.store.postgres import PostgresDatabase
from surefoot.store.secret import SecretRows, ValueRow
from surefoot.store.sqlite import SqliteDatabase

VALUE = "correct-horse-battery-staple-9417"


@pytest.fixture
def database(tmp_path: Path) -> Iterator[SqliteDatabase]:
    opened = SqliteDatabase(tmp_path / "state")
    yield opened
    opened.close()


class House:
    """An installation with two environments; the identities can be withheld."""

    def __init__(self, database: Database) -> None:
        self.rows = SecretRows(database)
        self.key = SecretText(b"k" * 32)
        made = {name: new_identity() for name in ("staging", "production", "ann")}
        self.identities = {name: identity for name, (identity, _) in made.items()}
        self.public = {name: public for name, (_, public) in made.items()}
        self.reads: list[tuple[str, str, int]] = []
        for environment in ("staging", "production"):
            self.provider().prepare(environment, self.group(environment, "ann"))

    def group(self, *names: str) -> list[Recipient]:
        return [Recipient(name=name, key=self.public[name]) for name in names]

    def provider(
        self,
        *environments: str,
        on_read: Callable[[str, str, int], None] | None = None,
        installation: str = "house",
        key: SecretText | None = None,
        swap: dict[str, str] | None = None,
    ) -> EmbeddedSecrets:
        def note(environment: str, name: str, version: int) -> None:
            self.reads.append((environment, name, version))

        held = {name: self.identities[(swap or {}).get(name, name)] for name in environments}
        return EmbeddedSecrets(
            self.rows,
            installation=installation,
            installation_key=key or self.key,
            now_ms=lambda: 1_700_000_000_000,
            token=secrets.token_bytes,
            find_identity=held.get,
            on_read=on_read or note,
        )


@pytest.fixture
def house(database: SqliteDatabase) -> House:
    return House(database)


def test_a_runner_opens_what_was_set_without_its_identity(house: House) -> None:
    setter, runner = house.provider(), house.provider("production")
    assert setter.set("production", "session_key", SecretText(VALUE)) == 1
    assert setter.set("production", "session_key", SecretText("second")) == 2
    opener: Opener = runner
    assert opener.open("production", "session_key", 1) == VALUE.encode()
    assert opener.open("production", "session_key", 2) == b"second"
    assert house.reads == [("production", "session_key", 1), ("production", "session_key", 2)]


def test_a_runner_reuses_the_data_key_and_a_mere_setter_does_not(house: House) -> None:
    runner, setter = house.provider("production"), house.provider()
    for number in range(3):
        runner.set("production", f"name_{number}", SecretText(VALUE))
    assert len(house.rows.keys("production")) == 1
    setter.set("production", "name_0", SecretText(VALUE))
    assert len(house.rows.keys("production")) == 2
    assert runner.open("production", "name_0", 2) == VALUE.encode()


def test_metadata_tells_equal_values_and_nothing_else(house: House) -> None:
    setter = house.provider()
    setter.set("staging", "a", SecretText(VALUE))
    setter.set("production", "b", SecretText(VALUE))
    setter.set("production", "c", SecretText("other"))
    (group,) = setter.shared()
    assert {(m.environment, m.name) for m in group} == {("staging", "a"), ("production", "b")}
    setter.set("production", "b", SecretText("changed"))
    assert setter.shared() == ()
    assert set(msgspec.structs.asdict(setter.list("staging")[0])) == set(
        SecretMetadata.__struct_fields__
    )


def test_fingerprints_differ_between_installations(house: House, tmp_path: Path) -> None:
    house.provider().set("staging", "a", SecretText(VALUE))
    database = SqliteDatabase(tmp_path / "neighbour")
    neighbour = House(database)
    neighbour.key = SecretText(b"n" * 32)
    fresh = neighbour.provider()
    with pytest.raises(Corrupt):  # its keys were sealed under another installation key
        fresh.set("staging", "a", SecretText(VALUE))
    fresh.prepare("test", neighbour.group("staging"))
    fresh.set("test", "a", SecretText(VALUE))
    assert fresh.list("test")[0].fingerprint != house.provider().list("staging")[0].fingerprint
    database.close()


def replant(house: House, row: ValueRow, **changed: object) -> None:
    """Write a row as somebody would who owns the database but not the installation's key."""
    assert house.rows.add_value(msgspec.structs.replace(row, **changed))


MOVES = [
    {"environment": "staging"},
    {"name": "other"},
    {"version": 7},
    {"version": 7, "fingerprint": "00"},
    {"version": 7, "epoch": 2},
    {"version": 7, "ciphertext": b"0" * 40},
    {"version": 7, "ciphertext": b""},
]


@pytest.mark.parametrize("moved", MOVES)
def test_a_row_moved_or_planted_does_not_open(house: House, moved: dict[str, object]) -> None:
    house.provider("staging").set("staging", "session_key", SecretText(VALUE))
    house.provider("production").set("production", "session_key", SecretText("other"))
    row = house.rows.value("production", "session_key", 1)
    assert row is not None
    replant(house, row, **({"version": 3} | moved))
    at = msgspec.structs.replace(row, **({"version": 3} | moved))
    with pytest.raises(Corrupt) as caught:
        house.provider("staging", "production").open(at.environment, at.name, at.version)
    assert caught.value.code == "secret.row.differs"


@pytest.mark.parametrize(
    "moved", [{"environment": "staging"}, {"name": "other"}, {"version": 2}, {"epoch": 1}]
)
def test_the_context_is_bound_even_under_a_valid_seal(
    house: House, moved: dict[str, object]
) -> None:
    """Someone with the installation's key reseals a moved row; AES-GCM still refuses it."""
    runner = house.provider("staging", "production")
    shared = SecretText(secrets.token_bytes(32))
    for environment in ("staging", "production"):
        for epoch in (2, 3):
            recipients = runner.recipients(environment)
            row = runner._key_row(environment, epoch, shared.reveal(), recipients)
            assert house.rows.add_key(row)
    made = runner._value_row("production", "a", 1, 3, shared.reveal(), SecretText(VALUE))
    wanted = msgspec.structs.replace(made, **({"epoch": 2} if "epoch" in moved else moved))
    from surefoot.secrets.embedded import _value_parts

    resealed = msgspec.structs.replace(wanted, seal=runner._seal(_value_parts(wanted)))
    assert house.rows.add_value(resealed)
    with pytest.raises(Corrupt):
        runner.open(wanted.environment, wanted.name, wanted.version)


def test_another_installation_cannot_open(house: House) -> None:
    house.provider().set("production", "a", SecretText(VALUE))
    for other in (
        house.provider("production", installation="elsewhere"),
        house.provider("production", key=SecretText(b"x" * 32)),
    ):
        with pytest.raises(Corrupt):
            other.open("production", "a", 1)


def test_only_the_environments_runner_opens(house: House) -> None:
    house.provider().set("production", "a", SecretText(VALUE))
    with pytest.raises(Refused) as without:
        house.provider("staging").open("production", "a", 1)
    assert without.value.code == "secret.read.refused" and house.reads == []
    stranger = house.provider("production", swap={"production": "staging"})
    with pytest.raises(Refused) as wrong:
        stranger.open("production", "a", 1)
    assert "ann, production" in wrong.value.expected


def test_a_read_that_cannot_be_recorded_does_not_happen(house: House) -> None:
    def full(_environment: str, _name: str, _version: int) -> None:
        raise Corrupt("journal.read-only", "journal")

    house.provider().set("production", "a", SecretText(VALUE))
    with pytest.raises(Corrupt, match="read-only"):
        house.provider("production", on_read=full).open("production", "a", 1)


def test_rotation_adds_and_removes_recipients(house: House) -> None:
    runner = house.provider("production")
    runner.set("production", "a", SecretText(VALUE))
    assert runner.rotate_recipients("production", house.group("production")) == 2
    assert runner.open("production", "a", 1) == VALUE.encode()
    runner.set("production", "a", SecretText("new"))
    ann = house.provider("production", swap={"production": "ann"})
    for version in (1, 2):
        with pytest.raises(Refused):
            ann.open("production", "a", version)
    assert [r.name for r in runner.recipients("production")] == ["production"]


def test_rotation_by_a_stranger_is_refused(house: House) -> None:
    with pytest.raises(Refused):
        house.provider().rotate_recipients("production", house.group("ann"))


def test_preparing_twice_changes_nothing_and_other_recipients_are_refused(house: House) -> None:
    before = house.rows.keys("production")
    house.provider().prepare("production", house.group("ann", "production"))
    assert house.rows.keys("production") == before
    with pytest.raises(Refused, match="rotate"):
        house.provider().prepare("production", house.group("ann"))


def test_a_named_person_opens_with_the_age_format_alone(house: House) -> None:
    """Recovery without the product: the wrapped key is an ordinary age file."""
    house.provider().set("production", "a", SecretText(VALUE))
    newest = house.rows.keys("production")[-1]
    identity = pyrage.x25519.Identity.from_str(house.identities["ann"].reveal().decode())
    assert len(pyrage.decrypt(newest.wrapped, [identity])) == 32


BAD_GROUPS: list[list[Recipient]] = [
    [],
    [Recipient(name="ann", key="age1nothing")],
    [Recipient(name="a\nb", key=new_identity()[1])],
    [Recipient(name=f"p{n}", key=new_identity()[1]) for n in range(13)],
    [Recipient(name="ann", key=key) for key in [new_identity()[1]]] * 2,
]


@pytest.mark.parametrize("group", BAD_GROUPS, ids=["none", "key", "name", "many", "twice"])
def test_a_bad_group_is_refused(house: House, group: list[Recipient]) -> None:
    with pytest.raises(Refused) as caught:
        house.provider().prepare("fresh", group)
    assert caught.value.code == "secret.recipients.input"


def test_names_environments_and_versions_are_checked(house: House) -> None:
    with pytest.raises(Refused, match="a name like"):
        house.provider().set("production", "../x", SecretText(VALUE))
    with pytest.raises(Refused, match="prepare"):
        house.provider().set("moon", "a", SecretText(VALUE))
    with pytest.raises(Refused) as caught:
        house.provider("production").open("production", "a", 1)
    assert caught.value.status() == 404
    for content in ("", "x" * 65_537):
        with pytest.raises(Refused):
            SecretText(content)


def test_a_key_row_that_was_replaced_is_noticed(house: House) -> None:
    """An owner of the database wraps a key of his own to the public recipients."""
    stolen = house.rows.keys("production")[-1]
    forged = msgspec.structs.replace(stolen, epoch=9, wrapped=b"planted")
    assert house.rows.add_key(forged)
    with pytest.raises(Corrupt):
        house.provider().set("production", "a", SecretText(VALUE))


def test_the_database_holds_no_plaintext(house: House, tmp_path: Path) -> None:
    house.provider().set("production", "a", SecretText(VALUE))
    house.provider("production").set("production", "b", SecretText(VALUE))
    files = [path for path in (tmp_path / "state").rglob("*") if path.is_file()]
    content = b"".join(path.read_bytes() for path in files)
    assert b"production" in content
    held = [VALUE.encode(), VALUE.encode().hex().encode(), b"AGE-SECRET-KEY"]
    assert not any(part in content for part in held)


def test_a_secret_does_not_get_out_by_accident(caplog: pytest.LogCaptureFixture) -> None:
    secret = SecretText(VALUE)
    logging.getLogger("t").warning("%s %r", secret, secret)
    shown = [str(secret), repr(secret), f"{secret:>40}", repr([secret]), f"{secret!r}", caplog.text]
    assert not any(VALUE in text or VALUE[:8] in text for text in shown)
    for leak in (pickle.dumps, copy.copy, copy.deepcopy, json.dumps, msgspec.json.encode, hash):
        with pytest.raises(TypeError):
            leak(secret)  # type: ignore[operator]
    with pytest.raises(TypeError):
        vars(secret)
    assert secret == SecretText(VALUE.encode()) and secret != SecretText("other")


def test_no_error_or_its_traceback_holds_the_value(house: House) -> None:
    runner = house.provider("production")
    runner.set("production", "a", SecretText(VALUE))
    row = house.rows.value("production", "a", 1)
    assert row is not None
    replant(house, row, version=2)
    tries: list[Callable[[], object]] = [
        lambda: runner.open("production", "a", 2),
        lambda: runner.open("production", "a", 3),
        lambda: runner.set("production", "A", SecretText(VALUE)),
        lambda: house.provider().open("production", "a", 1),
    ]
    for attempt in tries:
        with pytest.raises(SurefootError) as caught:
            attempt()
        text = "".join(traceback.format_exception(caught.value)) + json.dumps(caught.value.record())
        assert VALUE not in text


def test_postgresql_keeps_the_same_contract(postgres_dsn: str) -> None:
    opened = PostgresDatabase(postgres_dsn)
    try:
        house = House(opened)
        house.provider().set("production", "a", SecretText(VALUE))
        runner = house.provider("production")
        assert runner.open("production", "a", 1) == VALUE.encode()
        assert runner.set("production", "a", SecretText("second")) == 2
        runner.rotate_recipients("production", house.group("production"))
        assert runner.open("production", "a", 2) == b"second"
        assert [m.version for m in runner.list("production")] == [1, 2]
        key = house.rows.keys("production")[-1]
        assert not house.rows.add_key(key)
        assert not house.rows.rewrap(
            ((key, key), (msgspec.structs.replace(key, seal=b"x"), key)), None
        )
    finally:
        opened.close()


def test_racing_setters_get_distinct_versions(house: House) -> None:
    import threading

    got: list[int] = []

    def work() -> None:
        for _ in range(5):
            got.append(house.provider("production").set("production", "a", SecretText(VALUE)))

    threads = [threading.Thread(target=work) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sorted(got) == list(range(1, 21))
