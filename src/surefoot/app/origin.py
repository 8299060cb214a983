"""Who set what: the commit and the person behind each value of an environment.

Keeps: answers come from the release's own commit and from the definition that the release names by
digest; a line's commit is read from the repository, object by object, only when the file there has
that digest. What cannot be told is "unknown" with a reason; nothing is guessed. A person is told by
the commitment of the commit's address or by the key that signed it, as they were enrolled then.
Does not: record anything, or show an address.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence

from surefoot.app.facade import App, History
from surefoot.app.moment import shown
from surefoot.app.people import commitment
from surefoot.core.errors import SurefootError
from surefoot.core.manifest import Manifest
from surefoot.core.target import Plain
from surefoot.core.world import People
from surefoot.product import FILE_NAME, lines_of
from surefoot.supply.commit import Commit
from surefoot.trust.digest import digest_of

Path = tuple[str, ...]


def unknown(why: str) -> Plain:
    """No commit can be told, and why."""
    return {"commit": "unknown", "author": "unknown", "why": why}


class Origins:
    """Origins of what one release brought; asks the repository once for each file."""

    def __init__(self, app: App, manifest: Manifest, people: People) -> None:
        self._app = app
        self._manifest = manifest
        self._people = people
        self._history: History = app.builder.history()
        self._content = app.blobs.get(manifest.definition)
        self._missing = ""
        self._lines: Sequence[Commit] = ()
        self._lines = self._asked(self._definition_lines) or ()

    def source(self) -> Plain:
        """Where the answer is from, in words."""
        if self._missing:
            return {"from": "nothing", "why": self._missing}
        return {"from": "repository", "commit": self._manifest.commit, "file": FILE_NAME}

    def of_values(self, paths: Iterable[Path]) -> dict[Path, Plain]:
        """Path in the definition to the commit that last set its line."""
        wanted = list(paths)
        lines = lines_of(self._content, wanted)
        return {path: self._of_line(lines.get(path, 0)) for path in wanted}

    def of_path(self, path: str) -> Plain:
        """The commit that last changed a file or folder of the release's commit."""
        if self._missing:
            return unknown(self._missing)
        try:
            return self._shown(self._history.last_change(self._manifest.commit, path))
        except SurefootError as error:
            return unknown(f"{error.subject}: {error.found}")

    def _of_line(self, line: int) -> Plain:
        if self._missing:
            return unknown(self._missing)
        if not 1 <= line <= len(self._lines):
            return unknown(f"not written in {FILE_NAME}: a default, or made by Surefoot")
        return {**self._shown(self._lines[line - 1]), "line": line}

    def _definition_lines(self) -> Sequence[Commit]:
        commit = self._manifest.commit
        if digest_of(self._history.read_file(commit, FILE_NAME)) != self._manifest.definition:
            self._missing = f"{FILE_NAME} at the release's commit is not the one it was made from"
            return ()
        return self._history.last_set(commit, FILE_NAME)

    def _asked(self, question: Callable[[], Sequence[Commit]]) -> Sequence[Commit] | None:
        try:
            return question()
        except SurefootError as error:
            self._missing = f"the repository does not say: {error.subject}: {error.found}"[:300]
            return None

    def _shown(self, found: Commit) -> Plain:
        return {
            "commit": found.id,
            "author": self._person(found),
            "at": shown(found.time_seconds * 1000),
            "subject": found.subject,
        }

    def _person(self, found: Commit) -> str:
        mark = commitment(self._app.identity_salt, found.author.email)
        for person in self._people.people.values():
            if mark in person.identities:
                return person.id
        for person in self._people.people.values():
            if found.signer and found.signer in (*person.keys, *person.revoked):
                return person.id
        return "unknown"
