"""Every object is found, wherever it hides, and git runs nothing that a repository asks for."""

import os

import pytest

from surefoot.core.errors import Corrupt, Failed, Refused
from surefoot.supply import source


def _hide_everywhere(work):
    """A secret of its own in each place a repository can hold one."""
    work.write("deleted", "secret-deleted")
    work.commit("add")
    (work.path / "deleted").unlink()
    work.commit("secret-message")
    work.git("checkout", "-q", "-b", "side")
    work.write("s", "secret-side")
    work.commit("side")
    work.git("checkout", "-q", "main")
    work.write("binary", b"\0\0secret-nul\0")
    work.commit("binary")
    work.git("merge", "-q", "--no-ff", "--no-commit", "side")
    work.write("merged", "secret-merge")
    work.commit("merge")
    work.git("tag", "-a", "-m", "secret-tag", "v1")
    work.git("notes", "add", "-m", "secret-note", "HEAD")
    work.write("lost", "secret-reflog")
    work.commit("lost")
    work.git("reset", "-q", "--hard", "HEAD~1")
    work.write("binary", "secret-stash")
    work.git("stash", "-q")
    work.git("hash-object", "-w", "--stdin", given=b"secret-dangling")


PLACES = [
    "deleted",
    "message",
    "side",
    "nul",
    "merge",
    "tag",
    "note",
    "reflog",
    "stash",
    "dangling",
]


def test_the_walk_finds_every_place_a_secret_hides_in(work):
    _hide_everywhere(work)
    objects = list(source.walk_objects(work.path))
    everything = b"".join(o.content for o in objects)
    assert [p for p in PLACES if f"secret-{p}".encode() not in everything] == []
    assert len({o.id for o in objects}) == len(objects)
    listed = work.git("cat-file", "--batch-all-objects", "--batch-check").splitlines()
    assert {o.id for o in objects} == {line.split()[0] for line in listed}


def test_a_finding_leads_to_its_commit_and_path(work):
    _hide_everywhere(work)
    objects = list(source.walk_objects(work.path))
    where = {}
    for place in PLACES:
        holders = [o for o in objects if f"secret-{place}".encode() in o.content]
        where[place] = [p for o in holders for p in source.locate(work.path, o.id)]
    assert where["deleted"][0].path == "deleted"
    assert work.git("show", "-s", "--format=%s", where["deleted"][0].commit) == "add"
    assert where["reflog"][0].path == "lost"
    assert where["merge"][0].path == "merged"
    assert {p.path for p in where["tag"]} == {""}
    assert where["dangling"] == []


def test_an_object_above_the_bound_is_reported_as_skipped(work):
    work.write("big", b"x" * 3_000_000)
    work.write("small", "y")
    work.commit()
    objects = list(source.walk_objects(work.path, size_bytes_max=1000))
    assert [(o.size_bytes, o.content) for o in objects if o.skipped] == [(3_000_000, b"")]
    assert b"y" in [o.content for o in objects]


def test_a_walk_that_is_left_early_leaves_no_process(work):
    work.write("a", "a")
    work.commit()
    walk = source.walk_objects(work.path)
    next(walk)
    walk.close()


def test_an_object_that_was_altered_is_corrupt(work):
    work.write("a", "honest\n")
    commit = work.commit()
    blob = work.git("rev-parse", f"{commit}:a")
    other = work.git("hash-object", "-w", "--stdin", given=b"forged\n")
    objects = work.path / ".git" / "objects"
    target = objects / blob[:2] / blob[2:]
    target.chmod(0o644)
    target.write_bytes((objects / other[:2] / other[2:]).read_bytes())
    with source.ObjectReader(work.path) as reader, pytest.raises((Corrupt, Failed)):
        reader.read(blob, "blob")


def test_a_replaced_object_is_not_believed(work):
    work.write("a", "honest\n")
    commit = work.commit()
    blob = work.git("rev-parse", f"{commit}:a")
    other = work.git("hash-object", "-w", "--stdin", given=b"forged\n")
    work.git("replace", blob, other)
    with source.ObjectReader(work.path) as reader:
        assert reader.read(blob, "blob") == b"honest\n"


def test_programs_named_in_the_repositorys_configuration_never_run(work, tmp_path):
    mark = tmp_path / "ran"
    program = tmp_path / "program"
    program.write_text(f"#!/bin/sh\ntouch {mark}\ncat\n")
    program.chmod(0o755)
    work.write("a.txt", "a")
    work.write(".gitattributes", "* filter=evil diff=evil\n")
    commit = work.commit()
    for name in ("filter.evil.smudge", "diff.evil.textconv", "core.fsmonitor", "core.pager"):
        work.git("config", name, str(program))
    work.git("config", "diff.external", str(program))
    hooks = work.path / ".git" / "hooks" / "post-checkout"
    hooks.parent.mkdir(exist_ok=True)
    hooks.write_bytes(program.read_bytes())
    with source.ObjectReader(work.path) as reader:
        tree = reader.commit(commit).tree
        assert [e.path for e in reader.entries(tree)] == [".gitattributes", "a.txt"]
    source.locate(work.path, work.git("rev-parse", f"{commit}:a.txt"))
    assert not mark.exists()


def test_a_mirror_holds_every_ref_and_is_renewed(work, tmp_path):
    work.write("a", "1")
    work.commit()
    work.git("branch", "side")
    folder = tmp_path / "mirror"
    source.mirror(str(work.path), folder)
    first = source.run(folder, "for-each-ref", "--format=%(refname)").decode().split()
    assert first == ["refs/heads/main", "refs/heads/side"]
    work.git("branch", "-D", "side")
    commit = work.commit()
    source.mirror(f"file://{work.path}", folder)
    assert source.run(folder, "rev-parse", "refs/heads/main").decode().strip() == commit
    assert b"side" not in source.run(folder, "for-each-ref")


@pytest.mark.parametrize("origin", ["ext::sh -c touch", "-u", "git://host/x", "x", "http://h/x"])
def test_other_addresses_are_refused(tmp_path, origin):
    with pytest.raises(Refused, match="origin"):
        source.mirror(origin, tmp_path / "m")


def test_a_folder_that_is_no_repository_fails_even_inside_one(work):
    (work.path / "inner").mkdir()
    with pytest.raises(Failed, match="git"):
        source.run(work.path / "inner", "rev-parse", "HEAD")


def test_a_missing_git_is_named(monkeypatch, work):
    monkeypatch.setattr(os, "environ", {"PATH": "/nonexistent"})
    with pytest.raises(Failed, match="install git"):
        source.run(work.path, "status")
    with pytest.raises(Failed, match="install git"):
        list(source.walk_objects(work.path))


def test_a_walk_over_a_damaged_object_fails_and_never_ends_as_if_whole(work):
    work.write("a", "content")
    commit = work.commit()
    blob = work.git("rev-parse", f"{commit}:a")
    target = work.path / ".git" / "objects" / blob[:2] / blob[2:]
    target.chmod(0o644)
    target.write_bytes(b"damaged")
    with pytest.raises(Failed, match=r"source\."):
        list(source.walk_objects(work.path))
