"""PostgreSQL: `postgresql.conf` with its includes, and who may log in from where.

Source: PostgreSQL's documentation, "Setting Parameters" and "The pg_hba.conf File": the last value
of a parameter counts, what `ALTER SYSTEM` wrote comes after all files; the first matching line of
`pg_hba.conf` decides.
"""

from __future__ import annotations

import re

from surefoot.gates.hardening.formats.scope import Scope, Value, joined_lines, one, unparsed
from surefoot.gates.hardening.look import Look, glob, text_of

PATTERNS = (
    "/etc/postgresql/*/*/postgresql.conf",
    "/var/lib/pgsql/data/postgresql.conf",
    "/var/lib/pgsql/*/data/postgresql.conf",
    "/var/lib/postgresql/data/postgresql.conf",
    "/var/lib/postgresql/*/data/postgresql.conf",
)
_DEPTH_MAX = 10
_LINE = re.compile(
    r"\s*([A-Za-z_][\w.$]*)\s*(?:=\s*|\s)\s*(?:'((?:[^'\\]|''|\\.)*)'|([^\s'#=]+))\s*(?:#.*)?"
)
_BOOLEAN = {"true": "on", "yes": "on", "1": "on", "t": "on", "y": "on"}
_BOOLEAN |= {"false": "off", "no": "off", "0": "off", "f": "off", "n": "off"}
_TYPES = ("local", "host", "hostssl", "hostnossl", "hostgssenc", "hostnogssenc")
_METHODS = (
    *("trust", "reject", "scram-sha-256", "md5", "password", "gss", "sspi", "ident", "peer"),
    *("ldap", "radius", "cert", "pam", "bsd", "oauth"),
)
_EVERYWHERE = ("all", "0.0.0.0/0", "::/0")
_ONLY_HERE = ("127.0.0.1/32", "127.0.0.0/8", "::1/128", "localhost", "samehost")
_TOKEN = re.compile(r'(?:"[^"]*"|[^\s",#])+|,|\s+|#.*')


def clusters(look: Look) -> list[str]:
    """The configurations of all clusters that are found."""
    return [path for pattern in PATTERNS for path in glob(look, pattern)]


def read(look: Look) -> list[Scope] | None:
    """A scope for each cluster."""
    scopes = [
        Scope(f"cluster {path.rpartition('/')[0]}", path, _parameters(look, path))
        for path in clusters(look)
    ]
    return scopes or None


def _parameters(look: Look, path: str) -> dict[str, tuple[Value, ...]]:
    values: dict[str, tuple[Value, ...]] = {}
    _file(look, path, values, 0)
    folder = values["data_directory"][0].text if "data_directory" in values else None
    auto = f"{folder or path.rpartition('/')[0]}/postgresql.auto.conf"
    if look.stat(auto) is not None:
        _file(look, auto, values, 0)
    return values


def _file(look: Look, path: str, values: dict[str, tuple[Value, ...]], depth: int) -> None:
    text = text_of(look, path)
    if depth > _DEPTH_MAX or text is None:
        raise unparsed(path, 1, "a file that is included and not there, or includes itself")
    for number, line in enumerate(text.splitlines(), 1):
        if not line.strip() or line.lstrip().startswith("#"):
            continue
        found = _LINE.fullmatch(line)
        if found is None:
            raise unparsed(path, number, "no NAME = VALUE")
        quoted = found[2]
        value = found[3] if quoted is None else re.sub(r"''|\\(.)", _plain, quoted)
        name = found[1].casefold()
        if name in ("include", "include_if_exists", "include_dir"):
            _include(look, path, name, value, values, depth)
            continue
        value = _BOOLEAN.get(value.casefold(), value)
        values[name] = (Value(value, path, number),)


def _plain(found: re.Match[str]) -> str:
    return found[1] if found[1] else "'"


def _include(
    look: Look, path: str, kind: str, name: str, values: dict[str, tuple[Value, ...]], depth: int
) -> None:
    inner = name if name.startswith("/") else f"{path.rpartition('/')[0]}/{name}"
    if kind == "include_dir":
        for part in look.names(inner) or ():
            if part.endswith(".conf") and not part.startswith("."):
                _file(look, f"{inner}/{part}", values, depth + 1)
    elif kind == "include" or look.stat(inner) is not None:
        _file(look, inner, values, depth + 1)


def read_access(look: Look) -> list[Scope] | None:
    """A scope for each line that says who may log in from where, and how."""
    scopes: list[Scope] = []
    found = clusters(look)
    for path in found:
        values = _parameters(look, path)
        beside = f"{path.rpartition('/')[0]}/pg_hba.conf"
        hba = values["hba_file"][0].text if "hba_file" in values else beside
        hba = hba if hba.startswith("/") else f"{path.rpartition('/')[0]}/{hba}"
        scopes += _access(look, hba, 0)
    return scopes if found else None


def _access(look: Look, path: str, depth: int) -> list[Scope]:
    if depth > _DEPTH_MAX or look.stat(path) is None:
        raise unparsed(path, 1, "a file that is not there, or includes itself")
    scopes: list[Scope] = []
    for number, line in joined_lines(look, path):
        fields = _fields(line, path, number)
        if not fields:
            continue
        if fields[0] in ("include", "include_if_exists", "include_dir") and len(fields) == 2:
            for inner in _inner(look, path, fields[0], fields[1]):
                scopes += _access(look, inner, depth + 1)
            continue
        scopes.append(_entry(fields, path, number))
    return scopes


def _inner(look: Look, path: str, kind: str, name: str) -> list[str]:
    inner = name if name.startswith("/") else f"{path.rpartition('/')[0]}/{name}"
    if kind == "include_dir":
        parts = [p for p in look.names(inner) or () if p.endswith(".conf")]
        return [f"{inner}/{part}" for part in parts if not part.startswith(".")]
    return [inner] if kind == "include" or look.stat(inner) is not None else []


def _fields(line: str, path: str, number: int) -> list[str]:
    """Fields between blanks; names joined by commas are one field."""
    fields: list[str] = []
    joins, at = False, 0
    while at < len(line):
        found = _TOKEN.match(line, at)
        if found is None:
            raise unparsed(path, number, "a quote that does not end")
        part, at = found[0], found.end()
        if part.startswith("#"):
            break
        if part == "," and fields:
            fields[-1] += ","
            joins = True
        elif not part.isspace():
            if joins or (fields and fields[-1].endswith(",")):
                fields[-1] += part
            else:
                fields.append(part)
            joins = False
    return fields


def _entry(fields: list[str], path: str, number: int) -> Scope:
    kind, rest = fields[0], fields[3:]
    if kind not in _TYPES or len(rest) < (1 if kind == "local" else 2):
        raise unparsed(path, number, "no TYPE DATABASE USER ADDRESS METHOD")
    address = "local" if kind == "local" else rest.pop(0)
    if kind != "local" and rest and re.fullmatch(r"[0-9.]+|[0-9a-fA-F:]*:[0-9a-fA-F:]*", rest[0]):
        address = f"{address}/{_bits(rest.pop(0))}"
    if not rest or rest[0] not in _METHODS:
        raise unparsed(path, number, "a method that is not known")
    reach = "some"
    if address in _EVERYWHERE or address.endswith("/0"):
        reach = "everywhere"
    elif address == "local" or address in _ONLY_HERE:
        reach = "here"
    facts = {
        "type": kind,
        "database": fields[1].replace('"', ""),
        "user": fields[2].replace('"', ""),
        "address": address,
        "reach": reach,
        "method": rest[0],
    }
    values = {key: one(value, path, number) for key, value in facts.items()}
    names = facts["database"].split(",")
    values["database"] = tuple(Value(name, path, number) for name in names)
    return Scope(f"access {kind} {facts['database']} {facts['user']} {address}", path, values)


def _bits(mask: str) -> int:
    """How many bits of a mask are set."""
    if ":" in mask:
        return sum(bin(int(part, 16)).count("1") for part in mask.split(":") if part)
    return sum(bin(int(part) & 255).count("1") for part in mask.split(".") if part)
