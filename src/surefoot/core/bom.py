"""The packages in a bill of materials: CycloneDX JSON in, parts out.

Keeps: every component is a part, also one that cannot be judged; a document that is not whole is
refused. Does not: open files, or follow references to other documents.
Source: CycloneDX 1.6, `components`; package URL specification.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import msgspec
from packageurl import PackageURL

from surefoot.core.device import clean_text
from surefoot.core.ecosystem import BY_PURL, Part, debian_release, normal

SIZE_BYTES_MAX = 64 * 1024 * 1024
PARTS_MAX = 100_000
_DEPTH_MAX = 16
_PROGRAMS = frozenset({"application", "firmware", "container", "framework", "library", "device"})


class Bill(msgspec.Struct, frozen=True, kw_only=True):
    """What a document lists; `kind` is the type of what it is about."""

    kind: str
    parts: tuple[Part, ...]

    @property
    def program(self) -> bool:
        """Whether it is about something that is run: not about plain files."""
        return self.kind in _PROGRAMS or not self.kind


def read(content: bytes) -> Bill:
    """The parts, sorted, each once. Raises `ValueError` for another document."""
    if len(content) > SIZE_BYTES_MAX:
        raise ValueError(f"{len(content)} bytes, at most {SIZE_BYTES_MAX}")
    try:
        document = msgspec.json.decode(content, type=dict[str, Any])
    except (msgspec.DecodeError, RecursionError) as error:
        raise ValueError(f"not a JSON object: {str(error)[:100]}") from None
    if document.get("bomFormat") != "CycloneDX":
        raise ValueError("no CycloneDX document")
    listed = document.get("components", [])
    parts = set()
    for component in _flat(listed, 0):
        parts.add(_part(component))
        if len(parts) > PARTS_MAX:
            raise ValueError(f"more than {PARTS_MAX} components")
    return Bill(kind=_kind(document), parts=tuple(sorted(parts)))


def _kind(document: dict[str, Any]) -> str:
    found = document.get("metadata")
    root = found.get("component") if isinstance(found, dict) else None
    kind = root.get("type") if isinstance(root, dict) else None
    return kind if isinstance(kind, str) else ""


def _flat(listed: object, depth: int) -> Iterator[dict[str, Any]]:
    if not isinstance(listed, list) or depth > _DEPTH_MAX:
        raise ValueError("components are no list, or too deep")
    for each in listed:
        if not isinstance(each, dict):
            raise ValueError("a component is no object")
        yield each
        if "components" in each:
            yield from _flat(each["components"], depth + 1)


def _part(component: dict[str, Any]) -> Part:
    name, version, purl = (component.get(k, "") for k in ("name", "version", "purl"))
    if not all(isinstance(each, str) for each in (name, version, purl)):
        raise ValueError("a component's name, version or package URL is no text")
    if not purl:
        return _unknown(name, version, "it has no package URL")
    return part_of(purl, name, version)


def _unknown(name: str, version: str, why: str) -> Part:
    name = clean_text(name, 200)
    return Part(ecosystem="", name=name, version=clean_text(version, 200), shown=name, trouble=why)


def part_of(purl: str, name: str = "", version: str = "") -> Part:
    """The part that a package URL names."""
    try:
        found = PackageURL.from_string(purl[:2000])
    except ValueError:
        return _unknown(name or purl, version, "its package URL cannot be read")
    kind = BY_PURL.get(found.type)
    shown = PackageURL(found.type, found.namespace, found.name).to_string()
    if kind is None:
        why = f"packages of type {clean_text(found.type, 40)} are not known"
        return _unknown(shown, found.version or version, why)
    whole = f"{found.namespace}/{found.name}" if found.namespace else found.name
    one = Part(
        ecosystem=kind.name,
        name=normal(kind.name, whole),
        version=found.version or version,
        shown=shown,
    )
    qualifiers = found.qualifiers if isinstance(found.qualifiers, dict) else {}
    return _debian(one, found, qualifiers) if kind.name == "Debian" else one


def _debian(part: Part, found: PackageURL, qualifiers: dict[str, str]) -> Part:
    """The source package of a release, where the URL names them."""
    release = debian_release(qualifiers.get("distro", ""))
    if found.namespace != "debian":
        why = f"packages of {clean_text(found.namespace or 'nobody', 40)} are not known"
        return msgspec.structs.replace(part, ecosystem="", trouble=why)
    source, _, version = qualifiers.get("upstream", "").partition("@")
    source = (source or found.name).lower()
    return msgspec.structs.replace(
        part,
        ecosystem=f"Debian:{release}",
        name=source,
        version=version or part.version,
        shown=f"pkg:deb/debian/{source}",
        trouble="" if release else "its package URL names no release of the distribution",
    )
