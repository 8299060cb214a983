"""Which commit last set a line, over real repositories, and beside git's own answer."""

from __future__ import annotations

from typing import Any

import pytest

from surefoot.core.errors import Corrupt, Refused, SurefootError
from surefoot.supply import blame
from surefoot.supply.repository import Repository


def text(*lines: str) -> str:
    return "".join(f"{line}\n" for line in lines)


def change(work: Any, message: str, *lines: str) -> str:
    work.write("surefoot.yaml", text(*lines))
    return str(work.commit(message))


def test_each_line_belongs_to_the_commit_that_last_set_it(work: Any) -> None:
    first = change(work, "first", "a: 1", "b: 1", "c: 1")
    second = change(work, "second", "a: 1", "b: 2", "c: 1")
    work.write("other", "nothing to do with it")
    newest = work.commit("other")
    third = change(work, "third", "x: 0", "a: 1", "b: 2", "c: 1")
    found = blame.last_set(work.path, newest, "surefoot.yaml")
    assert found[:3] == (first, second, first)
    found = blame.last_set(work.path, third, "surefoot.yaml")
    assert found[:4] == (third, first, second, first)
    people = [c.author.email for c in Repository(work.path).last_set(third, "surefoot.yaml")]
    assert people[:2] == ["ann@example.com", "ann@example.com"]


def test_a_merge_sets_only_what_neither_side_had(work: Any) -> None:
    base = change(work, "base", "a: 1", "b: 1", "c: 1", "d: 1", "e: 1")
    work.git("checkout", "-q", "-b", "side")
    side = change(work, "side", "a: 2", "b: 1", "c: 1", "d: 1", "e: 1")
    work.git("checkout", "-q", "main")
    main = change(work, "main", "a: 1", "b: 1", "c: 1", "d: 1", "e: 2")
    work.git("merge", "-q", "--no-commit", "side")
    merge = change(work, "merge", "a: 2", "b: 1", "c: 9", "d: 1", "e: 2")
    found = blame.last_set(work.path, merge, "surefoot.yaml")
    assert found[:5] == (side, base, merge, base, main)


def test_a_file_taken_away_and_brought_back_is_set_anew(work: Any) -> None:
    change(work, "first", "a: 1")
    work.git("rm", "-q", "surefoot.yaml")
    work.commit("away")
    again = change(work, "again", "a: 1")
    assert blame.last_set(work.path, again, "surefoot.yaml")[0] == again


def test_the_repositorys_own_settings_take_no_part(work: Any) -> None:
    """Git's blame would pass over a commit that the repository says to ignore."""
    change(work, "first", "a: 1")
    second = change(work, "second", "a: 2")
    work.write("ignored", f"{second}\n")
    work.git("config", "blame.ignoreRevsFile", "ignored")
    assert blame.last_set(work.path, second, "surefoot.yaml")[0] == second


def test_what_is_too_long_or_not_there_is_refused(
    work: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    change(work, "first", "a: 1")
    newest = change(work, "second", "a: 2")
    assert blame.last_set(work.path, newest, "nothing.yaml") == ()
    with pytest.raises(Refused) as refused:
        Repository(work.path).last_change(newest, "nothing.yaml")
    assert refused.value.code == "source.path.unknown"
    monkeypatch.setattr(blame, "VERSIONS_MAX", 1)
    with pytest.raises(Refused) as refused:
        blame.last_set(work.path, newest, "surefoot.yaml")
    assert refused.value.code == "source.history.size"


def test_the_last_change_of_a_folder_is_found(work: Any) -> None:
    work.write("api/main.py", "1")
    first = work.commit("api")
    work.write("schema/1.sql", "1")
    second = work.commit("schema")
    repository = Repository(work.path)
    assert repository.last_change(second, "api").id == first
    assert repository.last_change(second, "schema").id == second


def test_an_altered_version_is_not_believed(work: Any) -> None:
    change(work, "first", "a: 1")
    newest = change(work, "second", "a: 2")
    name = work.git("rev-parse", "HEAD:surefoot.yaml")
    path = work.path / ".git" / "objects" / name[:2] / name[2:]
    other = work.git("hash-object", "-w", "--stdin", given=b"a: 3\n")
    path.chmod(0o600)
    path.write_bytes((work.path / ".git" / "objects" / other[:2] / other[2:]).read_bytes())
    with pytest.raises((Corrupt, SurefootError)):
        blame.last_set(work.path, newest, "surefoot.yaml")
