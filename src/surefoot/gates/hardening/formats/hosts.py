"""Smaller configurations of a host: mounts, login defaults, timed jobs, sockets, containers.

Source: fstab(5), login.defs(5), crontab(5), the Docker daemon's reference of `daemon.json`.
"""

from __future__ import annotations

import re

import msgspec

from surefoot.gates.hardening.formats.scope import Scope, Value, joined_lines, one, unparsed
from surefoot.gates.hardening.look import Look, Unseen, glob

_CRON_TABLES = ("/etc/crontab", "/etc/cron.d/*")
_SPECIAL = re.compile(r"@(reboot|yearly|annually|monthly|weekly|daily|midnight|hourly)")
_TIME = re.compile(r"[0-9A-Za-z*,/~-]+")
_SETTING = re.compile(r"\s*[A-Za-z_]\w*\s*=")
_DAEMON = "/etc/docker/daemon.json"
_DAEMONS = ("/usr/bin/dockerd", "/usr/sbin/dockerd", "/usr/local/bin/dockerd")


def read_mounts(look: Look) -> list[Scope] | None:
    """A scope for each mount point of the table."""
    if look.stat("/etc/fstab") is None:
        return None
    scopes = []
    for number, line in joined_lines(look, "/etc/fstab"):
        fields = line.split()
        if not 3 <= len(fields) <= 6:
            raise unparsed("/etc/fstab", number, "not 3 to 6 fields")
        options = fields[3] if len(fields) > 3 else "defaults"
        values = {
            "mount": one(fields[1], "/etc/fstab", number),
            "options": one(options, "/etc/fstab", number),
        }
        scopes.append(Scope(f"mount {fields[1]}", "/etc/fstab", values))
    return scopes


def read_login(look: Look) -> list[Scope] | None:
    """One scope: defaults for accounts and logins."""
    path = "/etc/login.defs"
    if look.stat(path) is None:
        return None
    values: dict[str, tuple[Value, ...]] = {}
    for number, line in joined_lines(look, path):
        fields = line.split(None, 1)
        if len(fields) == 2:
            values[fields[0]] = one(fields[1].strip().strip('"'), path, number)
    return [Scope("login defaults", path, values)]


def read_cron(look: Look) -> list[Scope] | None:
    """A scope for each job of the system's tables, and whether others may change its program."""
    tables = [path for pattern in _CRON_TABLES for path in glob(look, pattern)]
    tables = [path for path in tables if not path.rpartition("/")[2].startswith(".")]
    if not tables or not look.whole:
        return None
    scopes = []
    for path in tables:
        for number, line in joined_lines(look, path):
            if _SETTING.match(line):
                continue
            fields = line.split(None, 6)
            if fields and _SPECIAL.fullmatch(fields[0]):
                rest = line.split(None, 2)[1:]
            elif len(fields) == 7 and all(_TIME.fullmatch(field) for field in fields[:5]):
                rest = fields[5:]
            else:
                raise unparsed(path, number, "no time, user and command")
            if len(rest) < 2:
                raise unparsed(path, number, "no user and command")
            scopes.append(_job(look, path, number, rest))
    return scopes


def _job(look: Look, path: str, number: int, rest: list[str]) -> Scope:
    programs = re.findall(r"(?<![\w.])/[\w./-]+", rest[1])
    open_ones = [p for p in programs if (s := look.stat(p)) is not None and _open(look, p, s.mode)]
    values = {
        "user": one(rest[0], path, number),
        "changeable": one(open_ones[0] if open_ones else "no", path, number),
    }
    return Scope(f"job {rest[1].split()[0]}", path, values)


def _open(look: Look, path: str, mode: int) -> bool:
    """Whether anybody may write the program, or replace it in its folder."""
    at = look.stat(path)
    if at is None or at.kind != "file":
        return False
    above = look.stat(path.rpartition("/")[0] or "/")
    replaced = above is not None and bool(above.mode & 0o002) and not above.mode & 0o1000
    return bool(mode & 0o002) or replaced


def read_sockets(look: Look) -> list[Scope] | None:
    """A scope for each listening socket."""
    if not look.whole:
        return None
    scopes = []
    for found in look.sockets():
        reach = "any" if found.address in ("0.0.0.0", "::") else "one"  # noqa: S104 -- compared
        if found.address.startswith("127.") or found.address in ("::1", "::ffff:127.0.0.1"):
            reach = "loopback"
        place = f"{found.protocol} {found.address} port {found.port}"
        values = {
            "protocol": one(found.protocol, place),
            "port": one(str(found.port), place),
            "reach": one(reach, place),
        }
        scopes.append(Scope(place, place, values))
    return scopes


def read_docker(look: Look) -> list[Scope] | None:
    """One scope: what the container daemon is told; its defaults where it has no file."""
    content = look.read(_DAEMON)
    if content is None:
        there = look.whole and any(look.stat(path) is not None for path in _DAEMONS)
        return [Scope("container daemon", _DAEMON, {})] if there else None
    try:
        told = msgspec.json.decode(content)
    except (msgspec.DecodeError, RecursionError):
        raise Unseen(_DAEMON, "cannot be parsed, not JSON") from None
    if not isinstance(told, dict):
        raise Unseen(_DAEMON, "cannot be parsed, no object")
    values: dict[str, tuple[Value, ...]] = {}
    for key, value in told.items():
        each = value if isinstance(value, list) else [value]
        texts = [str(v).lower() if isinstance(v, bool) else str(v) for v in each]
        values[key.casefold()] = tuple(Value(text, _DAEMON) for text in texts)
    return [Scope("container daemon", _DAEMON, values)]
