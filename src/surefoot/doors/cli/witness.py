"""`witness ...`: keep watch over other people's logs, on a machine that is not theirs."""

from __future__ import annotations

import argparse
import json
from pathlib import Path
from typing import Any

from surefoot.core.errors import Refused
from surefoot.doors import serve
from surefoot.doors.cli import compose, files, show
from surefoot.doors.cli.client import client_for
from surefoot.trust.cosignature import with_lines
from surefoot.trust.witnessing import parse_request


def init(options: argparse.Namespace) -> None:
    """Make a witness and say its public key."""
    if not options.name:
        raise Refused(
            "witness.name.input",
            "witness",
            expected="--name NAME, like witness.example.com/north",
            found="none",
            remedy="name it after the machine or the people that run it",
        )
    made = compose.load("witness").make(_folder(options), options.name, ml_dsa=options.ml_dsa)
    _tell(options, made)


def trust(options: argparse.Namespace) -> None:
    """Trust a log's key."""
    _tell(options, compose.load("witness").trust(_folder(options), options.vkey))


def show_witness(options: argparse.Namespace) -> None:
    """Say what the witness is and saw."""
    found = compose.load("witness").show(_folder(options))
    if options.output == "json":
        show.as_json(found)
        return
    show.fields([("name", found["name"]), ("vkey", found["vkey"])])
    show.table(
        ("log", "trusted", "size", "at"),
        ((r["origin"], "yes" if r["trusted"] else "no", r["size"], r["at"]) for r in found["logs"]),
        empty="no log yet; add one: surefoot witness trust FOLDER VKEY",
    )


def run(options: argparse.Namespace) -> None:
    """Serve until SIGTERM or SIGINT."""
    serve.log_to_standard_error(options.log_level)

    def ready(address: str, vkey: str) -> None:
        if options.output == "json":
            print(json.dumps({"witness": address, "vkey": vkey}), flush=True)
            return
        show.line(f"surefoot witness answers {address}/add-checkpoint with {vkey}")
        show.flush()

    compose.load("witness").run(_folder(options), options.listen, ready)


def sign(options: argparse.Namespace) -> None:
    """Answer a request that came as a file, with the checkpoint and the cosignature under it."""
    request = files.read(Path(options.file))
    answer = compose.load("witness").sign(_folder(options), request)
    if answer.status == 409:
        raise Refused(
            "witness.size.moved",
            f"request {options.file}",
            expected=f"old {answer.text.strip()}, the size that was cosigned last",
            found="another size, or another tree of that size",
            remedy=f"ask the log: surefoot journal request FILE --old {answer.text.strip()}",
        )
    if answer.status != 200:
        raise Refused(
            "witness.request.input",
            f"request {options.file}",
            expected="what surefoot journal request writes, of a log that is trusted here",
            found=f"{answer.status}: {answer.text.strip()}"[:300],
            remedy="trust the log's key first: surefoot witness trust FOLDER VKEY",
        )
    note = with_lines(parse_request(request).note, [answer.text])
    files.write_new(Path(options.out), note.encode())
    _tell(options, {"file": options.out, "cosignature": answer.text.strip()})


def request(options: argparse.Namespace) -> None:
    """Write the body of add-checkpoint to a file."""
    values = {} if options.old is None else {"old": options.old}
    answer = client_for(options).ask(options.command.method, options.command.path, values)
    files.write_new(Path(options.file), str(answer["body"]).encode())
    _tell(options, {"file": options.file, "old": answer["old"]})


def cosign(options: argparse.Namespace) -> None:
    """Bring cosignatures back to the log."""
    note = files.read(Path(options.file)).decode("utf-8", "replace")
    values = {"note": note}
    answer = client_for(options).ask(options.command.method, options.command.path, values)
    if options.output == "json":
        show.as_json(answer)
        return
    show.fields([("size", answer["size"])])
    show.table(("witness", "at"), ((c["name"], c["at"]) for c in answer["cosignatures"]), empty="")


def _folder(options: argparse.Namespace) -> Path:
    return Path(options.folder).absolute()


def _tell(options: argparse.Namespace, answer: dict[str, Any]) -> None:
    if options.output == "json":
        show.as_json(answer)
    else:
        show.fields(answer.items())
