"""Commands on people: an enrolment is requested with the new key and submitted by a founder.

Keeps: possession of the new key is proved on the machine that holds it.
"""

from __future__ import annotations

import argparse
import json
import sys
from pathlib import Path
from typing import Any

from surefoot.core.errors import Refused
from surefoot.doors import words
from surefoot.doors.cli import asking, files, show, signer
from surefoot.doors.cli.client import Client, client_for

_MEMBERS = {"installation", "person", "key", "proof", "identities"}


def request(options: argparse.Namespace) -> None:
    """Write an enrolment request, signed with the person's own key."""
    client = client_for(options)
    made = _enrolment(client, options.name, client.signer, options.identity or [])
    text = json.dumps(made, indent=2) + "\n"
    if not options.request:
        sys.stdout.write(text)
        return
    files.write_new(Path(options.request), text.encode())
    told = {"request": options.request, "person": options.name, "fingerprint": client.signer.keyid}
    if options.output == "json":
        show.as_json(told)
    else:
        show.fields(told.items())
        show.line(f"a founder submits it: surefoot person enrol --request {options.request}")


def enrol(options: argparse.Namespace) -> None:
    """Submit an enrolment: from a request, or with a key that is held here."""
    client = client_for(options)
    if options.request:
        body = _read(Path(options.request), client.installation)
    elif options.name and options.new_key:
        held = signer.load(options.new_key)
        body = _enrolment(client, options.name, held, options.identity or [])
    else:
        raise Refused(
            "person.request.input",
            "enrolment",
            expected="--request FILE, or a name and --new-key FILE",
            found="neither",
            remedy="ask the person to run: surefoot person request",
        )
    body.pop("installation", None)
    asking.emit(options, client.ask("POST", "/people", body))


def who_can(options: argparse.Namespace) -> None:
    """`who-can deploy production` and `who-can deploy.production` ask the same."""
    values = {"permission": ".".join(options.permission)} | (
        {"at": options.at} if options.at else {}
    )
    asking.emit(options, client_for(options).ask("GET", "/who-can", values))


def login(options: argparse.Namespace) -> None:
    """Print the one-time link."""
    client = client_for(options)
    answer = client.ask("POST", "/sessions", {})
    if options.output == "json":
        show.as_json(answer)
    else:
        show.line(answer["link"])
        show.line(f"good once, for {answer['seconds']} seconds")


def _enrolment(
    client: Client, person: str, key: signer.Signer, identities: list[str]
) -> dict[str, Any]:
    line = key.public.line()
    message = words.enrolment_bytes(client.installation, person, line)
    proof = signer.ssh_signature(key, message, words.ENROL_NAMESPACE)
    return {
        "installation": client.installation,
        "person": person,
        "key": line,
        "proof": proof.decode(),
        "identities": identities,
    }


def _read(file: Path, installation: str) -> dict[str, Any]:
    value = files.read_json(file)
    if not isinstance(value, dict) or set(value) != _MEMBERS:
        raise Refused(
            "person.request.input",
            f"request {file}",
            expected=f"an object with {', '.join(sorted(_MEMBERS))}",
            found="something else",
            remedy="make it with: surefoot person request",
        )
    if value["installation"] != installation:
        raise Refused(
            "person.request.input",
            f"request {file}",
            expected=f"a request to installation {installation}",
            found=str(value["installation"])[:80],
            remedy="make it anew with this installation's server",
        )
    return value
