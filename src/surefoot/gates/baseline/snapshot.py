"""What is there, as sorted entries of name and value that two snapshots are compared by.

Keeps: reads only through a `Look`; what cannot be seen is listed, never left out silently; of what
is named like a secret only that it is set is kept. Does not: hold times, sizes or what else changes
by itself.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Iterable

import msgspec

from surefoot.gates.hardening.formats import FORMATS, Scope, sysctl
from surefoot.gates.hardening.look import Look, Stat, Unseen, glob, walk
from surefoot.gates.hardening.rule import Setting, standard

COLLECTOR = "1"
FILE_BYTES_MAX = 8 * 1024 * 1024
ENTRIES_MAX = 100_000
_VALUE_MAX = 1_000
_TREES = ("/usr", "/opt", "/srv", "/home", "/root", "/boot")
_SECRET = re.compile(r"(?i)passw|secret|token|credential|conninfo|auth|api_?key|header|_key$")
_ROWS = (
    "accounts",
    "passwords",
    "groups",
    "sockets",
    "postgres-access",
    "cron",
    "mounts",
    "sudoers",
)
# Their values may be anything.
_FREE = ("Environment", "set", "map", "fastcgi_param", "uwsgi_param")
_PORTS_BY_CHANCE = 32_768
_SETID = 0o6000


class Snapshot(msgspec.Struct, frozen=True, kw_only=True):
    """A whole snapshot as it stands in a file: `of` a host or a release."""

    surefoot_baseline: int
    collector: str
    of: str
    entries: dict[str, str]
    unseen: tuple[str, ...] = ()

    def encode(self) -> bytes:
        """The file: one member a line, sorted, so that a review shows what changed."""
        ordered = msgspec.json.encode(self, order="deterministic")
        return msgspec.json.format(ordered, indent=1) + b"\n"


def decode(content: bytes) -> Snapshot:
    """A snapshot from a file. Raises `ValueError`."""
    if len(content) > FILE_BYTES_MAX:
        raise ValueError(f"a baseline of more than {FILE_BYTES_MAX} bytes")
    try:
        found = msgspec.json.decode(content, type=_Strict)
    except (msgspec.DecodeError, RecursionError) as error:
        raise ValueError(f"no baseline: {error}"[:200]) from None
    if found.surefoot_baseline != 1 or len(found.entries) > ENTRIES_MAX:
        raise ValueError("a baseline of another form, or with too many entries")
    return Snapshot(**msgspec.structs.asdict(found))


class _Strict(Snapshot, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """The same, refusing members that are not known."""


def of_host(look: Look, files: Iterable[str], declared: dict[str, str]) -> Snapshot:
    """A host, or a root file system in a folder; `files` are patterns kept with their digest."""
    entries = dict(declared)
    unseen: list[str] = []
    for form, read in FORMATS.items():
        try:
            for scope in read(look) or ():
                if form in _ROWS:
                    _row(form, scope, entries)
                else:
                    entries |= _scope(form, scope)
        except Unseen as error:
            unseen.append(f"{form}: {error}"[:_VALUE_MAX])
    for key in _kernel_keys():
        try:
            for scope in sysctl.read(look, key) or ():
                entries |= _scope("kernel", scope)
        except Unseen as error:
            unseen.append(f"kernel: {error}"[:_VALUE_MAX])
    _programs(look, entries, unseen)
    _packages(look, entries, unseen)
    for pattern in files:
        _files(look, pattern, entries, unseen)
    return _made("host", entries, unseen)


def of_artifacts(looks: dict[str, Look], declared: dict[str, str]) -> Snapshot:
    """The artifacts of a release by component: programs, links, and what has special rights."""
    entries = dict(declared)
    unseen: list[str] = []
    for name, look in looks.items():
        try:
            for path, stat in walk(look, "/", unseen):
                kind = _kind(look, path, stat)
                if kind:
                    entries[f"{name}: {kind} {path}"] = f"mode {stat.mode:04o}"
        except Unseen as error:
            unseen.append(f"{name}: {error}"[:_VALUE_MAX])
    return _made("release", entries, unseen)


def _made(of: str, entries: dict[str, str], unseen: list[str]) -> Snapshot:
    if len(entries) > ENTRIES_MAX:
        unseen.append(f"more than {ENTRIES_MAX} entries")
        entries = dict(sorted(entries.items())[:ENTRIES_MAX])
    return Snapshot(
        surefoot_baseline=1,
        collector=COLLECTOR,
        of=of,
        entries=dict(sorted(entries.items())),
        unseen=tuple(sorted(set(unseen))),
    )


def _row(form: str, scope: Scope, entries: dict[str, str]) -> None:
    """One entry for what is one thing; several of a name, like grants to one person, are joined."""
    port = scope.values.get("port")
    if form == "sockets" and port and int(port[0].text) >= _PORTS_BY_CHANCE:
        return
    words = (f"{key} {', '.join(v.text for v in values)}" for key, values in scope.values.items())
    key = f"{form}: {scope.name}"
    told = [*entries.get(key, "").split("; "), ", ".join(words)]
    entries[key] = "; ".join(sorted({text for text in told if text}))[:_VALUE_MAX]


def _scope(form: str, scope: Scope) -> dict[str, str]:
    found = {}
    for key, values in scope.values.items():
        text = ", ".join(value.text for value in values)
        hidden = key in _FREE or _SECRET.search(key) or _SECRET.search(text.split(" ", 1)[0])
        if key.startswith("Exec"):
            # A command's words may hold a secret; the program is what counts.
            text = ", ".join(value.text.split(" ", 1)[0] for value in values)
        if hidden and form not in ("sshd", "login"):
            text = "set"
        found[f"{form}: {scope.name}: {key}"] = " ".join(text.split())[:_VALUE_MAX]
    return found


def _kernel_keys() -> list[str]:
    checks = [rule.check for rule in standard()]
    return [c.key for c in checks if isinstance(c, Setting) and c.form == "sysctl"]


def _programs(look: Look, entries: dict[str, str], unseen: list[str]) -> None:
    """Programs with the rights of their owner, and what everybody may write."""
    for folder in _TREES:
        try:
            for path, stat in walk(look, folder, unseen):
                if stat.kind == "file" and stat.mode & _SETID and stat.mode & 0o111:
                    entries[f"rights: {path}"] = f"mode {stat.mode:04o}, owner {stat.uid}"
                elif stat.kind in ("file", "folder") and stat.mode & 0o002:
                    entries[f"open: {path}"] = f"mode {stat.mode:04o}"
        except Unseen as error:
            unseen.append(f"rights: {error}"[:_VALUE_MAX])


def _packages(look: Look, entries: dict[str, str], unseen: list[str]) -> None:
    """Names of installed packages, without versions: a patch is nothing new."""
    try:
        content = look.read("/var/lib/dpkg/status")
    except Unseen as error:
        unseen.append(f"packages: {error}"[:_VALUE_MAX])
        return
    for block in (content or b"").decode("utf-8", "replace").split("\n\n"):
        lines = dict(
            line.split(": ", 1) for line in block.splitlines() if ": " in line and line[0] != " "
        )
        if lines.get("Status", "").endswith(" installed") and "Package" in lines:
            entries[f"package: {lines['Package']}"] = lines.get("Architecture", "")


def _files(look: Look, pattern: str, entries: dict[str, str], unseen: list[str]) -> None:
    try:
        for path in glob(look, pattern):
            stat = look.stat(path)
            if stat is not None and stat.kind == "file":
                digest = hashlib.sha256(look.read(path) or b"").hexdigest()
                entries[f"file: {path}"] = f"mode {stat.mode:04o}, sha256 {digest}"
    except Unseen as error:
        unseen.append(f"files: {error}"[:_VALUE_MAX])


def _kind(look: Look, path: str, stat: Stat) -> str:
    if stat.kind == "link":
        return "link"
    if stat.kind == "other":
        return "special"
    if stat.kind != "file":
        return ""
    if stat.mode & _SETID:
        return "rights"
    if stat.mode & 0o111:
        return "program"
    return "library" if (look.read(path) or b"")[:4] == b"\x7fELF" else ""
