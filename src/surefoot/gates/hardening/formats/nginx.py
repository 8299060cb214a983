"""nginx: each server with what it inherits, and each location with what it sets itself.

Source: nginx's documentation of its configuration file: directives end with `;` or open a block,
`include` takes a pattern and relative names are below the configuration's folder.
"""

from __future__ import annotations

import re
from collections.abc import Iterator

import msgspec

from surefoot.gates.hardening.formats.scope import Scope, Value, unparsed
from surefoot.gates.hardening.look import Look, glob, text_of

PATH = "/etc/nginx/nginx.conf"
_DEPTH_MAX = 32
_NODES_MAX = 100_000
_TOKEN = re.compile(
    r"""\s+|\#[^\n]*|[{};]|"(?:[^"\\]|\\.)*"|'(?:[^'\\]|\\.)*'|(?:\$\{|\\.|[^\s;{}"'\\])(?:\$\{[^}]*\}|\\.|[^\s;{}\\])*"""
)


class Directive(msgspec.Struct):
    """A name with arguments and, for a block, what stands in it."""

    name: str
    arguments: list[str]
    file: str
    line: int
    block: list[Directive] | None = None


class _Reading:
    def __init__(self, look: Look) -> None:
        self.look = look
        self.count = 0

    def file(self, path: str, depth: int) -> list[Directive]:
        text = text_of(self.look, path)
        if depth > _DEPTH_MAX or text is None:
            raise unparsed(path, 1, "a file that is not there, or includes itself")
        tokens = _tokens(text, path)
        return self._block(tokens, path, depth, inner=False)

    def _block(
        self, tokens: Iterator[tuple[str, int]], path: str, depth: int, *, inner: bool
    ) -> list[Directive]:
        found: list[Directive] = []
        held: list[str] = []
        first = 0
        for word, line in tokens:
            self.count += 1
            if depth > _DEPTH_MAX or self.count > _NODES_MAX:
                raise unparsed(path, line, "more than can be read")
            if word == "}":
                if held or not inner:
                    raise unparsed(path, line, "a } that closes nothing")
                return found
            if word in (";", "{"):
                if not held:
                    raise unparsed(path, line, f"a {word} without a name")
                made = Directive(held[0], held[1:], path, first)
                if word == "{":
                    if held[0].endswith("_by_lua_block"):
                        raise unparsed(path, line, "a program in the configuration")
                    made.block = self._block(tokens, path, depth + 1, inner=True)
                    found.append(made)
                elif held[0] == "include":
                    found += self._include(made, depth)
                else:
                    found.append(made)
                held = []
                continue
            first = line if not held else first
            held.append(word[1:-1] if word[0] in "\"'" and len(word) > 1 else word)
        if held or inner:
            raise unparsed(path, first or 1, "a block or directive that does not end")
        return found

    def _include(self, made: Directive, depth: int) -> list[Directive]:
        if len(made.arguments) != 1:
            raise unparsed(made.file, made.line, "no include of one pattern")
        name = made.arguments[0]
        name = name if name.startswith("/") else f"/etc/nginx/{name}"
        is_pattern = any(mark in name for mark in "*?[")
        paths = glob(self.look, name) if is_pattern else [name]
        return [each for path in paths for each in self.file(path, depth + 1)]


def _tokens(text: str, path: str) -> Iterator[tuple[str, int]]:
    at, line = 0, 1
    while at < len(text):
        found = _TOKEN.match(text, at)
        if found is None:
            raise unparsed(path, line, "a quote that does not end")
        token = found[0]
        if not token.isspace() and not token.startswith("#"):
            yield token, line
        line += token.count("\n")
        at = found.end()


def read(look: Look) -> list[Scope] | None:
    """A scope for each server, and for each location with what it sets itself."""
    if look.stat(PATH) is None:
        return None
    tree = _Reading(look).file(PATH, 0)
    scopes: list[Scope] = [Scope("nginx", PATH, _values(tree))]
    for http in [d for d in tree if d.name == "http" and d.block is not None]:
        outer = _values(http.block or [])
        for server in [d for d in http.block or [] if d.name == "server" and d.block is not None]:
            scopes += _server(server, outer)
    return scopes


def _server(server: Directive, outer: dict[str, tuple[Value, ...]]) -> Iterator[Scope]:
    own = _values(server.block or [])
    values = outer | own
    listens = own.get("listen", ())
    secure = any("ssl" in v.text.split() or "quic" in v.text.split() for v in listens)
    at = (Value("yes" if secure else "no", server.file, server.line),)
    values |= {"kind": (Value("server", server.file, server.line),), "tls": at}
    values["redirects"] = (Value(_redirects(server), server.file, server.line),)
    listened = listens[0].text.split()[0] if listens else "80"
    names = own["server_name"][0].text if "server_name" in own else listened
    yield Scope(f"server {names}", server.file, values)
    for location in _locations(server.block or []):
        inner = _values(location.block or [])
        inner["kind"] = (Value("location", location.file, location.line),)
        inner["tls"] = at
        name = f"server {names} location {' '.join(location.arguments)}"
        yield Scope(name, location.file, inner, False)


def _redirects(server: Directive) -> str:
    returns = [d for d in server.block or [] if d.name == "return"]
    gone = (
        returns
        and returns[0].arguments[:1]
        and returns[0].arguments[0] in ("301", "302", "307", "308", "444", "403", "404")
    )
    return "yes" if gone else "no"


def _locations(block: list[Directive]) -> Iterator[Directive]:
    for directive in block:
        if directive.block is not None and directive.name in ("location", "if", "limit_except"):
            if directive.name != "limit_except":
                yield directive
            yield from _locations(directive.block)


def _values(block: list[Directive]) -> dict[str, tuple[Value, ...]]:
    values: dict[str, tuple[Value, ...]] = {}
    for directive in block:
        if directive.block is None:
            value = Value(" ".join(directive.arguments), directive.file, directive.line)
            values[directive.name] = (*values.get(directive.name, ()), value)
    return values
