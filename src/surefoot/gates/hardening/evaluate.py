"""One rule over one look: what is wrong, or that it does not apply, or that it could not be seen.

Keeps: what cannot be seen or parsed is `unseen`, never good; what is not installed is `absent`. A
rule that found something has been evaluated, even when it could not see the rest.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from fnmatch import fnmatchcase
from typing import Literal

import msgspec

from surefoot.gates.hardening.formats import FORMATS, Scope, Value, sysctl
from surefoot.gates.hardening.look import Look, Stat, Unseen, glob, ids_of, resolve_name, walk
from surefoot.gates.hardening.rule import Modes, Rule, Setting, Tree

State = Literal["good", "bad", "absent", "unseen"]
WRONG_MAX = 50
_KEY_BYTES_MAX = 64 * 1024
_KEY_NAME = re.compile(r"(?i)key|secret|private|^id_|\.(pem|p8|der|crt|cert|ppk|env)$")
_STICKY, _SETID = 0o1000, 0o6000


class Wrong(msgspec.Struct, frozen=True, kw_only=True):
    """One thing that is not as a rule expects; `scope` names it without line numbers."""

    scope: str
    place: str
    expected: str
    found: str


class Row(msgspec.Struct, frozen=True, kw_only=True):
    """What came of one rule."""

    rule: Rule
    state: State
    why: str = ""
    wrong: tuple[Wrong, ...] = ()


class _Walked:
    """What was found below a folder."""

    def __init__(self) -> None:
        self.entries = 0
        self.unseen: list[str] = []
        self.wrong: dict[Tree, list[Wrong]] = {}


class Evaluation:
    """Evaluates rules over one look; each configuration and folder is read once."""

    def __init__(self, look: Look, rules: tuple[Rule, ...]) -> None:
        self._look = look
        self._rules = rules
        self._read: dict[str, list[Scope] | Unseen | None] = {}
        self._walks: dict[str, _Walked | Unseen] | None = None
        self._users: dict[str, int] | None = None
        self._groups: dict[str, int] | None = None

    def rows(self) -> tuple[Row, ...]:
        """A row for each rule, in their order."""
        return tuple(self._row(rule) for rule in self._rules)

    def _row(self, rule: Rule) -> Row:
        unseen: list[str] = []
        try:
            check = rule.check
            if isinstance(check, Setting):
                found = self._setting(check)
            elif isinstance(check, Modes):
                found = self._modes(check, unseen)
            else:
                found = self._tree(check, unseen)
        except Unseen as error:
            return Row(rule=rule, state="unseen", why=str(error)[:300])
        if found is None:
            return Row(rule=rule, state="absent", why="there is nothing of this kind")
        if found:
            kept = _bounded(found)
            return Row(rule=rule, state="bad", why=f"{len(found)} wrong", wrong=kept)
        if unseen:
            more = f" (and {len(unseen) - 1} more)" if len(unseen) > 1 else ""
            return Row(rule=rule, state="unseen", why=f"{unseen[0]}{more}"[:300])
        return Row(rule=rule, state="good")

    # --- settings

    def _setting(self, check: Setting) -> list[Wrong] | None:
        scopes = self._scopes(check)
        if scopes is None:
            return None
        wrong: list[Wrong] = []
        told: set[str] = set()
        for scope in scopes:
            if not _applies(check, scope):
                continue
            values = scope.values.get(check.key)
            if values is None:
                if check.absent is None or not scope.whole:
                    continue
                values = (Value(check.absent, scope.file),)
                shown = f"not set, which means {check.absent}" if check.absent else "not set"
            else:
                shown = ""
            good, expected = _test(check, values)
            # A line that several scopes inherit is wrong once.
            if not good and (not values[0].line or values[0].place() not in told):
                told.add(values[0].place())
                found = shown or ", ".join(value.text for value in values)
                wrong.append(
                    Wrong(
                        scope=scope.name,
                        place=values[0].place(),
                        expected=check.meaning or f"{check.key} {expected}",
                        found=_short(found),
                    )
                )
        return wrong

    def _scopes(self, check: Setting) -> list[Scope] | None:
        name = f"sysctl {check.key}" if check.form == "sysctl" else check.form
        if name not in self._read:
            try:
                self._read[name] = (
                    sysctl.read(self._look, check.key)
                    if check.form == "sysctl"
                    else FORMATS[check.form](self._look)
                )
            except Unseen as error:
                self._read[name] = error
        found = self._read[name]
        if isinstance(found, Unseen):
            raise found
        return found

    # --- modes of files

    def _modes(self, check: Modes, unseen: list[str]) -> list[Wrong] | None:
        wrong: list[Wrong] = []
        met = False
        at_most = int(check.at_most, 8)
        for pattern in check.paths:
            for path in glob(self._look, pattern):
                stat = self._look.stat(path)
                if stat is None:
                    continue
                met = True
                wrong += self._mode(check, path, stat, at_most)
        if not met and not self._look.whole:
            return None
        return wrong if met else None

    def _mode(self, check: Modes, path: str, stat: Stat, at_most: int) -> Iterator[Wrong]:
        if stat.mode & ~at_most & 0o7777:
            found = f"mode {stat.mode:04o}"
            yield Wrong(scope=path, place=path, expected=f"at most {check.at_most}", found=found)
        owner = resolve_name(stat.uid, self._names("user")) if stat.uid else "root"
        if check.owners and owner not in check.owners:
            expected = "owner " + " or ".join(check.owners)
            yield Wrong(scope=path, place=path, expected=expected, found=f"owner {owner}")
        group = resolve_name(stat.gid, self._names("group")) if stat.gid else "root"
        if check.groups and group not in check.groups:
            expected = "group " + " or ".join(check.groups)
            yield Wrong(scope=path, place=path, expected=expected, found=f"group {group}")

    def _names(self, kind: Literal["user", "group"]) -> dict[str, int]:
        if kind == "user":
            if self._users is None:
                self._users = ids_of(self._look, "/etc/passwd")
            return self._users
        if self._groups is None:
            self._groups = ids_of(self._look, "/etc/group")
        return self._groups

    # --- trees

    def _tree(self, check: Tree, unseen: list[str]) -> list[Wrong] | None:
        if check.sort == "unowned" and not self._look.whole:
            return None
        if self._walks is None:
            self._walks = self._walk_all()
        wrong: list[Wrong] = []
        met = False
        for folder in self._folders(check):
            walked = self._walks[folder]
            if isinstance(walked, Unseen):
                raise walked
            met = met or walked.entries > 0
            unseen += walked.unseen
            wrong += walked.wrong.get(check, [])
        return wrong if met else None

    def _folders(self, check: Tree) -> tuple[str, ...]:
        # An artifact is a part of a file system: all of it counts.
        return check.below if self._look.whole else ("/",)

    def _walk_all(self) -> dict[str, _Walked | Unseen]:
        """Every folder that rules name, each walked once for all of them."""
        checks = [rule.check for rule in self._rules if isinstance(rule.check, Tree)]
        walks: dict[str, _Walked | Unseen] = {}
        for folder in dict.fromkeys(f for check in checks for f in self._folders(check)):
            try:
                walks[folder] = self._walk(
                    folder, [c for c in checks if folder in self._folders(c)]
                )
            except Unseen as error:
                walks[folder] = error
        return walks

    def _walk(self, folder: str, checks: list[Tree]) -> _Walked:
        walked = _Walked()
        for path, stat in walk(self._look, folder, walked.unseen):
            walked.entries += 1
            for check in checks:
                try:
                    complaint = _SORTS[check.sort](self, path, stat)
                except Unseen as error:
                    walked.unseen.append(str(error))
                    continue
                if complaint and not any(fnmatchcase(path, known) for known in check.known):
                    expected, found = complaint
                    walked.wrong.setdefault(check, []).append(
                        Wrong(scope=path, place=path, expected=expected, found=found)
                    )
        return walked

    def _world_writable(self, path: str, stat: Stat) -> tuple[str, str] | None:
        bad = stat.kind == "file" and stat.mode & 0o002
        return ("not writable by everybody", f"mode {stat.mode:04o}") if bad else None

    def _open_folder(self, path: str, stat: Stat) -> tuple[str, str] | None:
        bad = stat.kind == "folder" and stat.mode & 0o002 and not stat.mode & _STICKY
        expected = "not writable by everybody, or with the sticky bit"
        return (expected, f"mode {stat.mode:04o}") if bad else None

    def _setuid(self, path: str, stat: Stat) -> tuple[str, str] | None:
        bad = stat.kind == "file" and stat.mode & _SETID and stat.mode & 0o111
        return ("no set-user-ID or set-group-ID", f"mode {stat.mode:04o}") if bad else None

    def _unowned(self, path: str, stat: Stat) -> tuple[str, str] | None:
        if stat.uid not in self._names("user").values():
            return "an owner with an account", f"owner {stat.uid}"
        if stat.gid not in self._names("group").values():
            return "a group that is known", f"group {stat.gid}"
        return None

    def _open_key(self, path: str, stat: Stat) -> tuple[str, str] | None:
        if stat.kind != "file" or not stat.mode & 0o004 or stat.size_bytes > _KEY_BYTES_MAX:
            return None
        # Every small file of an artifact is read; on a machine those that are named like a key.
        if self._look.whole and not _KEY_NAME.search(path.rpartition("/")[2]):
            return None
        content = self._look.read(path) or b""
        if b"-----BEGIN " not in content or b"PRIVATE KEY-----" not in content:
            return None
        return "a private key that only its owner and group read", f"mode {stat.mode:04o}"


_SORTS: dict[str, Callable[[Evaluation, str, Stat], tuple[str, str] | None]] = {
    "world-writable": Evaluation._world_writable,
    "open-folder": Evaluation._open_folder,
    "setuid": Evaluation._setuid,
    "unowned": Evaluation._unowned,
    "open-key": Evaluation._open_key,
}


def _applies(check: Setting, scope: Scope) -> bool:
    def meets(key: str, patterns: tuple[str, ...]) -> bool:
        texts = [value.text.casefold() for value in scope.values.get(key, (Value("", ""),))]
        return any(fnmatchcase(t, p.casefold()) for t in texts for p in patterns)

    return all(meets(k, p) for k, p in check.when.items()) and not any(
        meets(k, p) for k, p in check.unless.items()
    )


def _test(check: Setting, values: tuple[Value, ...]) -> tuple[bool, str]:
    """Whether every value is as expected, and the expectation in words."""
    texts = [value.text.strip().casefold() for value in values]
    if check.allowed:
        good = all(_is_one(text, check.allowed) for text in texts)
        return good, "is " + " or ".join(check.allowed)
    if check.refused:
        good = not any(_is_one(text, check.refused) for text in texts)
        return good, "is not " + " or ".join(check.refused)
    if check.at_least is not None or check.at_most is not None:
        return _in_bounds(check, texts)
    words = [w for text in texts for w in text.replace(",", " ").split() if not w.startswith("-")]
    words = [word.lstrip("+^") for word in words]
    if check.only:
        return all(_is_one(w, check.only) for w in words), "has only " + ", ".join(check.only)
    if check.never:
        return not any(_is_one(w, check.never) for w in words), "has no " + ", ".join(check.never)
    missing = [name for name in check.all_of if not any(_is_one(w, (name,)) for w in words)]
    return not missing, "has " + ", ".join(check.all_of)


def _in_bounds(check: Setting, texts: list[str]) -> tuple[bool, str]:
    bounds = []
    if check.at_least is not None:
        bounds.append(f"at least {check.at_least}")
    if check.at_most is not None:
        bounds.append(f"at most {check.at_most}")
    for text in texts:
        # What is no number cannot be said to be within bounds.
        if not text.lstrip("-").isdecimal() or len(text) > 18:
            return False, " and ".join(bounds)
        number = int(text)
        if check.at_least is not None and number < check.at_least:
            return False, " and ".join(bounds)
        if check.at_most is not None and number > check.at_most:
            return False, " and ".join(bounds)
    return True, " and ".join(bounds)


def _is_one(text: str, patterns: tuple[str, ...]) -> bool:
    return any(fnmatchcase(text, pattern.casefold()) for pattern in patterns)


def _short(text: str) -> str:
    clean = " ".join(text.split())
    return clean if len(clean) <= 120 else clean[:117] + "..."


def _bounded(found: list[Wrong]) -> tuple[Wrong, ...]:
    if len(found) <= WRONG_MAX:
        return tuple(found)
    rest = len(found) - WRONG_MAX
    more = Wrong(
        scope="more", place=found[WRONG_MAX].place, expected=found[0].expected, found=f"{rest} more"
    )
    return (*found[:WRONG_MAX], more)
