"""The product definition `surefoot.yaml`: bytes in, one checked frozen record out.

Rules: an unknown key is an error; every mistake is reported at once, each with file, line and
column; the same bytes give the same definition and digest.
Does not: read files or git; decide who may do what.
"""

from __future__ import annotations

from collections.abc import Iterable

from surefoot.core.errors import Refused
from surefoot.product.check import PERMISSIONS, RESERVED, complaints
from surefoot.product.check_pipeline import DEPLOY_GATES, RELEASE_GATES
from surefoot.product.form import (
    Approvals,
    Build,
    Compatibility,
    Component,
    Data,
    DatabaseTarget,
    Definition,
    Devices,
    Environment,
    Firmware,
    FleetTarget,
    Freeze,
    Health,
    Migrations,
    Pipeline,
    ProcessTarget,
    Run,
    Service,
    SmallTeam,
    Smoke,
    Targets,
    Tests,
)
from surefoot.product.gate_form import Baseline, Hardening, Privilege, Transport
from surefoot.product.node import DEPTH_MAX, SIZE_BYTES_MAX, Place, Trouble, place_of, read_tree
from surefoot.product.read import BAD, Mistake, Path, Reader
from surefoot.product.reference import reference_page
from surefoot.product.words import Scalar
from surefoot.trust.digest import Digest, digest_of

FILE_NAME = "surefoot.yaml"
MISTAKES_MAX = 100

__all__ = [
    "DEPLOY_GATES",
    "DEPTH_MAX",
    "FILE_NAME",
    "PERMISSIONS",
    "RELEASE_GATES",
    "RESERVED",
    "SIZE_BYTES_MAX",
    "Approvals",
    "Baseline",
    "Build",
    "Compatibility",
    "Component",
    "Data",
    "DatabaseTarget",
    "Definition",
    "DefinitionRefused",
    "Devices",
    "Environment",
    "Firmware",
    "FleetTarget",
    "Freeze",
    "Hardening",
    "Health",
    "Migrations",
    "Pipeline",
    "Privilege",
    "ProcessTarget",
    "Run",
    "Scalar",
    "Service",
    "SmallTeam",
    "Smoke",
    "Targets",
    "Tests",
    "Transport",
    "definition_digest",
    "lines_of",
    "parse_definition",
    "reference_page",
]


_REMEDY = "correct the file there, commit it, and try again"


class DefinitionRefused(Refused):
    """The definition has mistakes: the first is this error, `others` are the rest in file order."""

    def __init__(self, first: Mistake, others: tuple[Refused, ...], file: str) -> None:
        super().__init__(
            "product.definition.input",
            _subject(first, file),
            expected=first.expected,
            found=first.found,
            remedy=first.remedy or _REMEDY,
        )
        self.others = others

    def every(self) -> tuple[Refused, ...]:
        """All mistakes, this one first."""
        return (self, *self.others)

    def __str__(self) -> str:
        first = super().__str__()
        return "\n".join([first, *(str(other) for other in self.others)])


def parse_definition(content: bytes, file: str = FILE_NAME) -> Definition:
    """The checked definition of a file's bytes (UTF-8 YAML, at most 256 KiB).

    Raises `DefinitionRefused` with every mistake found.
    """
    try:
        tree = read_tree(content)
    except Trouble as trouble:
        mistake = Mistake(
            place=trouble.place,
            path=(),
            expected=trouble.expected,
            found=trouble.found,
            remedy=trouble.remedy,
        )
        raise _refusal([mistake], file) from None
    reader = Reader()
    definition = reader.read(tree, Definition)
    if definition is BAD or reader.mistakes:
        raise _refusal(reader.mistakes, file)
    assert isinstance(definition, Definition)
    broken = [
        Mistake(
            place=_nearest_place(reader.places, path),
            path=path,
            expected=expected,
            found=found,
            remedy=remedy,
        )
        for path, expected, found, remedy in complaints(definition)
    ]
    if broken:
        raise _refusal(broken, file)
    return definition


def lines_of(content: bytes, paths: Iterable[tuple[str, ...]]) -> dict[tuple[str, ...], int]:
    """The line (from 1) on which each path's value stands; without those that are not there."""
    try:
        tree = read_tree(content)
    except Trouble:
        return {}
    found = {path: place_of(tree, path) for path in paths}
    return {path: place.line for path, place in found.items() if place is not None}


def definition_digest(content: bytes) -> Digest:
    """Digest of the file's bytes, as they stand in the commit."""
    return digest_of(content)


def _refusal(mistakes: Iterable[Mistake], file: str) -> DefinitionRefused:
    ordered = sorted(mistakes, key=lambda m: m.place)[:MISTAKES_MAX]
    others = tuple(
        Refused(
            "product.definition.input",
            _subject(m, file),
            expected=m.expected,
            found=m.found,
            remedy=m.remedy or _REMEDY,
        )
        for m in ordered[1:]
    )
    return DefinitionRefused(ordered[0], others, file)


def _subject(mistake: Mistake, file: str) -> str:
    dotted = ".".join(str(part) for part in mistake.path)[:200]
    place = f"{file}:{mistake.place.line}:{mistake.place.column}"
    return f"{place} {dotted}" if dotted.isprintable() and dotted else place


def _nearest_place(places: dict[Path, Place], path: Path) -> Place:
    while path and path not in places:
        path = path[:-1]
    return places.get(path, Place(1, 1))
