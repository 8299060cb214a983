"""Baselines on this machine without a server: collect one, and compare two.

Keeps: the file is what the gate collects, by the same code; a secret's value is not in it.
"""

from __future__ import annotations

import argparse
from contextlib import ExitStack, closing
from pathlib import Path
from typing import NoReturn

from surefoot.app.gate_asks import declared_entries
from surefoot.core.errors import Refused
from surefoot.doors.cli import show
from surefoot.gates.baseline.gate import difference
from surefoot.gates.baseline.snapshot import Snapshot, decode, of_artifacts, of_host
from surefoot.gates.hardening.archive import ArchiveLook
from surefoot.gates.hardening.folder import FolderLook, HostLook
from surefoot.gates.hardening.look import Look, Unseen
from surefoot.product import parse_definition
from surefoot.store.durable import write_durably
from surefoot.trust.digest import digest_of


def collect(options: argparse.Namespace) -> None:
    """Write FILE, and tell its digest and what could not be seen."""
    found = _artifacts(options) if options.artifact else _host(options)
    content = found.encode()
    write_durably(Path(options.file).expanduser(), content, 0o644)
    answer = {
        "digest": digest_of(content),
        "entries": len(found.entries),
        "not_seen": list(found.unseen),
    }
    if options.output == "json":
        show.as_json(answer)
    else:
        show.fields(answer.items())


def diff(options: argparse.Namespace) -> None:
    """What only one of two has, and what differs."""
    first, second = (_read(Path(name).expanduser()) for name in (options.first, options.second))
    found = difference(first, second)
    if options.output == "json":
        show.as_json(found)
        return
    for sign, key in (("-", "only_here"), ("+", "only_there")):
        names = found[key]
        for name in names if isinstance(names, list) else []:
            show.line(f"{sign} {name}")
    different = found["different"]
    for name, values in different.items() if isinstance(different, dict) else ():
        assert isinstance(values, list)
        show.line(f"~ {name}: {values[0]} -> {values[1]}")
    counts = found["counts"]
    assert isinstance(counts, list)
    show.line(f"{counts[0]} only in the first, {counts[1]} only in the second, {counts[2]} differ")


def _host(options: argparse.Namespace) -> Snapshot:
    declared: dict[str, str] = {}
    if bool(options.definition) != bool(options.environment):
        _refuse("both --definition and --environment, or neither", "one of them")
    if options.definition:
        definition = parse_definition(Path(options.definition).expanduser().read_bytes())
        if options.environment not in definition.environments:
            _refuse("one of " + ", ".join(definition.environments), options.environment[:60])
        declared = declared_entries(definition.environments[options.environment])
    look: Look = HostLook()
    if options.root:
        look = FolderLook(Path(options.root).expanduser().absolute())
    return of_host(look, tuple(options.watch or ()), declared)


def _artifacts(options: argparse.Namespace) -> Snapshot:
    with ExitStack() as opened:
        looks: dict[str, Look] = {}
        for word in options.artifact:
            name, mark, file = word.partition("=")
            if not mark or not name:
                _refuse("NAME=FILE", word[:60])
            try:
                look = ArchiveLook(Path(file).expanduser(), name)
            except Unseen as error:
                _refuse("artifacts that are a tar", str(error)[:200])
            looks[name] = opened.enter_context(closing(look))
        return of_artifacts(looks, {})


def _read(path: Path) -> Snapshot:
    try:
        return decode(path.read_bytes())
    except (OSError, ValueError) as error:
        _refuse(f"a baseline in {path.name}", str(error)[:200])


def _refuse(expected: str, found: str) -> NoReturn:
    raise Refused(
        "baseline.argument.input",
        "baseline",
        expected=expected,
        found=found,
        remedy="see: surefoot baseline collect --help",
    )
