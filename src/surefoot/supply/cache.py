"""Remembers on this machine's disk what was built from which inputs.

Keeps: one file a build key, complete or absent, durable on return; the first record of a key stays.
Does not: hold the artifacts (blobs do), or count as evidence (the signed provenance does).
"""

from __future__ import annotations

import os
from pathlib import Path

import msgspec

from surefoot.core.errors import Corrupt
from surefoot.store.durable import sync_folder
from surefoot.supply.order import BuiltComponent
from surefoot.trust.digest import Digest


class BuildFolder:
    """Records of builds in a folder. Processes may share it."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        folder.mkdir(parents=True, exist_ok=True)

    def find(self, key: Digest) -> BuiltComponent | None:
        """The component built from these inputs, if any. Raises `Corrupt` for a damaged record."""
        path = self._path(key)
        try:
            content = path.read_bytes()
        except FileNotFoundError:
            return None
        try:
            built = msgspec.json.decode(content, type=BuiltComponent)
        except msgspec.DecodeError as error:
            raise Corrupt(
                "build.record.damaged",
                path.name,
                expected="a record of a build",
                found=str(error)[:200],
                remedy="remove the file: the component is then built again",
            ) from None
        if built.build_key != key:
            raise Corrupt("build.record.damaged", path.name, expected=key, found=built.build_key)
        return built

    def keep(self, built: BuiltComponent) -> None:
        """Remember a component, unless its key is known already."""
        path = self._path(built.build_key)
        draft = path.with_suffix(f".{os.getpid()}.draft")
        with draft.open("wb") as out:
            out.write(msgspec.json.encode(built))
            out.flush()
            os.fsync(out.fileno())
        try:
            # A crash before this leaves a draft nobody reads; after it, the whole record.
            os.link(draft, path)
        except FileExistsError:
            pass
        finally:
            draft.unlink()
        sync_folder(self._folder)

    def _path(self, key: Digest) -> Path:
        return self._folder / f"{key.removeprefix('sha256:')}.json"
