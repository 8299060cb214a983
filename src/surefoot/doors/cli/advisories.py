"""`advisories make`, `import`, `host` and `vex`: files as requests can hold them.

Keeps: a snapshot's file is read part by part, each bounded; what is read of a host stays below the
folder that was named, and no link leads out of it.
"""

from __future__ import annotations

import argparse
import base64
import os
import zlib
from collections.abc import Iterator
from pathlib import Path
from typing import BinaryIO

from surefoot.app.moment import parse_moment
from surefoot.core.errors import Refused
from surefoot.doors.cli import asking, files, show, signer
from surefoot.doors.cli import settings as remembered
from surefoot.doors.cli.client import client_for
from surefoot.engine.clock import SystemClock
from surefoot.insight import advisories, osv
from surefoot.trust import envelope

_STATUS = "var/lib/dpkg/status"
_RELEASES = ("etc/os-release", "usr/lib/os-release")
_STATUS_BYTES_MAX = 64 * 1024 * 1024


def make(options: argparse.Namespace) -> None:
    """Read the sources, and write a snapshot that the person's key signs."""
    key = signer.load(remembered.resolve(options).key)
    made_at = parse_moment(options.made_at) if options.made_at else SystemClock().now_ms()
    catalogue, table = (
        files.read(Path(name)) if name else None for name in (options.exploited, options.likely)
    )
    file = Path(options.file)
    try:
        lines = osv.lines([Path(source) for source in options.osv], catalogue, table)
        parts = list(advisories.pack(lines))
        statement = advisories.Statement(
            format=advisories.FORMAT, made_at_ms=made_at, parts=tuple(p for p, _ in parts)
        )
        advisories.read_statement(statement.encoded())
    except (advisories.BadSnapshot, OSError) as error:
        raise _bad("sources", "records of OSV that can be read", str(error)) from None
    sealed = envelope.seal(advisories.PAYLOAD_TYPE, statement.encoded(), [key])
    files.write_new(file, b"".join((sealed, b"\n", *(content for _, content in parts))))
    answer = {
        "file": str(file),
        "signer": key.keyid,
        "records": statement.total("records"),
        "exploited": statement.total("exploited"),
        "likely": statement.total("likely"),
        "ecosystems": statement.ecosystems(),
    }
    if options.output == "json":
        show.as_json(answer)
    else:
        show.fields(answer.items())


def take(options: argparse.Namespace) -> None:
    """Send a snapshot: its envelope, then the parts that the server does not have."""
    command = options.command
    client = client_for(options)
    file = Path(options.file)
    try:
        with file.open("rb") as opened:
            sealed, entries = _statement(opened)
            body = {**asking.given(options), "envelope": base64.b64encode(sealed).decode()}
            body.pop("file")
            answer = client.ask(command.method, command.path, body)
            missing = set(answer["missing"])
            for entry, content in _parts(opened, entries):
                if entry.digest in missing:
                    part = base64.b64encode(content).decode()
                    answer = client.ask(command.method, command.path, {**body, "part": part})
    except OSError as error:
        raise _bad(f"file {file}", "a file that can be read", error.strerror or "") from None
    except (advisories.BadSnapshot, envelope.BadEnvelope) as error:
        raise _bad(f"file {file}", "a whole snapshot", str(error)) from None
    asking.emit(options, answer)


def _statement(opened: BinaryIO) -> tuple[bytes, tuple[advisories.PartEntry, ...]]:
    """The envelope and the parts it names; the server verifies the signature."""
    line = opened.readline(envelope.SIZE_BYTES_MAX + 1)
    if not line.endswith(b"\n"):
        raise advisories.BadSnapshot("it does not begin with an envelope on one line")
    sealed = line[:-1]
    return sealed, advisories.read_statement(envelope.parse(sealed).payload).parts


def _parts(
    opened: BinaryIO, entries: tuple[advisories.PartEntry, ...]
) -> Iterator[tuple[advisories.PartEntry, bytes]]:
    for entry in entries:
        content = opened.read(entry.size_bytes)
        if len(content) != entry.size_bytes:
            raise advisories.BadSnapshot("it ends early")
        yield entry, content
    if opened.read(1):
        raise advisories.BadSnapshot("it goes on after its last part")


def host(options: argparse.Namespace) -> None:
    """Send a system's list of packages, or a bill of materials."""
    body = {"component": options.component}
    if options.sbom:
        body |= {"form": "sbom", "content": _packed(files.read(Path(options.sbom)))}
    else:
        root = Path(options.root)
        system = next((found for name in _RELEASES if (found := _inside(root, name))), b"")
        status = _inside(root, _STATUS)
        if not status:
            raise _bad(f"folder {root}", f"a Debian system with {_STATUS}", "no such file")
        body |= {
            "form": "dpkg",
            "content": _packed(status),
            "system": system[:100_000].decode("utf-8", "replace"),
        }
    asking.emit(
        options, client_for(options).ask(options.command.method, options.command.path, body)
    )


def _inside(root: Path, name: str) -> bytes:
    """A file below a folder, empty when there is none; a link out of the folder is refused."""
    top = Path(os.path.realpath(root))
    file = Path(os.path.realpath(top / name))
    if not file.is_relative_to(top):
        raise _bad(f"file {top / name}", "a file inside the folder", "a link that leads out")
    try:
        with file.open("rb") as opened:
            content = opened.read(_STATUS_BYTES_MAX + 1)
    except FileNotFoundError:
        return b""
    except OSError as error:
        raise _bad(f"file {file}", "a file that can be read", error.strerror or "") from None
    if len(content) > _STATUS_BYTES_MAX:
        raise _bad(f"file {file}", f"at most {_STATUS_BYTES_MAX} bytes", "more")
    return content


def vex(options: argparse.Namespace) -> None:
    """Send a VEX document."""
    body = {"component": options.component, "document": _packed(files.read(Path(options.file)))}
    asking.emit(
        options, client_for(options).ask(options.command.method, options.command.path, body)
    )


def _send(options: argparse.Namespace, body: dict[str, str]) -> None:
    command = options.command
    asking.emit(options, client_for(options).ask(command.method, command.path, body))


def _packed(content: bytes) -> str:
    return base64.b64encode(zlib.compress(content, 6)).decode()


def _bad(subject: str, expected: str, found: str) -> Refused:
    return Refused(
        "advisories.file.input",
        subject,
        expected=expected,
        found=found[:200],
        remedy="fetch or make it again",
    )
