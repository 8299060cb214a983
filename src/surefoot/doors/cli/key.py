"""Commands on key files: make a pair, show one.

Keeps: an existing file is never overwritten; the private file is the owner's alone from its first
byte on; the private key goes nowhere else.
"""

from __future__ import annotations

import argparse
import getpass
import os
import sys
from pathlib import Path

from surefoot.core.errors import Failed, Refused
from surefoot.doors.cli import show, signer
from surefoot.engine.clock import SystemClock
from surefoot.trust import keys

_SEED_BYTES = 32


def generate(options: argparse.Namespace) -> None:
    """Write FILE and FILE.pub."""
    file = Path(options.file).expanduser()
    public = Path(f"{file}.pub")
    key = keys.private_key(SystemClock().token(_SEED_BYTES))
    passphrase = _passphrase(file) if options.passphrase else None
    try:
        line = key.public.line(options.comment)
        text = keys.private_text(key, options.comment, passphrase)
    except keys.BadKey as error:
        raise Refused(
            "key.comment.input",
            f"key {file}",
            expected="a printable comment, and a passphrase that can be used here",
            found=str(error)[:200],
            remedy="choose another comment, or leave the passphrase out",
        ) from None
    _write_new(file, text, 0o600)
    _write_new(public, (line + "\n").encode(), 0o644)
    answer = {"fingerprint": key.keyid, "private": str(file), "public": str(public), "line": line}
    _emit(options, answer)


def show_key(options: argparse.Namespace) -> None:
    """Fingerprint and public line of a key file."""
    line = signer.public_line(Path(options.file).expanduser())
    _emit(options, {"fingerprint": keys.parse_public_line(line)[0].fingerprint, "line": line})


def _emit(options: argparse.Namespace, answer: dict[str, str]) -> None:
    if options.output == "json":
        show.as_json(answer)
    else:
        show.fields(answer.items())


def _passphrase(file: Path) -> bytes:
    if not sys.stdin.isatty():
        raise Refused(
            "key.passphrase.input",
            f"key {file}",
            expected="a terminal to ask for a passphrase",
            found="none",
            remedy="run it on a terminal",
        )
    first = getpass.getpass(f"passphrase for {file}: ")
    if first != getpass.getpass("the same again: "):
        raise Refused(
            "key.passphrase.input", f"key {file}", expected="the same twice", found="two different"
        )
    return first.encode()


def _write_new(file: Path, content: bytes, mode: int) -> None:
    try:
        file.parent.mkdir(parents=True, exist_ok=True)
        handle = os.open(file, os.O_WRONLY | os.O_CREAT | os.O_EXCL, mode)
        with os.fdopen(handle, "wb") as opened:
            opened.write(content)
            opened.flush()
            os.fsync(opened.fileno())
    except FileExistsError:
        raise Refused(
            "file.new.exists",
            f"file {file}",
            expected="a name that is not taken",
            found="a file",
            remedy="choose another name; a key is never overwritten",
        ) from None
    except OSError as error:
        raise Failed(
            "file.write.failed",
            f"file {file}",
            expected="a file that can be written",
            found=error.strerror or str(error),
            remedy="choose another place",
        ) from None
