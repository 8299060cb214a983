"""Service units that the site installed itself, with their drop-ins.

Source: systemd.unit(5), systemd.syntax(7): a unit in an earlier folder hides later ones, drop-ins
of all folders are read in the order of their names, an empty value clears, a link to /dev/null
masks.
"""

from __future__ import annotations

from surefoot.gates.hardening.formats.scope import Scope, Value, joined_lines, unparsed
from surefoot.gates.hardening.look import Look

FOLDERS = (
    "/etc/systemd/system",
    "/run/systemd/system",
    "/usr/local/lib/systemd/system",
    "/usr/lib/systemd/system",
    "/lib/systemd/system",
)
OWN = (FOLDERS[0], FOLDERS[2])
# Links to units of packages, which are other names for them, and to nothing.
_NOT_OWN = ("/usr/lib/", "/lib/", "../../../usr/lib/", "../../../lib/", "/dev/null")


def read(look: Look) -> list[Scope] | None:
    """A scope for each service that stays; None when the site has none of its own."""
    if not look.whole:
        return None
    scopes = []
    for name, path in _own(look).items():
        values: dict[str, tuple[Value, ...]] = {}
        for each in (path, *_drop_ins(look, name)):
            _merge(look, each, values)
        kind = values.get("Type", ())
        if "ExecStart" in values and not any(v.text == "oneshot" for v in kind):
            scopes.append(Scope(name, path, values))
    return scopes or None


def _own(look: Look) -> dict[str, str]:
    found: dict[str, str] = {}
    for folder in OWN:
        for name in look.names(folder) or ():
            path = f"{folder}/{name}"
            if name.endswith(".service") and not look.link(path).startswith(_NOT_OWN):
                at = look.stat(path)
                if at is not None and at.kind == "file":
                    found.setdefault(name, path)
    return found


def _drop_ins(look: Look, name: str) -> list[str]:
    found: dict[str, str] = {}
    base = name.removesuffix(".service")
    template = f"{base.partition('@')[0]}@.service" if "@" in base else name
    for folder in FOLDERS:
        for owner in dict.fromkeys((name, template, "service")):
            for part in look.names(f"{folder}/{owner}.d") or ():
                if part.endswith(".conf"):
                    found.setdefault(part, f"{folder}/{owner}.d/{part}")
    ordered = [path for _, path in sorted(found.items())]
    return [p for p in ordered if (s := look.stat(p)) is not None and s.kind == "file"]


def _merge(look: Look, path: str, values: dict[str, tuple[Value, ...]]) -> None:
    section = ""
    for number, raw in joined_lines(look, path, "#;"):
        line = raw.strip()
        if line.startswith("[") and line.endswith("]"):
            section = line[1:-1]
            continue
        key, mark, text = line.partition("=")
        if not mark or not section:
            raise unparsed(path, number, "no KEY=VALUE in a section")
        if section != "Service":
            continue
        name, text = key.strip(), text.strip()
        if not text:
            values.pop(name, None)
        elif name in _LISTS:
            values[name] = (*values.get(name, ()), Value(text, path, number))
        else:
            values[name] = (Value(text, path, number),)


_LISTS = ("ExecStart", "CapabilityBoundingSet", "AmbientCapabilities")
