"""What rules see: nothing leads out of a root, and what cannot be seen is said."""

from __future__ import annotations

import os
import socket
from pathlib import Path
from typing import Any

import pytest
from roots import FOLDER, GOOD, write_folder, write_tar

from surefoot.gates.hardening.archive import ArchiveLook
from surefoot.gates.hardening.evaluate import Evaluation
from surefoot.gates.hardening.folder import FolderLook, HostLook
from surefoot.gates.hardening.look import FILE_BYTES_MAX, Look, Unseen, glob, walk
from surefoot.gates.hardening.rule import standard

TREE = {
    "/etc/passwd": "inside\n",
    "/etc/link": "LINK passwd",
    "/etc/absolute": "LINK /etc/passwd",
    "/etc/out": "LINK ../../../../../../etc/passwd",
    "/etc/loop": "LINK loop",
    "/etc/away": "LINK /nowhere",
    "/opt/etc": "LINK ../etc",
    "/opt/a/b/c": "c",
    "/srv": (FOLDER, 0o755),
}


@pytest.fixture(params=["folder", "tar"])
def look(request: pytest.FixtureRequest, tmp_path: Path, tar_look: Any) -> Look:
    if request.param == "folder":
        return FolderLook(write_folder(tmp_path / "root", TREE))  # type: ignore[arg-type]
    found: Look = tar_look(TREE)
    return found


@pytest.mark.parametrize(
    "path",
    [
        "/etc/link",
        "/etc/absolute",
        "/etc/out",
        "/opt/etc/passwd",
        "/../../etc/passwd",
        "//etc/./link",
    ],
)
def test_links_stay_inside(look: Look, path: str) -> None:
    assert look.read(path) == b"inside\n"


def test_where_a_link_leads(look: Look) -> None:
    assert look.link("/etc/out") == "../../../../../../etc/passwd"
    assert look.link("/opt/etc/link") == "passwd"
    assert [look.link(path) for path in ("/etc/passwd", "/etc", "/nowhere", "/")] == [""] * 4


def test_what_is_not_there_is_none(look: Look) -> None:
    for path in ("/etc/nothing", "/etc/away", "/etc/passwd/below", "/nowhere/at/all"):
        assert look.read(path) is None
        assert look.stat(path) is None
    assert look.names("/etc/passwd") is None
    assert look.names("/srv") == []


def test_what_cannot_be_read_is_unseen(look: Look) -> None:
    for path in ("/etc/loop", "/etc"):
        with pytest.raises(Unseen):
            look.read(path)
    with pytest.raises(Unseen):
        look.sockets()
    with pytest.raises(Unseen):
        look.sysctl("kernel.kptr_restrict")


def test_a_walk_does_not_follow_links(look: Look) -> None:
    unseen: list[str] = []
    assert [path for path, _ in walk(look, "/opt", unseen)] == [
        "/opt",
        "/opt/a",
        "/opt/a/b",
        "/opt/a/b/c",
        "/opt/etc",
    ]
    assert unseen == []


def test_patterns(look: Look) -> None:
    assert glob(look, "/etc/p*") == ["/etc/passwd"]
    assert glob(look, "/opt/*/b/?") == ["/opt/a/b/c"]
    assert glob(look, "/etc/nothing") == []


def test_a_large_file_is_unseen(tmp_path: Path) -> None:
    (tmp_path / "large").write_bytes(b"x" * (FILE_BYTES_MAX + 1))
    with pytest.raises(Unseen, match="larger"):
        FolderLook(tmp_path).read("/large")


def test_a_pipe_is_not_opened(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe")
    with pytest.raises(Unseen, match="no regular file"):
        FolderLook(tmp_path).read("/pipe")


def test_a_locked_folder_is_unseen(tmp_path: Path) -> None:
    if os.geteuid() == 0:
        pytest.skip("root reads everything")
    locked = tmp_path / "opt" / "locked"
    locked.mkdir(parents=True)
    locked.chmod(0)
    unseen: list[str] = []
    list(walk(FolderLook(tmp_path), "/opt", unseen))
    locked.chmod(0o700)
    assert len(unseen) == 1


@pytest.mark.parametrize("content", [b"", b"no tar", b"\x1f\x8b broken"])
def test_no_tar_is_unseen(content: bytes, tmp_path: Path) -> None:
    (tmp_path / "a").write_bytes(content)
    with pytest.raises(Unseen):
        ArchiveLook(tmp_path / "a", "a").close()


def test_a_tar_that_was_cut_short_is_unseen(tmp_path: Path) -> None:
    path = write_tar(tmp_path / "a", {"/a": "x" * 5000, "/b": "x" * 5000})
    path.write_bytes(path.read_bytes()[:6000])
    with pytest.raises(Unseen):
        ArchiveLook(path, "a").close()


def test_a_name_that_leads_out_is_unseen(tmp_path: Path) -> None:
    with pytest.raises(Unseen, match="leads out"):
        ArchiveLook(write_tar(tmp_path / "a", {"/../a": "x"}), "a").close()


def test_a_folder_says_the_same_as_a_tar(tmp_path: Path, tar_look: Any) -> None:
    """The rules do not care where they run; owners are the tar's own, so those are left out."""
    rules = tuple(r for r in standard() if type(r.check).__name__ == "Setting")
    archive = tar_look(GOOD)
    folder = FolderLook(write_folder(tmp_path / "root", GOOD))
    told = [
        [(row.rule.id, row.state, row.wrong) for row in Evaluation(look, rules).rows()]
        for look in (archive, folder)
    ]
    assert told[0] == told[1]


def test_the_host_tells_what_listens() -> None:
    with socket.create_server(("127.0.0.1", 0)) as server:
        port = server.getsockname()[1]
        found = [s for s in HostLook().sockets() if s.port == port]
    assert [(s.protocol, s.address) for s in found] == [("tcp", "127.0.0.1")]


def test_the_host_tells_a_value_of_the_kernel() -> None:
    assert HostLook().sysctl("kernel.ostype") == "Linux"
    with pytest.raises(Unseen, match="no such value"):
        HostLook().sysctl("kernel.nothing_of_this_name")
    with pytest.raises(Unseen):
        HostLook().sysctl("../../etc/passwd")
