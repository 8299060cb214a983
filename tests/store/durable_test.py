"""A small file is whole after a crash at any moment, and its content is safe before its name."""

from __future__ import annotations

import os
import stat
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from surefoot.compose.folder import private_file
from surefoot.store.durable import write_durably


class Cut(Exception):
    """The power went."""


@pytest.mark.parametrize("place", ["fsync", "replace"])
def test_a_cut_before_the_new_name_leaves_the_old_content(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, place: str
) -> None:
    path = tmp_path / "file"
    write_durably(path, b"old")

    def cut(*_: object) -> None:
        raise Cut

    with monkeypatch.context() as patched, pytest.raises(Cut):
        patched.setattr(os, place, cut)
        write_durably(path, b"new")
    assert path.read_bytes() == b"old"
    assert os.listdir(tmp_path) == ["file"]


@pytest.mark.parametrize("write", [write_durably, private_file])
def test_content_then_name_then_folder(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, write: Callable[[Path, bytes], None]
) -> None:
    done: list[str] = []
    fsync, replace = os.fsync, os.replace

    def synced(descriptor: int) -> None:
        kind = "folder" if stat.S_ISDIR(os.fstat(descriptor).st_mode) else "content"
        done.append(kind)
        fsync(descriptor)

    def named(*names: Any) -> None:
        done.append("name")
        replace(*names)

    monkeypatch.setattr(os, "fsync", synced)
    monkeypatch.setattr(os, "replace", named)
    write(tmp_path / "keys" / "one", b"secret")
    assert done == ["content", "name", "folder"]
    assert (tmp_path / "keys" / "one").read_bytes() == b"secret"


def test_a_private_file_is_its_owners_alone(tmp_path: Path) -> None:
    private_file(tmp_path / "keys" / "one", b"secret")
    assert stat.S_IMODE((tmp_path / "keys" / "one").stat().st_mode) == 0o600
    assert stat.S_IMODE((tmp_path / "keys").stat().st_mode) == 0o700
