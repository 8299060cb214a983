"""`secret set`: the value comes from a prompt, a file or standard input, never from an argument.

Keeps: a value is not in the process list, the shell's history, an error or an answer.
"""

from __future__ import annotations

import argparse
import base64
import getpass
import sys
from pathlib import Path

from surefoot.core.errors import Refused
from surefoot.doors.cli import asking, files
from surefoot.doors.cli.client import client_for


def put(options: argparse.Namespace) -> None:
    """Give a secret a new version."""
    client = client_for(options)
    value = _value(options)
    body = {
        "name": options.name,
        "secret": options.secret,
        "value": base64.b64encode(value).decode(),
    }
    asking.emit(options, client.ask(options.command.method, options.command.path, body))


def _value(options: argparse.Namespace) -> bytes:
    if options.from_file:
        value = files.read(Path(options.from_file))
    elif sys.stdin.isatty():
        value = getpass.getpass(f"value of {options.secret}: ").encode()
    else:
        value = files.read(Path("-"))
    # Editors and `echo` end a file with a newline that nobody means.
    value = value.removesuffix(b"\n").removesuffix(b"\r")
    if not value:
        raise Refused(
            "secret.value.input",
            f"secret {options.secret}",
            expected="a value",
            found="nothing",
            remedy="type it, or give --from-file FILE",
        )
    return value
