"""Kernel values: those of the running kernel, else what the files in `sysctl.d` will set.

Source: sysctl.d(5): a name in an earlier folder hides it in later ones; files in the order of their
names, the last value counts; a key in full counts before a pattern; `-KEY` alone keeps a pattern
away from a key.
"""

from __future__ import annotations

from fnmatch import fnmatchcase

from surefoot.gates.hardening.formats.scope import Scope, Value, joined_lines, one, unparsed
from surefoot.gates.hardening.look import Look

FOLDERS = (
    "/etc/sysctl.d",
    "/run/sysctl.d",
    "/usr/local/lib/sysctl.d",
    "/usr/lib/sysctl.d",
    "/lib/sysctl.d",
)
_SYSTEMD = ("/usr/lib/systemd/systemd", "/lib/systemd/systemd")


def read(look: Look, key: str) -> list[Scope] | None:
    """One scope with the value of the key, where it is known. Raises `Unseen`."""
    if look.live:
        place = f"/proc/sys/{key.replace('.', '/')}"
        return [Scope("kernel", place, {key: one(look.sysctl(key), place)})]
    return [_configured(look, key)] if look.whole else None


def _configured(look: Look, wanted: str) -> Scope:
    exact: dict[str, Value] = {}
    patterns: list[tuple[str, Value]] = []
    kept_away: set[str] = set()
    for path in _files(look):
        for number, line in joined_lines(look, path, "#;"):
            key, mark, text = line.strip().partition("=")
            key, ignored = key.strip().removeprefix("-").strip(), key.strip().startswith("-")
            if not key or (not mark and not ignored):
                raise unparsed(path, number, "no KEY = VALUE")
            key = _dotted(key)
            if not mark:
                kept_away.add(key)
            elif any(c in key for c in "*?["):
                patterns.append((key, Value(" ".join(text.split()), path, number)))
            else:
                exact[key] = Value(" ".join(text.split()), path, number)
    matching = [v for pattern, v in patterns if fnmatchcase(wanted, pattern)]
    values: dict[str, tuple[Value, ...]] = {}
    if wanted in exact:
        values[wanted] = (exact[wanted],)
    elif matching and wanted not in kept_away:
        values[wanted] = (matching[-1],)
    return Scope("kernel", FOLDERS[0], values)


def _files(look: Look) -> list[str]:
    found: dict[str, str] = {}
    for folder in FOLDERS:
        for name in look.names(folder) or ():
            if name.endswith(".conf"):
                found.setdefault(name, f"{folder}/{name}")
    files = [path for _, path in sorted(found.items()) if look.stat(path) is not None]
    # systemd reads /etc/sysctl.conf only through a link among these; others read it at the end.
    if not any(look.stat(path) is not None for path in _SYSTEMD):
        files += ["/etc/sysctl.conf"] if look.stat("/etc/sysctl.conf") is not None else []
    # A file that is a link to /dev/null hides the ones of its name.
    return [path for path in files if (s := look.stat(path)) is not None and s.kind == "file"]


def _dotted(key: str) -> str:
    """A key with dots between its parts; with slashes between, a dot belongs to a part's name."""
    slash, dot = key.find("/"), key.find(".")
    if slash >= 0 and (dot < 0 or slash < dot):
        return key.replace(".", "\0").replace("/", ".").replace("\0", "/")
    return key
