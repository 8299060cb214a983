"""The same content gives the same tar, and a difference is named."""

import os
import time

import pytest

from surefoot.core.errors import Refused
from surefoot.supply.archive import first_difference, tar_of


def _folder(path, order):
    path.mkdir()
    (path / "sub").mkdir()
    for name in order:
        (path / name).write_text(name)
    (path / "link").symlink_to("a")
    return path


def test_order_of_creation_times_and_owners_do_not_count(tmp_path):
    one = tar_of(_folder(tmp_path / "1", ["a", "b", "sub/c"]), 1000)
    (two := _folder(tmp_path / "2", ["sub/c", "b", "a"])).chmod(0o700)
    os.utime(two / "a", (time.monotonic(), 5))
    (two / "b").chmod(0o600)
    assert tar_of(two, 1000) == one
    assert first_difference(one, one) == ""


def test_the_first_difference_is_named(tmp_path):
    folder = _folder(tmp_path / "1", ["a", "b"])
    one = tar_of(folder, 1000)
    assert first_difference(one, tar_of(folder, 1001)) == "member a: mtime 1000 against 1001"
    (folder / "b").write_text("c")
    assert first_difference(one, tar_of(folder, 1000)) == ("member b: byte 0: 0x62 against 0x63")
    (folder / "b").unlink()
    assert first_difference(one, tar_of(folder, 1000)) == "member b against link"
    assert first_difference(b"abc", b"abd") == "byte 2: 0x63 against 0x64"
    assert first_difference(b"abc", b"abcd") == "3 bytes against 4, the same up to byte 3"


def test_what_is_no_file_is_refused(tmp_path):
    folder = _folder(tmp_path / "1", ["a"])
    os.mkfifo(folder / "pipe")
    with pytest.raises(Refused, match="pipe"):
        tar_of(folder, 0)
