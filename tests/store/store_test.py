"""One suite for both databases: transactions, locks, leases."""

from __future__ import annotations

import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from importlib import resources
from pathlib import Path

import pytest

from surefoot.core.errors import Failed, Refused
from surefoot.store.database import Database, _statements, statement
from surefoot.store.lease import Leases
from surefoot.store.postgres import PostgresDatabase, PostgresSession
from surefoot.store.postgres_pool import CONNECTIONS_MAX
from surefoot.store.sqlite import SqliteDatabase

Open = Callable[[], Database]


@pytest.fixture(params=["sqlite", "postgres"])
def opener(request: pytest.FixtureRequest, tmp_path: Path) -> Open:
    """Opens the same database each time it is called."""
    if request.param == "sqlite":
        return lambda: SqliteDatabase(tmp_path / "store")
    dsn = request.getfixturevalue("postgres_dsn")
    return lambda: PostgresDatabase(dsn)


@pytest.fixture
def database(opener: Open) -> Iterator[Database]:
    found = opener()
    yield found
    found.close()


def put_state(database: Database, idx: int, content: bytes = b"x") -> None:
    with database.write() as session:
        session.run("journal.insert_state", idx=idx, content=content)


def states(database: Database) -> list[int]:
    with database.read() as session:
        rows = session.rows("journal.states_from", first=0, limit=100)
    return [row[0] for row in rows]


def test_what_is_written_is_there_after_opening_again(opener: Open) -> None:
    database = opener()
    put_state(database, 1, b"\x00\xff")
    database.close()
    database = opener()
    with database.read() as session:
        row = session.row("journal.state", idx=1)
        assert session.row("journal.state", idx=2) is None
    database.close()
    assert row is not None and bytes(row[0]) == b"\x00\xff"


def test_an_exception_changes_nothing(database: Database) -> None:
    with pytest.raises(ZeroDivisionError), database.write() as session:
        session.run("journal.insert_state", idx=1, content=b"x")
        raise ZeroDivisionError
    assert states(database) == []
    put_state(database, 2)
    assert states(database) == [2]


def test_a_read_sees_one_moment(database: Database) -> None:
    put_state(database, 1)
    with database.read() as session:
        assert len(session.rows("journal.states_from", first=0, limit=9)) == 1
        thread = threading.Thread(target=put_state, args=(database, 2))
        thread.start()
        thread.join()
        assert len(session.rows("journal.states_from", first=0, limit=9)) == 1
    assert states(database) == [1, 2]


def test_a_failed_statement_is_our_mistake_not_the_worlds(database: Database) -> None:
    put_state(database, 1)
    with pytest.raises(Exception, match=r"(?i)null") as caught:
        put_state(database, 2, None)  # type: ignore[arg-type]
    assert not isinstance(caught.value, Failed)
    assert states(database) == [1]


def test_threads_write_one_after_the_other(database: Database) -> None:
    def write_many(first: int) -> None:
        for i in range(20):
            put_state(database, first + i)

    threads = [threading.Thread(target=write_many, args=(first,)) for first in (0, 20, 40, 60)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(states(database)) == 80


def test_exclusive_holds_off_other_threads(database: Database) -> None:
    inside, most = 0, 0

    def enter() -> None:
        nonlocal inside, most
        for _ in range(10):
            with database.exclusive("name"):
                inside += 1
                most = max(most, inside)
                put_state(database, 1)
                inside -= 1

    threads = [threading.Thread(target=enter) for _ in range(3)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert most == 1


def test_exclusive_holds_off_other_processes_on_postgres(postgres_dsn: str) -> None:
    one, two = PostgresDatabase(postgres_dsn), PostgresDatabase(postgres_dsn)
    entered = threading.Event()

    def enter() -> None:
        with two.exclusive("name"):
            entered.set()

    thread = threading.Thread(target=enter)
    with one.exclusive("name"):
        thread.start()
        assert not entered.wait(0.3)
    thread.join(90)
    assert entered.is_set()
    one.close()
    two.close()


def end_connection(other: PostgresDatabase, session: PostgresSession) -> None:
    """As a server that restarts does."""
    (pid,) = session._connection.execute("SELECT pg_backend_pid()").fetchone()  # type: ignore
    with other.write() as ending:
        ending._connection.execute("SELECT pg_terminate_backend(%s, 5000)", (pid,))


def test_a_postgres_connection_that_broke_is_opened_again(postgres_dsn: str) -> None:
    database, other = PostgresDatabase(postgres_dsn), PostgresDatabase(postgres_dsn)
    put_state(database, 1)
    with pytest.raises(Failed, match=r"store\.database\.unreachable"), database.write() as session:
        end_connection(other, session)
        session.rows("lease.holder", name="x")
    assert states(database) == [1]
    other.close()
    database.close()


def test_a_postgres_connection_that_broke_idle_is_not_used_again(postgres_dsn: str) -> None:
    database, other = PostgresDatabase(postgres_dsn), PostgresDatabase(postgres_dsn)
    put_state(database, 1)
    with database.read() as session:
        idle = session
    end_connection(other, idle)
    assert states(database) == [1]
    other.close()
    database.close()


def test_a_lock_that_was_lost_is_not_taken_for_held(postgres_dsn: str) -> None:
    database, other = PostgresDatabase(postgres_dsn), PostgresDatabase(postgres_dsn)
    with pytest.raises(Failed, match=r"store\.database\.unreachable"), database.exclusive("name"):
        with database.write() as session:
            held = session
        end_connection(other, held)
        with other.exclusive("name"):
            put_state(database, 2)
    assert states(database) == []
    other.close()
    database.close()


def test_more_threads_than_connections_take_turns(postgres_dsn: str) -> None:
    database = PostgresDatabase(postgres_dsn)
    with ThreadPoolExecutor(CONNECTIONS_MAX * 3) as pool:
        list(pool.map(lambda number: put_state(database, f"{number:02d}"), range(60)))
        found = list(pool.map(lambda _: len(states(database)), range(60)))
    assert set(found) == {60}
    with database.read() as session:
        row = session._connection.execute(  # type: ignore[attr-defined]
            "SELECT count(*) FROM pg_stat_activity WHERE datname = current_database()"
        ).fetchone()
    assert row[0] <= CONNECTIONS_MAX
    database.close()


def test_a_reader_of_postgres_changes_nothing(postgres_dsn: str) -> None:
    reader = PostgresDatabase(postgres_dsn, read_only=True)
    with pytest.raises(Failed, match=r"store\.database\.rights"):
        states(reader)
    PostgresDatabase(postgres_dsn).close()
    assert states(reader) == []
    with pytest.raises(Failed, match=r"store\.database\.rights"):
        put_state(reader, 1)
    reader.close()


def test_an_address_that_is_none_is_refused() -> None:
    with pytest.raises(Refused, match=r"store\.address\.input"):
        PostgresDatabase("over there")


def test_a_server_that_does_not_answer_is_failed() -> None:
    with pytest.raises(Failed, match=r"store\.database\.unreachable"):
        PostgresDatabase("postgresql://nobody@127.0.0.1:1/none")


def test_a_second_server_on_a_data_directory_is_refused(tmp_path: Path) -> None:
    program = (
        "import sys; from pathlib import Path; from surefoot.store.sqlite import SqliteDatabase;"
        "SqliteDatabase(Path(sys.argv[1])); print('open', flush=True); sys.stdin.read()"
    )
    with subprocess.Popen(
        [sys.executable, "-c", program, str(tmp_path)],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    ) as holder:
        assert holder.stdout is not None
        assert holder.stdout.readline() == "open\n"
        with pytest.raises(Refused) as caught:
            SqliteDatabase(tmp_path)
        assert caught.value.code == "store.directory.locked"
        assert str(holder.pid) in caught.value.found
        holder.kill()
    SqliteDatabase(tmp_path).close()


def test_reading_only_needs_no_lock_and_cannot_write(tmp_path: Path) -> None:
    server = SqliteDatabase(tmp_path)
    put_state(server, 1)
    reader = SqliteDatabase(tmp_path, read_only=True)
    assert states(reader) == [1]
    with pytest.raises(Failed, match="readonly"):
        put_state(reader, 2)
    reader.close()
    server.close()


def test_a_file_that_is_no_database_is_corrupt(tmp_path: Path) -> None:
    (tmp_path / "surefoot.db").write_bytes(b"not a database, not at all" * 100)
    with pytest.raises(Exception, match=r"store\.database\.damaged"):
        SqliteDatabase(tmp_path)


def test_statements_are_named_and_translated() -> None:
    assert ":idx" in statement("journal.state", "sqlite")
    assert "%(idx)s" in statement("journal.state", "postgres")
    with pytest.raises(KeyError):
        statement("journal.no_such", "sqlite")


def test_statements_share_parts_and_none_is_left_open() -> None:
    rooms = resources.files("surefoot.store").joinpath("queries").iterdir()
    for file in (room.name.removesuffix(".sql") for room in rooms):
        for name, sql in _statements(file).items():
            assert "{{" not in sql, (file, name)
    page, reach = (statement(f"device_inventory.by_tag{end}", "sqlite") for end in ("", "_reach"))
    scan = "FROM device_tag_names"
    assert page.count(scan) == reach.count(scan) == 1
    assert "device_heads" in page and "device_heads" not in reach


def test_a_lease_has_one_holder_and_fences_that_grow(database: Database) -> None:
    leases = Leases(database)
    assert leases.acquire("e", "a", 0, 100) == 1
    assert leases.acquire("e", "b", 99, 100) is None
    assert leases.holder("e", 99) == "a"
    assert leases.renew("e", "a", 1, 99, 100)
    assert leases.acquire("e", "b", 198, 100) is None
    assert leases.acquire("e", "b", 199, 100) == 2
    assert not leases.renew("e", "a", 1, 199, 100)
    assert not leases.release("e", "a", 1)
    assert leases.release("e", "b", 2)
    assert leases.holder("e", 200) is None
    assert leases.acquire("e", "a", 200, 100) == 3
    assert leases.acquire("e", "a", 201, 100) == 4  # a restarted worker gets a fence of its own
    assert not leases.renew("e", "a", 3, 202, 100)


def test_of_many_that_acquire_a_lease_one_gets_it(database: Database) -> None:
    leases, got = Leases(database), []

    def acquire(worker: str) -> None:
        fence = leases.acquire("e", worker, 0, 100)
        if fence is not None:
            got.append((worker, fence))

    threads = [threading.Thread(target=acquire, args=(f"w{i}",)) for i in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(got) == 1


def test_cleared_leases_are_free(database: Database) -> None:
    leases = Leases(database)
    assert leases.acquire("environment/dev", "dead", 1_000, 30_000) is not None
    assert leases.acquire("environment/dev", "fresh", 1_001, 30_000) is None
    leases.clear()
    assert leases.acquire("environment/dev", "fresh", 1_002, 30_000) is not None


def test_one_that_is_alone_on_postgres_has_no_writer_beside_it(postgres_dsn: str) -> None:
    server, other = PostgresDatabase(postgres_dsn), PostgresDatabase(postgres_dsn)
    for running in (server, other):
        with pytest.raises(Refused, match=r"store\.directory\.locked.*|stop all servers first"):
            PostgresDatabase(postgres_dsn, alone=True)
        running.close()
    alone = PostgresDatabase(postgres_dsn, alone=True)
    with alone.write():
        for more in (False, True):
            with pytest.raises(Refused, match=r"store\.directory\.locked"):
                PostgresDatabase(postgres_dsn, alone=more)
    reader = PostgresDatabase(postgres_dsn, read_only=True)
    reader.close()
    alone.close()
    PostgresDatabase(postgres_dsn).close()


def test_a_server_whose_lines_were_cut_does_not_come_back_beside_one_alone(
    postgres_dsn: str,
) -> None:
    server = PostgresDatabase(postgres_dsn)
    server._pool.close()
    alone = PostgresDatabase(postgres_dsn, alone=True)
    with pytest.raises(Refused, match=r"store\.directory\.locked"), server.write():
        pass
    alone.close()
    with server.write():
        pass
    server.close()
