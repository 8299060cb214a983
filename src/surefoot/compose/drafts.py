"""Drafts of releases between build and registration, as files under the builder's own signature.

Keeps: what the gates said is believed only when this installation's builder signed it, about
exactly the manifest that is asked for; a draft that anybody else put there does not exist.
Does not: judge, or hold what a release is made of (blobs do).
"""

from __future__ import annotations

from collections.abc import Callable
from contextlib import suppress
from pathlib import Path

import msgspec

from surefoot.app.draft import Draft
from surefoot.compose.folder import private_file
from surefoot.trust import envelope
from surefoot.trust.digest import digest_of, parse_digest
from surefoot.trust.keys import PrivateKey

_TYPE = "application/vnd.surefoot.draft+json"


class Drafts:
    """Files in one folder, by the digest of the manifest. `key` gives the builder's key."""

    def __init__(self, folder: Path, key: Callable[[], PrivateKey]) -> None:
        self._folder = folder
        self._key = key

    def keep(self, made: Draft) -> None:
        """Keep a draft; the same again replaces it."""
        sealed = envelope.seal(_TYPE, msgspec.json.encode(made), [self._key()])
        private_file(self._path(digest_of(made.manifest)), sealed)

    def find(self, digest: str) -> Draft | None:
        """The draft of a manifest; None when none was made here."""
        known = [self._key().public]
        with suppress(FileNotFoundError, envelope.BadEnvelope, msgspec.DecodeError):
            payload, _ = envelope.open(self._path(digest).read_bytes(), known, 1, _TYPE)
            made = msgspec.json.decode(payload, type=Draft)
            return made if digest_of(made.manifest) == digest else None
        return None

    def _path(self, digest: str) -> Path:
        return self._folder / parse_digest(digest).removeprefix("sha256:")
