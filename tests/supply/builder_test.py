"""A component is built once, apart, and a second build of the same input is the same or refused."""

import io
import json
import os
import tarfile
import textwrap
from pathlib import Path

import msgspec
import pytest

from surefoot.core.errors import Failed, Refused
from surefoot.supply import build, provenance
from surefoot.supply.order import BuildOrder
from surefoot.testing.waiting import until
from surefoot.trust import keys
from surefoot.trust.digest import digest_of

BUILDER = keys.private_key(b"\x09" * 32).public
HASH = "a" * 64

BUILD = """
    import json, os, pathlib, sys, tarfile
    out = pathlib.Path(sys.argv[1])
    with tarfile.open(out / "api.tar", "w") as tar:
        for name in sorted(p.name for p in pathlib.Path(".").glob("*.txt")):
            member = tarfile.TarInfo(name)
            member.size = os.path.getsize(name)
            member.mtime = int(os.environ["SOURCE_DATE_EPOCH"])
            tar.addfile(member, open(name, "rb"))
    (out / "manifest.json").write_text(json.dumps({"name": "api", "version": "1"}))
    print("built with", sorted(os.environ))
"""
TESTS = """
    import pathlib, sys
    pathlib.Path(sys.argv[1]).write_text(
        '<testsuite><testcase classname="api" name="one"/>'
        '<testcase name="two"><skipped/></testcase></testsuite>')
"""
ORDER = BuildOrder(
    name="api",
    kind="service",
    path="service",
    command=("python3", "build.py", "{out}"),
    artifact="api.tar",
    manifest="manifest.json",
    tests_command=("python3", "run_tests.py", "{junit}"),
    locks=("requirements.lock",),
    tools=("python3",),
    timeout_seconds=60,
)


def _members(content):
    with tarfile.open(fileobj=io.BytesIO(content)) as tar:
        return tar.getmembers()


def _commit(work, build_text=BUILD, tests_text=TESTS):
    work.write("service/build.py", textwrap.dedent(build_text))
    work.write("service/run_tests.py", textwrap.dedent(tests_text))
    work.write("service/a.txt", "a")
    work.write("service/requirements.lock", f"Some_Thing==1.2 --hash=sha256:{HASH}\n")
    return work.commit()


def test_a_component_is_built_with_everything_that_is_said_of_it(work, builder, blobs, said):
    commit = _commit(work)
    built = builder.build(ORDER, commit)
    artifact = blobs.get(built.artifact)
    assert [m.name for m in _members(artifact)] == ["a.txt"]
    assert built.artifact_size == len(artifact)
    assert built.manifest == {"name": "api", "version": "1"}
    origin = provenance.verify_provenance(blobs.get(built.provenance), [BUILDER], built.artifact)
    assert (origin.commit, origin.component, origin.build_key) == (commit, "api", built.build_key)
    assert origin.tree == work.git("rev-parse", f"{commit}:service") == built.tree
    tested = provenance.verify_test_result(blobs.get(built.test_result), [BUILDER], built.artifact)
    assert (tested.result, tested.passed, tested.skipped) == ("PASSED", 1, 1)
    assert tested.junit == built.tests
    bill = json.loads(blobs.get(built.sbom))
    assert [c["purl"] for c in bill["components"]] == ["pkg:pypi/some-thing@1.2"]
    assert built.figures["tests"]["passed"] == 1
    assert any("testing" in line for line in said)


def test_the_environment_is_minimal_and_nothing_of_ours_gets_in(work, builder, blobs, monkeypatch):
    monkeypatch.setenv("TOKEN", "surely-secret")
    built = builder.build(ORDER, _commit(work))
    log = blobs.get(built.log).decode()
    assert "surely-secret" not in log
    names = ["HOME", "LANG", "LC_ALL", "PATH", "SOURCE_DATE_EPOCH", "TMPDIR", "TZ"]
    assert log.splitlines()[0] == f"built with {names}"


def test_a_second_build_of_the_same_input_is_not_made(work, builder, said):
    commit = _commit(work)
    first = builder.build(ORDER, commit)
    del said[:]
    assert builder.build(ORDER, "main") == first
    assert said == [f"api: built before, {first.artifact}"]


def test_building_again_proves_the_same_bytes(work, builder):
    commit = _commit(work)
    first = builder.build(ORDER, commit)
    assert builder.rebuild_and_compare(ORDER, commit) == first


def test_a_build_that_differs_is_refused_by_the_first_member_that_differs(work, builder):
    clock = BUILD.replace("import json", "import time, json").replace(
        'int(os.environ["SOURCE_DATE_EPOCH"])', "time.time_ns() // 1000"
    )
    commit = _commit(work, clock)
    first = builder.build(ORDER, commit)
    with pytest.raises(Refused) as refused:
        builder.rebuild_and_compare(ORDER, commit)
    assert refused.value.code == "build.not-reproducible"
    assert "member a.txt: mtime" in refused.value.found
    assert builder.build(ORDER, commit) == first


def test_any_change_of_the_inputs_is_another_build(work, builder):
    first = builder.inputs(ORDER, _commit(work)).key()
    assert builder.inputs(ORDER, "main").key() == first
    work.write("service/a.txt", "b")
    second = builder.inputs(ORDER, work.commit()).key()
    third = builder.inputs(msgspec.structs.replace(ORDER, artifact="b.tar"), "main").key()
    assert len({first, second, third}) == 3


def test_a_failing_build_names_its_last_line_and_leaves_nothing(work, builder, blobs, tmp_path):
    commit = _commit(work, "import sys; print('first'); sys.exit('no compiler')")
    with pytest.raises(Failed) as failed:
        builder.build(ORDER, commit)
    assert failed.value.found == "exit status 1: no compiler"
    assert b"no compiler" in blobs.get(failed.value.remedy.rsplit(" ", 1)[1])
    assert not (tmp_path / "builds" / "api").exists()


def test_a_build_that_hangs_is_ended_with_all_it_started(work, builder, tmp_path):
    mark = tmp_path / "alive"
    commit = _commit(
        work,
        f"""
        import subprocess, sys, time
        code = "import time, pathlib; time.sleep(90); pathlib.Path({str(mark)!r}).touch()"
        subprocess.Popen([sys.executable, "-c", code], start_new_session=True)
        time.sleep(90)
        """,
    )
    with pytest.raises(Failed, match="slow"):
        builder.build(msgspec.structs.replace(ORDER, timeout_seconds=1), commit)
    if build.isolation().processes == "own":
        until(lambda: not _runs(str(mark)), 60)
        assert not mark.exists()


def _runs(word: str) -> bool:
    """Whether a process lives whose command line holds the word."""
    for entry in Path("/proc").glob("[0-9]*"):
        try:
            if word.encode() in (entry / "cmdline").read_bytes():
                return True
        except OSError:
            continue
    return False


@pytest.mark.parametrize(
    "text, code",
    [
        ("", "build.output.missing"),
        (
            "import os,sys; os.symlink('/etc/passwd', sys.argv[1]+'/api.tar')",
            "build.output.missing",
        ),
        ("import os,sys; os.mkdir(sys.argv[1]+'/api.tar')", "build.output.input"),
        ("import sys; open(sys.argv[1]+'/api.tar','w')", "build.output.missing"),
        (
            "import sys; open(sys.argv[1]+'/api.tar','w');"
            "open(sys.argv[1]+'/manifest.json','w').write('{\"a\": 1.5}')",
            "build.manifest.input",
        ),
    ],
)
def test_an_artifact_that_is_no_plain_file_is_refused(work, builder, text, code):
    with pytest.raises(Refused) as refused:
        builder.build(ORDER, _commit(work, text))
    assert refused.value.code == code


def test_tests_cannot_change_the_artifact(work, builder, blobs):
    evil = TESTS + (
        "\n    (pathlib.Path(sys.argv[1]).parent / 'out' / 'api.tar').write_bytes(b'evil')\n"
    )
    built = builder.build(ORDER, _commit(work, tests_text=evil))
    assert b"evil" not in blobs.get(built.artifact)


@pytest.mark.parametrize(
    "tests_text, result, trouble",
    [
        ("import sys; sys.exit(1)", None, "build.output.missing"),
        ("import sys; open(sys.argv[1],'w').write('<testsuite/>')", None, "no test at all"),
        (TESTS + "\n    sys.exit(3)", "FAILED", ""),
        (TESTS.replace("<skipped/>", "<failure/>"), "FAILED", ""),
    ],
)
def test_tests_that_fail_or_say_nothing_never_pass(
    work, builder, blobs, tests_text, result, trouble
):
    built = builder.build(ORDER, _commit(work, tests_text=tests_text))
    assert trouble in built.figures["tests"]["trouble"]
    if result is None:
        assert built.test_result is None and built.figures["tests"]["trouble"]
    else:
        tested = provenance.verify_test_result(
            blobs.get(built.test_result), [BUILDER], built.artifact
        )
        assert tested.result == result


def test_there_is_no_network_but_a_loopback(work, builder, blobs):
    probe = (
        BUILD
        + """
    import socket
    print("interfaces", [name for _, name in socket.if_nameindex()])
    with socket.create_server(("127.0.0.1", 0)) as server:
        socket.create_connection(server.getsockname()).close()
        print("loopback works")
    """
    )
    built = builder.build(ORDER, _commit(work, probe))
    log = blobs.get(built.log).decode()
    assert "loopback works" in log
    isolation = provenance.verify_provenance(
        blobs.get(built.provenance), [BUILDER], built.artifact
    ).isolation
    if isolation["network"] == "none":
        assert "interfaces ['lo']" in log
    assert isolation == build.isolation().record()


def test_migrations_are_the_folder_as_a_tar_the_same_each_time(work, builder, blobs):
    work.write("migrations/0001_expand_tables.sql", "create table a (b int);\n", 0o755)
    work.write("migrations/0002_contract_tables.sql", "drop table a;\n")
    commit = work.commit()
    order = BuildOrder(name="schema", kind="migrations", path="migrations")
    built = builder.build(order, commit)
    tar = _members(blobs.get(built.artifact))
    assert [m.name for m in tar] == ["0001_expand_tables.sql", "0002_contract_tables.sql"]
    assert {(m.mtime, m.uid, m.gid, m.uname) for m in tar} == {(0, 0, 0, "")}
    assert builder.rebuild_and_compare(order, commit) == built
    assert built.tests is None and built.figures == {"built_ms": 0}
    work.write("elsewhere", "changed")
    later = builder.build(order, work.commit())
    assert later.artifact == built.artifact and later.build_key != built.build_key


@pytest.mark.parametrize(
    "change",
    [
        {"name": "../x"},
        {"path": "/etc"},
        {"path": "a/../../b"},
        {"artifact": "../x"},
        {"locks": ("../../x",)},
        {"tools": ("--x",)},
        {"command": ()},
        {"artifact": ""},
        {"timeout_seconds": 0},
        {"command": ("x",) * 300},
    ],
)
def test_orders_that_reach_out_are_refused(work, builder, change):
    with pytest.raises(Refused, match=r"build\.order\.input"):
        builder.build(msgspec.structs.replace(ORDER, **change), "main")


def test_a_tool_that_is_missing_is_named(work, builder):
    with pytest.raises(Failed, match="no-such-tool"):
        builder.build(msgspec.structs.replace(ORDER, tools=("no-such-tool",)), _commit(work))


def test_a_lost_blob_is_told_and_never_built_anew_unseen(work, builder, blobs):
    built = builder.build(ORDER, _commit(work))
    os.unlink(blobs.path(built.artifact))
    with pytest.raises(Failed, match="missing"):
        builder.build(ORDER, "main")


def test_a_long_log_keeps_its_beginning_and_its_end():
    command = ["python3", "-c", "print('begin'); print('x' * 5_000_000); print('end')"]
    done = build.run(command, Path("/"), {"PATH": build.PATH}, 60, build.Isolation("", ""))
    assert done.log.startswith(b"begin") and done.log.endswith(b"end\n")
    assert len(done.log) < build.LOG_BYTES_MAX + 100
    assert b"bytes left out" in done.log
    assert digest_of(done.log)


def test_a_command_that_is_not_there_ends_with_127():
    done = build.run(["no-such"], Path("/"), {"PATH": build.PATH}, 10, build.isolation())
    assert done.exit_status == 127 and b"no-such" in done.log


def test_what_a_crashed_build_left_behind_does_not_reach_the_next(work, builder, tmp_path):
    leftover = tmp_path / "builds" / "api" / "out"
    leftover.mkdir(parents=True)
    (leftover / "api.tar").write_bytes(b"half")
    leftover.chmod(0o500)
    with pytest.raises(Refused, match="missing"):
        builder.build(ORDER, _commit(work, ""))


def test_a_build_sees_no_key_and_writes_nowhere_else(tmp_path):
    """A build is somebody's code: it must not become the installation."""
    if build.isolation().files != "own":
        pytest.skip("this system allows no mount namespace")
    data = tmp_path / "data"
    work = data / "builds" / "work" / "api"
    secret = data / "keys" / "runner"
    for folder in (work / "source", secret.parent, data / "drafts"):
        folder.mkdir(parents=True)
    secret.write_text("the key")
    tries = f"""
        cat {secret}
        cat ../../../../keys/runner
        echo forged > {data}/drafts/forged
        umount {data}; unshare -r -m umount {data}
        cat {secret}
        echo changed > {tmp_path}/beside
        echo built > ../built
        echo scratch > /tmp/scratch && cat /tmp/scratch
    """
    fence = build.Fence(str(work), (str(data), *build.private_folders(["sh"])))
    command = ["sh", "-c", textwrap.dedent(tries)]
    environment = {"PATH": build.PATH}
    done = build.run(
        command, work / "source", environment, 60, build.isolation(), lambda said: None, fence
    )
    assert done.exit_status == 0, done.log.decode()
    assert b"the key" not in done.log and b"scratch" in done.log
    assert (work / "built").read_text() == "built\n"
    assert not (tmp_path / "beside").exists()
    files = {path.name for path in data.rglob("*") if path.is_file()}
    assert files == {"built", "runner"}
    assert secret.read_text() == "the key"


def test_a_tool_in_a_folder_of_people_is_not_hidden(tmp_path, monkeypatch):
    tool = tmp_path / "home" / "bin" / "compiler"
    tool.parent.mkdir(parents=True)
    tool.touch(mode=0o755)
    monkeypatch.setattr(build, "PATH", str(tool.parent))
    monkeypatch.setattr(build, "_PRIVATE", (str(tmp_path / "home"), "/run"))
    assert build.private_folders(["compiler"]) == ("/run",)
    assert build.private_folders([]) == (str(tmp_path / "home"), "/run")
