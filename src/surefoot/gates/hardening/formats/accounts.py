"""Accounts and groups, from the files that `getpwent` reads first.

Source: passwd(5), shadow(5), group(5), crypt(5) for the forms of hashes.
"""

from __future__ import annotations

from collections import Counter

from surefoot.gates.hardening.formats.scope import Scope, one, unparsed
from surefoot.gates.hardening.look import Look, Unseen, text_of

_NO_LOGIN = ("nologin", "false", "sync", "halt", "shutdown")
_WEAK = ("$1$", "$2$", "$md5", "$sha1", "_")
_STRONG = ("$y$", "$gy$", "$7$", "$5$", "$6$", "$2a$", "$2b$", "$2y$")
_SYSTEM_UID_MAX = 999


def _rows(look: Look, path: str, fields: int) -> list[tuple[int, list[str]]]:
    text = text_of(look, path)
    if text is None:
        raise Unseen(path, "not there")
    rows = []
    for number, line in enumerate(text.splitlines(), 1):
        if not line.strip() or line.startswith(("#", "+", "-")):
            continue
        parts = line.split(":")
        if len(parts) != fields:
            raise unparsed(path, number, f"not {fields} fields")
        rows.append((number, parts))
    return rows


def read(look: Look) -> list[Scope] | None:
    """A scope for each account."""
    if not look.whole:
        return None
    rows = _rows(look, "/etc/passwd", 7)
    names = Counter(parts[0] for _, parts in rows)
    uids = Counter(parts[2] for _, parts in rows)
    scopes = []
    for number, (name, password, uid, gid, _, _, shell) in rows:
        if not uid.isdecimal() or not gid.isdecimal():
            raise unparsed("/etc/passwd", number, "an account without numbers")
        system = 0 < int(uid) <= _SYSTEM_UID_MAX
        facts = {
            "name": name,
            "uid": str(int(uid)),
            "password_here": "shadow"
            if password in ("x", "*", "!")
            else (password and "hash") or "empty",
            "login": "no" if shell.rpartition("/")[2] in _NO_LOGIN else "yes",
            "system": "yes" if system else "no",
            "name_count": "twice" if names[name] > 1 else "once",
            "uid_count": "twice" if uids[uid] > 1 else "once",
        }
        values = {key: one(text, "/etc/passwd", number) for key, text in facts.items()}
        scopes.append(Scope(f"account {name}", "/etc/passwd", values))
    return scopes


def read_passwords(look: Look) -> list[Scope] | None:
    """A scope for each password, saying its kind and never more."""
    if not look.whole:
        return None
    scopes = []
    for number, parts in _rows(look, "/etc/shadow", 9):
        values = {"password": one(_kind(parts[1]), "/etc/shadow", number)}
        scopes.append(Scope(f"account {parts[0]}", "/etc/shadow", values))
    return scopes


def read_groups(look: Look) -> list[Scope] | None:
    """A scope for each group."""
    if not look.whole:
        return None
    rows = _rows(look, "/etc/group", 4)
    gids = Counter(parts[2] for _, parts in rows)
    return [
        Scope(
            f"group {parts[0]}",
            "/etc/group",
            {
                "name": one(parts[0], "/etc/group", number),
                "members": one(parts[3] or "none", "/etc/group", number),
                "gid_count": one("twice" if gids[parts[2]] > 1 else "once", "/etc/group", number),
            },
        )
        for number, parts in rows
    ]


def _kind(text: str) -> str:
    if not text:
        return "empty"
    if text.startswith(("!", "*")):
        return "locked"
    if text.startswith(_STRONG):
        return "strong hash"
    if text.startswith(_WEAK) or len(text) == 13:
        return "weak hash"
    return "unknown hash"
