"""The list of installed packages of a Debian system, as dpkg writes it.

Keeps: what is removed but for its configuration is not installed; a paragraph that cannot be read
refuses the whole list, so that no package is left out unseen. Advisories are about source
packages, so each package is known by its source and that one's version.
Does not: open files.
Source: dpkg(1), "Package states"; Debian Policy, sections 5.1 and 5.6.1.
"""

from __future__ import annotations

import re

import msgspec

from surefoot.core.ecosystem import Part, debian_release, normal

SIZE_BYTES_MAX = 64 * 1024 * 1024
PACKAGES_MAX = 100_000

_SOURCE = re.compile(r"(?P<name>[A-Za-z0-9][A-Za-z0-9.+-]*)(?: \((?P<version>[^()\s]+)\))?")
_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9.+-]*")
_OS_LINE = re.compile(r"([A-Z_]+)=(?:\"([^\"]*)\"|'([^']*)'|(\S*))\s*")
_INSTALLED = frozenset({"installed", "unpacked", "half-configured", "half-installed"})
_TRIGGERED = frozenset({"triggers-awaited", "triggers-pending"})


class Installed(msgspec.Struct, frozen=True, order=True):
    """A package, and the source that it was built from."""

    name: str
    version: str
    source: str
    source_version: str


def read_status(content: bytes) -> tuple[Installed, ...]:
    """The installed packages, sorted. Raises `ValueError` for anything that is no such list."""
    if len(content) > SIZE_BYTES_MAX:
        raise ValueError(f"{len(content)} bytes, at most {SIZE_BYTES_MAX}")
    text = content.decode("utf-8")
    if not text.endswith("\n"):
        raise ValueError("the list ends in the middle of a line")
    found = set()
    for paragraph in re.split(r"\n[ \t]*\n", text.strip("\n")):
        if not paragraph.strip():
            continue
        one = _installed(_fields(paragraph))
        if one is not None:
            found.add(one)
        if len(found) > PACKAGES_MAX:
            raise ValueError(f"more than {PACKAGES_MAX} packages")
    return tuple(sorted(found))


def _fields(paragraph: str) -> dict[str, str]:
    fields: dict[str, str] = {}
    for line in paragraph.split("\n"):
        if line[:1] in (" ", "\t"):
            continue  # The rest of a long field; none of those is looked at.
        name, colon, value = line.partition(":")
        if not colon or not name.strip() or name.lower() in fields:
            raise ValueError(f"not a field: {line[:80]!r}")
        fields[name.lower()] = value.strip()
    return fields


def _installed(fields: dict[str, str]) -> Installed | None:
    name, version = fields.get("package", ""), fields.get("version", "")
    if not _NAME.fullmatch(name):
        raise ValueError(f"a paragraph without a package: {name[:60]!r}")
    words = fields.get("status", "").split()
    if len(words) != 3:
        raise ValueError(f"package {name}: no status of three words")
    if words[2] not in _INSTALLED | _TRIGGERED:
        return None
    source = _SOURCE.fullmatch(fields.get("source") or name)
    if not version or source is None:
        raise ValueError(f"package {name}: no version, or a source that cannot be read")
    return Installed(name, version, source["name"], source["version"] or version)


def distribution(os_release: bytes) -> tuple[str, str]:
    """The system's ID and release of an os-release file, empty when it does not say.

    Source: os-release(5).
    """
    found: dict[str, str] = {}
    for line in os_release[:100_000].decode("utf-8", "replace").splitlines():
        match = _OS_LINE.fullmatch(line)
        if match:
            found[match[1]] = next((g for g in match.groups()[1:] if g is not None), "")
    release = found.get("VERSION_ID") or found.get("VERSION_CODENAME") or ""
    return found.get("ID", ""), release


def parts_of(installed: tuple[Installed, ...], system: str, release: str) -> tuple[Part, ...]:
    """The sources of what is installed, each version once, as parts of that system's release."""
    number = debian_release(release)
    trouble = ""
    if system != "debian":
        trouble = f"the system {system[:40] or 'without a name'} is none that is known"
    elif not number:
        trouble = f"the release {release[:40] or 'without a number'} is none that is known"
    sources = sorted({(each.source, each.source_version) for each in installed})
    return tuple(
        Part(
            ecosystem=f"Debian:{number}",
            name=normal("Debian", name),
            version=version,
            shown=f"pkg:deb/{system or 'unknown'}/{name.lower()}",
            trouble=trouble,
        )
        for name, version in sources
    )
