"""`init` and `use`: make an installation on this machine; remember a server and a key."""

from __future__ import annotations

import argparse
import shutil
from pathlib import Path
from typing import Any

from surefoot.core.errors import Failed, Refused
from surefoot.doors.cli import compose, files, settings, show, signer
from surefoot.doors.cli.client import Client

_EXAMPLE = Path("examples") / "thermostat"
_LEASE_SECONDS_MAX = 600
_LEFT_OUT = shutil.ignore_patterns("__pycache__", "*.pyc", ".pytest_cache", ".git")


def init(options: argparse.Namespace) -> None:
    """Make an installation with its founders; or copy the example product."""
    folder = Path(options.folder)
    if options.example:
        _tell(options, _copy_example(folder))
        return
    founders = tuple(_founder(text) for text in options.founder or [])
    if not options.repository or not options.product:
        raise Refused(
            "init.argument.input",
            "installation",
            expected="--repository PATH and --product NAME",
            found="one of them missing",
            remedy="see: surefoot init --help",
        )
    if not 1 <= options.lease_seconds <= _LEASE_SECONDS_MAX:
        raise Refused(
            "init.argument.input",
            "--lease-seconds",
            expected=f"1 to {_LEASE_SECONDS_MAX}",
            found=str(options.lease_seconds),
            remedy="leave it out for 30",
        )
    root = compose.load()
    made = root.Settings(
        installation=options.installation or options.product,
        product=options.product,
        repository=str(Path(options.repository).absolute()),
        store=options.store or "",
        checkpoint=str(Path(options.checkpoint).absolute()) if options.checkpoint else "",
        poll_seconds=options.poll_seconds,
        lease_seconds=options.lease_seconds,
        anchors=options.anchors,
    )
    keys = tuple(root.FounderKey(**founder) for founder in founders)
    policy = files.read(Path(options.witness_policy)) if options.witness_policy else None
    _tell(options, dict(root.initialise(folder.absolute(), made, keys, policy)))


def _founder(text: str) -> dict[str, Any]:
    """NAME=KEYFILE.pub, and after it commit addresses, each after a comma."""
    name, separator, rest = text.partition("=")
    file, *identities = rest.split(",")
    if not (separator and name and file):
        raise Refused(
            "init.founder.input",
            f"founder {text[:80]!r}",
            expected="NAME=KEYFILE.pub, with commit addresses after commas",
            found=text[:80],
            remedy="name two people: --founder ann=ann.pub --founder bob=bob.pub,bob@example.org",
        )
    line = signer.public_line(Path(file).expanduser())
    return {"person": name, "key": line, "identities": tuple(identities)}


def _copy_example(folder: Path) -> dict[str, str]:
    source = example()
    try:
        shutil.copytree(source, folder, ignore=_LEFT_OUT)
    except FileExistsError:
        raise Refused(
            "file.new.exists",
            f"folder {folder}",
            expected="a name that is not taken",
            found="a folder",
            remedy="choose another name",
        ) from None
    except OSError as error:
        raise Failed(
            "file.write.failed",
            f"folder {folder}",
            expected="a folder that can be written",
            found=error.strerror or str(error),
            remedy="choose another place",
        ) from None
    return {"folder": str(folder), "next": f"read {folder}/surefoot.yaml, then commit it signed"}


def example() -> Path:
    """Beside the package when it is installed from a wheel, else in the repository it runs from."""
    package = Path(__file__).resolve().parents[2]
    for place in (package / _EXAMPLE, package.parents[1] / _EXAMPLE):
        if (place / "surefoot.yaml").is_file():
            return place
    raise Failed(
        "init.example.unknown",
        "example product",
        expected=f"a folder {_EXAMPLE} in the package or its repository",
        found="none",
        remedy="clone the repository and copy the folder from there",
    )


def use(options: argparse.Namespace) -> None:
    """Remember server and key, and pin the installation that answers there."""
    chosen = settings.resolve(options)
    client = Client(chosen._replace(installation=""))
    key = str(Path(chosen.key).expanduser().absolute()) if chosen.key else ""
    file = Path(options.config) if options.config else settings.path()
    server = client.server
    if server.startswith("unix:"):
        server = f"unix:{Path(server.removeprefix('unix:')).absolute()}"
    kept = settings.Settings(server, key, client.installation)
    settings.save(file, kept)
    _tell(options, {"settings": str(file), **kept._asdict()})


def _tell(options: argparse.Namespace, answer: dict[str, Any]) -> None:
    if options.output == "json":
        show.as_json(answer)
    else:
        show.fields(answer.items())
