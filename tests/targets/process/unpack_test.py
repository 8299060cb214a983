"""An artifact can write nowhere but below its own folder."""

import io
import os
import tarfile
from collections.abc import Callable
from pathlib import Path

import pytest

from surefoot.core.errors import Refused
from surefoot.targets.process_files import tree_of, unpack

File = tuple[str, bytes, str, str]


def archive(folder: Path, *members: tarfile.TarInfo) -> Path:
    path = folder / "artifact.tar"
    with tarfile.open(path, "w") as tar:
        for member in members:
            content = b"x" * member.size
            tar.addfile(member, io.BytesIO(content))
    return path


def member(
    name: str, kind: bytes = tarfile.REGTYPE, link: str = "", size: int = 0
) -> tarfile.TarInfo:
    made = tarfile.TarInfo(name)
    made.type, made.linkname, made.size = kind, link, size
    return made


LINK, HARD, DIR = tarfile.SYMTYPE, tarfile.LNKTYPE, tarfile.DIRTYPE
ATTACKS: dict[str, list[tarfile.TarInfo]] = {
    "absolute": [member("/etc/evil")],
    "climbs": [member("../evil")],
    "climbs inside": [member("a/../../evil")],
    "absolute link": [member("a", LINK, "/etc/passwd")],
    "link out": [member("a", LINK, "../evil")],
    "link out from below": [member("a/b", LINK, "../../evil")],
    "link through a link": [
        member("d/e", DIR),
        member("d/e/up", LINK, "../.."),
        member("out", LINK, "d/e/up/.."),
    ],
    "file through a link": [member("a", LINK, "b"), member("a/evil", size=1)],
    "file over a link": [member("a", LINK, "b"), member("a", size=1)],
    "link over a folder": [member("a", DIR), member("a", LINK, "..")],
    "hard link": [member("a", size=1), member("b", HARD, "a")],
    "hard link out": [member("b", HARD, "/etc/passwd")],
    "device": [member("a", tarfile.CHRTYPE)],
    "block device": [member("a", tarfile.BLKTYPE)],
    "pipe": [member("a", tarfile.FIFOTYPE)],
    "the same name twice": [member("a", size=1), member("./a", size=1)],
    "an empty link": [member("a", LINK, "")],
    "a file as folder": [member("a", size=1), member("a/b", size=1)],
    "an overlong name": [member("a/" * 600 + "b")],
    "a file without name": [member("./")],
}


@pytest.mark.parametrize("name", ATTACKS)
def test_refused_with_nothing_left(tmp_path: Path, name: str) -> None:
    path = archive(tmp_path, *ATTACKS[name])
    with pytest.raises(Refused) as raised:
        unpack(path, tmp_path / "in" / "artifact")
    assert raised.value.code == "target.artifact.unsafe"
    assert raised.value.found
    assert os.listdir(tmp_path / "in") == []
    assert not (tmp_path / "evil").exists()


@pytest.mark.parametrize(
    ("limit", "value"), [("MEMBERS_MAX", 2), ("FILE_BYTES_MAX", 5), ("TREE_BYTES_MAX", 15)]
)
def test_bounds(tmp_path: Path, monkeypatch, limit: str, value: int) -> None:
    monkeypatch.setattr(f"surefoot.targets.process_files.{limit}", value)
    path = archive(
        tmp_path, *(member(f"f{n}", size=10 if "TREE" in limit else 6) for n in range(3))
    )
    with pytest.raises(Refused):
        unpack(path, tmp_path / "artifact")


CUTS: dict[str, Callable[[bytes], bytes]] = {
    "empty": lambda content: b"",
    "no tar": lambda content: b"not a tar at all" * 100,
    "cut": lambda content: content[:700],
}


@pytest.mark.parametrize("name", CUTS)
def test_what_is_no_tar(tmp_path: Path, name: str) -> None:
    path = archive(tmp_path, member("a", size=1000))
    path.write_bytes(CUTS[name](path.read_bytes()))
    with pytest.raises(Refused):
        unpack(path, tmp_path / "artifact")
    assert not (tmp_path / "artifact").exists()


def test_a_good_archive_is_unpacked_as_it_is(tmp_path: Path) -> None:
    program = member("bin/run", size=3)
    program.mode = 0o6755
    path = archive(
        tmp_path,
        member("./", DIR),
        member("./bin/", DIR),
        program,
        member("data.txt", size=2),
        member("bin/data", LINK, "../data.txt"),
        member("now", LINK, "bin/run"),
    )
    unpack(path, tmp_path / "artifact")
    tree = tree_of(tmp_path / "artifact")
    assert set(tree) == {"bin", "bin/data", "bin/run", "data.txt", "now"}
    assert tree["bin/run"].startswith("file 755 ")
    assert tree["data.txt"].startswith("file 644 ")
    assert tree["bin/data"] == "link ../data.txt"
