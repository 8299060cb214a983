"""Who signed and who contributed, and a checkout that is the tree and nothing else."""

import hashlib
import os
import stat

import pytest

from surefoot.core.errors import Failed, Refused
from surefoot.supply import source
from surefoot.supply.commit import object_id, parse_commit, signed_bytes
from surefoot.supply.repository import Repository, checkout


def test_the_signer_is_found_by_our_own_code(work):
    work.write("a", "1")
    commit = work.commit("by bob\n\ngpgsig in the message\n", person=work.bob)
    repository = Repository(work.path)
    enrolled = {work.ann.key.keyid, work.bob.key.keyid}
    assert repository.verify_commit(commit, enrolled) == work.bob.key.keyid
    with pytest.raises(Refused) as refused:
        repository.verify_commit(commit, {work.ann.key.keyid})
    assert refused.value.code == "source.signer.unenrolled"
    assert refused.value.found == work.bob.key.keyid


def test_an_unsigned_commit_is_refused(work):
    commit = work.commit(sign=False)
    with pytest.raises(Refused) as refused:
        Repository(work.path).verify_commit(commit, {work.ann.key.keyid})
    assert refused.value.code == "source.commit.unsigned"


@pytest.mark.parametrize("change", [(b"ann@", b"eve@"), (b"change", b"evil!!")])
def test_a_signature_moved_to_another_commit_does_not_hold(work, change):
    commit = work.commit()
    raw = source.run(work.path, "cat-file", "commit", commit).replace(*change)
    forged = work.git("hash-object", "-t", "commit", "-w", "--stdin", given=raw)
    with pytest.raises(Refused) as refused:
        Repository(work.path).verify_commit(forged, {work.ann.key.keyid})
    assert refused.value.code == "source.commit.signature"
    assert refused.value.status() == 403


def test_two_signatures_in_one_commit_count_as_none(work):
    commit = work.commit()
    raw = source.run(work.path, "cat-file", "commit", commit)
    payload = signed_bytes(raw)
    header = raw[raw.index(b"gpgsig ") : raw.index(b"\n\n") + 1]
    twice = payload.replace(b"\n\n", b"\n" + header + header + b"\n", 1)
    name = object_id("commit", twice, commit)
    assert parse_commit(name, twice).standing == "bad"
    assert object_id("commit", raw, commit) == commit


def test_contributors_are_all_people_since_the_last_release(work):
    work.write("a", "1")
    base = work.commit("first")
    work.git("checkout", "-q", "-b", "side")
    work.commit("on the side\n\nCo-authored-by: Eve <eve@example.com>", person=work.bob)
    work.git("checkout", "-q", "main")
    work.commit("unsigned", sign=False)
    work.git("merge", "-q", "--no-ff", "-m", "merge", "--no-gpg-sign", "side")
    found = Repository(work.path).contributors(base, "main")
    assert {c.subject: c.standing for c in found} == {
        "merge": "none",
        "on the side": "good",
        "unsigned": "none",
    }
    side = next(c for c in found if c.standing == "good")
    assert side.signer == work.bob.key.keyid
    assert side.author.email == "bob@example.com"
    assert side.coauthors == ("eve@example.com",)
    assert len(Repository(work.path).contributors("", "main")) == 4


def test_the_definitions_history_shows_changes_made_in_a_merge(work):
    work.write("surefoot.yaml", "1")
    base = work.commit("first")
    work.git("checkout", "-q", "-b", "side")
    work.write("b", "b")
    work.commit("side", person=work.bob)
    work.git("checkout", "-q", "main")
    work.write("c", "c")
    work.commit("other")
    work.git("merge", "-q", "--no-ff", "--no-commit", "side")
    work.write("surefoot.yaml", "2")
    evil = work.commit("merge", person=work.bob)
    found = Repository(work.path).definition_history("surefoot.yaml", base, "main")
    assert [(c.id, c.signer) for c in found] == [(evil, work.bob.key.keyid)]


def test_a_checkout_is_the_tree_with_modes_and_one_time(work, tmp_path):
    work.write("service/run.sh", "#!/bin/sh\n", 0o755)
    work.write("service/sub/text", "line\n")
    work.write("service/.gitattributes", "* text eol=crlf export-ignore ident\n")
    (work.path / "service" / "link").symlink_to("sub/text")
    work.write("other", "not this")
    commit = work.commit()
    folder = tmp_path / "out"
    found = checkout(work.path, commit, "service", folder)
    listed = sorted(str(p.relative_to(folder)) for p in folder.rglob("*"))
    assert listed == [".gitattributes", "link", "run.sh", "sub", "sub/text"]
    # git's own checkout would write \r\n here, because the attributes say so.
    assert (folder / "sub/text").read_bytes() == b"line\n"
    assert stat.S_IMODE((folder / "run.sh").stat().st_mode) == 0o755
    assert stat.S_IMODE((folder / "sub/text").stat().st_mode) == 0o644
    assert os.readlink(folder / "link") == "sub/text"
    times = {p.lstat().st_mtime for p in (folder, *folder.rglob("*"))}
    assert times == {found.time_seconds} == {work.time}
    with pytest.raises(Failed, match="exists"):
        checkout(work.path, commit, "service", folder)


def test_a_tree_that_would_write_outside_is_refused(work, tmp_path):
    blob = work.git("hash-object", "-w", "--stdin", given=b"evil")
    raw = b"100644 ../../evil\0" + bytes.fromhex(blob)
    words = ("hash-object", "-t", "tree", "-w", "--stdin", "--literally")
    tree = work.git(*words, given=raw)
    commit = work.git("commit-tree", "-m", "evil", tree)
    with pytest.raises(Refused, match="tree"):
        checkout(work.path, commit, "", tmp_path / "out")
    assert not (tmp_path.parent / "evil").exists()


def test_a_submodule_is_refused_by_name(work, tmp_path):
    commit = work.commit()
    work.git("update-index", "--add", "--cacheinfo", f"160000,{commit},lib")
    work.git("commit", "-q", "-m", "submodule")
    with pytest.raises(Refused, match="submodule"):
        checkout(work.path, work.git("rev-parse", "HEAD"), "", tmp_path / "out")


def test_refs_resolve_to_commits_and_options_do_not(work):
    commit = work.commit()
    work.git("tag", "-a", "-m", "t", "v1.0")
    repository = Repository(work.path)
    for ref in ("main", "v1.0", "HEAD", commit, commit[:10], "refs/heads/main"):
        assert repository.resolve(ref) == commit
    for ref in ("--all", "-h", "", "a b", "main..v1.0", "HEAD@{1}", "main\n", "x" * 300):
        with pytest.raises(Refused, match="input"):
            repository.resolve(ref)
    with pytest.raises(Refused, match="unknown"):
        repository.resolve("nowhere")


def test_files_and_trees_are_read_from_the_commit_not_the_working_copy(work):
    work.write("surefoot.yaml", "committed")
    work.write("service/a", "a")
    commit = work.commit()
    work.write("surefoot.yaml", "edited by hand")
    repository = Repository(work.path)
    assert repository.read_file(commit, "surefoot.yaml") == b"committed"
    assert repository.tree_of(commit, "service") == work.git("rev-parse", f"{commit}:service")
    assert repository.tree_of(commit) == work.git("rev-parse", f"{commit}^{{tree}}")
    for path in ("missing", "service/a/b", "service"):
        with pytest.raises(Refused, match="path"):
            repository.read_file(commit, path)


def test_shallow_and_partial_clones_are_refused(work, tmp_path):
    work.commit()
    work.commit()
    shallow = tmp_path / "shallow"
    work.git("clone", "-q", "--depth", "1", f"file://{work.path}", str(shallow))
    assert Repository(shallow).is_shallow()
    with pytest.raises(Refused, match="shallow"):
        Repository(shallow).contributors("", "main")
    work.git("config", "uploadpack.allowFilter", "true")
    partial = tmp_path / "partial"
    work.git("clone", "-q", "--filter=blob:none", f"file://{work.path}", str(partial))
    with pytest.raises(Refused, match="partial"):
        Repository(partial).require_complete()
    Repository(work.path).require_complete()


def test_a_graft_cannot_hide_people(work):
    work.commit("first", person=work.bob)
    last = work.commit("second")
    grafts = work.path / ".git" / "info" / "grafts"
    grafts.parent.mkdir(exist_ok=True)
    grafts.write_text(f"{last}\n")
    assert len(Repository(work.path).contributors("", "main")) == 2


def test_repositories_with_sha256_names_work(tmp_path, work):
    work.path.rename(tmp_path / "old")
    work.path.mkdir()
    work.git("init", "-q", "-b", "main", "--object-format=sha256", ".")
    work.git("config", "gpg.format", "ssh")
    work.write("d/a", "1")
    commit = work.commit()
    assert len(commit) == 64 == len(hashlib.sha256().hexdigest())
    assert Repository(work.path).verify_commit(commit, {work.ann.key.keyid})
    checkout(work.path, commit, "d", tmp_path / "out")
    assert (tmp_path / "out" / "a").read_text() == "1"


def test_a_signature_of_another_kind_is_refused_as_such(work):
    raw = source.run(work.path, "cat-file", "commit", work.commit(sign=False))
    pgp = b"gpgsig -----BEGIN PGP SIGNATURE-----\n \n abc\n -----END PGP SIGNATURE-----\n"
    signed = raw.replace(b"\n\n", b"\n" + pgp + b"\n", 1)
    name = work.git("hash-object", "-t", "commit", "-w", "--stdin", given=signed)
    with pytest.raises(Refused) as refused:
        Repository(work.path).verify_commit(name, {work.ann.key.keyid})
    assert (refused.value.code, refused.value.found) == (
        "source.commit.signature",
        "another kind",
    )
