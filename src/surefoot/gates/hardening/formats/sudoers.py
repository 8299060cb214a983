"""`sudoers`: each grant and the defaults for all.

Source: sudoers(5): includes are read where they stand, a folder's files without `.` and `~` in the
order of their names; tags last until another replaces them within a list of commands.
"""

from __future__ import annotations

import re
from collections.abc import Iterator

from surefoot.gates.hardening.formats.scope import Scope, Value, one, unparsed
from surefoot.gates.hardening.look import Look, text_of

PATH = "/etc/sudoers"
_DEPTH_MAX = 16
_INCLUDE = re.compile(r"[@#](include|includedir)\s+(\S.*)")
_DEFAULTS = re.compile(r"Defaults(?P<whom>[@:!>]\S+)?\s+(?P<what>.+)")
_ALIAS = re.compile(r"(User|Runas|Host|Cmnd|Cmd)_Alias\s+(.+)")
_RUNAS = re.compile(r"\(([^()]*)\)")
_TAG = re.compile(r"(NO)?(PASSWD|EXEC|SETENV|LOG_INPUT|LOG_OUTPUT|FOLLOW|MAIL|INTERCEPT)\s*:\s*")
# A further list of hosts: a colon, names, and an equals sign that is neither escaped nor an option.
_LIST = re.compile(
    r"\s*:\s*(?!(?:ROLE|TYPE|PRIVS|LIMITPRIVS|NOTBEFORE|NOTAFTER|TIMEOUT|CWD|CHROOT)=)"
    r"(?=[^\s:=,\\]+(?:\s*,\s*[^\s:=,\\]+)*\s*=)"
)
_OPTION = re.compile(r"(ROLE|TYPE|PRIVS|LIMITPRIVS|NOTBEFORE|NOTAFTER|TIMEOUT|CWD|CHROOT)=\S+\s*")
_SETTING = re.compile(r"(!*)\s*([a-z_]+)\s*(?:([-+]?=)\s*(.*))?", re.DOTALL)


def read(look: Look) -> list[Scope] | None:
    """The defaults for everybody, then a scope for each command that is granted."""
    if look.stat(PATH) is None:
        return None
    defaults: dict[str, tuple[Value, ...]] = {}
    grants: list[Scope] = []
    aliases: dict[str, str] = {}
    for path, number, line in list(_lines(look, PATH, 0)):
        found = _DEFAULTS.fullmatch(line)
        if found:
            for part in _split(found["what"], path, number):
                _default(part, found["whom"] or "", defaults, Value("", path, number))
        elif alias := _ALIAS.fullmatch(line):
            for part in re.split(r":(?=\s*[A-Z][A-Z0-9_]*\s*=)", alias[2]):
                name, mark, text = part.partition("=")
                if not mark or not re.fullmatch(r"[A-Z][A-Z0-9_]*", name.strip()):
                    raise unparsed(path, number, "no alias")
                aliases[name.strip()] = text.strip()
        else:
            grants += _grants(line, path, number)
    grants = [_with_aliases(scope, aliases) for scope in grants]
    return [Scope("sudo defaults", PATH, defaults), *grants]


def _lines(look: Look, path: str, depth: int) -> Iterator[tuple[str, int, str]]:
    if depth > _DEPTH_MAX:
        raise unparsed(path, 1, "files that include each other")
    held, first = "", 0
    for number, raw in enumerate((text_of(look, path) or "").splitlines(), 1):
        line = held + raw
        first = first if held else number
        if line.endswith("\\"):
            held = line[:-1] + " "
            continue
        held = ""
        include = _INCLUDE.fullmatch(line.strip())
        if include:
            yield from _included(look, include, path, depth)
            continue
        line = _without_comment(line).strip()
        if line:
            yield path, first, line
    if held.strip():
        raise unparsed(path, first, "a line that goes on nowhere")


def _included(
    look: Look, include: re.Match[str], path: str, depth: int
) -> Iterator[tuple[str, int, str]]:
    name = include[2].strip().strip('"')
    if "%" in name:
        raise unparsed(path, 1, "an include by host name")
    name = name if name.startswith("/") else f"{path.rpartition('/')[0]}/{name}"
    if include[1] == "include":
        yield from _lines(look, name, depth + 1)
        return
    for inner in look.names(name) or ():
        if "." not in inner and not inner.endswith("~"):
            yield from _lines(look, f"{name}/{inner}", depth + 1)


def _without_comment(line: str) -> str:
    """Up to a `#` outside quotes that does not begin a number of a user or group."""
    quoted = False
    for at, letter in enumerate(line):
        if letter == '"' and (not at or line[at - 1] != "\\"):
            quoted = not quoted
        escaped = at > 0 and line[at - 1] == "\\"
        if letter == "#" and not quoted and not escaped and not line[at + 1 : at + 2].isdecimal():
            return line[:at]
    return line


def _split(text: str, path: str, number: int, mark: str = ",") -> list[str]:
    """Parts between marks that are neither quoted, escaped nor in parentheses."""
    parts, held, quoted, depth = [], [""], False, 0
    for at, letter in enumerate(text):
        escaped = at > 0 and text[at - 1] == "\\"
        if letter == '"' and not escaped:
            quoted = not quoted
        depth += (letter == "(") - (letter == ")") if not quoted and not escaped else 0
        if letter == mark and not quoted and not escaped and not depth:
            parts.append("".join(held).strip())
            held = []
        else:
            held.append(letter)
    if quoted or depth:
        raise unparsed(path, number, "a quote or parenthesis that does not end")
    return [part for part in (*parts, "".join(held).strip()) if part]


def _default(part: str, whom: str, values: dict[str, tuple[Value, ...]], at: Value) -> None:
    found = _SETTING.fullmatch(part)
    if found is None:
        raise unparsed(at.file, at.line, "no setting")
    text = (found[4] or "").strip().strip('"') if found[3] else "yes"
    if len(found[1]) % 2:
        text = "no"
    value = Value(text, at.file, at.line)
    # What is said for some of them does not undo what is said for all.
    if whom or found[3] in ("+=", "-="):
        values[found[2]] = (*values.get(found[2], ()), value)
    else:
        values[found[2]] = (value,)


def _grants(line: str, path: str, number: int) -> list[Scope]:
    found: list[Scope] = []
    users = ""
    for part in _LIST.split(line):
        head, mark, commands = part.partition("=")
        names = re.sub(r"\s*,\s*", ",", head.strip()).split(" ")
        names = [name for name in names if name]
        # The hosts alone stand before every further list.
        if len(names) == (1 if users else 2) and mark and commands.strip():
            users = users or names[0]
            found += _commands(users, commands, path, number)
        else:
            raise unparsed(path, number, "no grant WHO HOST=COMMANDS")
    return found


def _commands(who: str, text: str, path: str, number: int) -> list[Scope]:
    scopes = []
    runas, password = "root", "yes"
    for part in _split(text, path, number):
        as_whom = _RUNAS.match(part)
        if as_whom:
            runas = as_whom[1].strip() or "self"
            part = part[as_whom.end() :].strip()
        while option := _OPTION.match(part):
            part = part[option.end() :]
        while tag := _TAG.match(part):
            if tag[2] == "PASSWD":
                password = "no" if tag[1] else "yes"
            part = part[tag.end() :]
        if not part or re.match(r"[A-Z_]+\s*:", part):
            raise unparsed(path, number, "a tag that is not known, or no command")
        facts = {
            "who": who,
            "runas": runas,
            "command": part.lstrip("! "),
            "negated": "yes" if part.startswith("!") else "no",
            "password": password,
        }
        values = {key: one(value, path, number) for key, value in facts.items()}
        scopes.append(Scope(f"grant to {who}", path, values, False))
    return scopes


def _with_aliases(scope: Scope, aliases: dict[str, str]) -> Scope:
    """The grant with every command that its alias stands for."""
    (command,) = scope.values["command"]
    found: list[str] = []
    todo, seen = [command.text], set[str]()
    while todo:
        text = todo.pop().lstrip("! ")
        if text not in aliases:
            found.append(text)
        elif text not in seen:
            seen.add(text)
            todo += _split(aliases[text], command.file, command.line)
    values = tuple(Value(text, command.file, command.line) for text in sorted(found))
    return Scope(scope.name, scope.file, scope.values | {"command": values}, False)
