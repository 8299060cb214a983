"""`auditor ...`: replay a whole log that is not one's own, and cosign it when it is in order."""

from __future__ import annotations

import argparse
import json
from pathlib import Path
from typing import Any

from surefoot.core.errors import Refused
from surefoot.doors.cli import compose, files, show
from surefoot.doors.cli.journal import key_of
from surefoot.doors.cli.progress import progress_for


def init(options: argparse.Namespace) -> None:
    """Make an auditor and say its public keys."""
    if not options.name or not options.source or bool(options.log_key) == bool(options.root):
        raise Refused(
            "auditor.name.input",
            "auditor",
            expected="--name NAME, --source DIR, and --log-key VKEY or --root FILE",
            found="not all of them",
            remedy="name it after the people that run it; take the key from a place you trust",
        )
    room = compose.load("auditor")
    trust = files.read(Path(options.root)) if options.root else key_of(options.log_key).encode()
    kept = room.AuditorSettings(
        name=options.name, source=options.source, evidence=not options.without_evidence
    )
    _tell(options, room.make(_folder(options), kept, trust, ml_dsa=options.ml_dsa))


def run(options: argparse.Namespace) -> None:
    """Look once, or again and again. Raises `Corrupt` for the first violation."""
    room = compose.load("auditor")
    progress = progress_for(options.output, "audit")
    try:
        if options.once:
            answer = room.audit(_folder(options), progress.at)
            progress.end()
            _tell(options, answer)
        else:
            room.run(_folder(options), max(1, options.seconds), _say(options), progress.at)
    finally:
        progress.end()


def _say(options: argparse.Namespace) -> Any:
    def say(answer: dict[str, Any]) -> None:
        if not answer["new"]:
            return
        if options.output == "json":
            print(json.dumps(answer), flush=True)
            return
        show.line(f"cosigned {answer['size']} leaves of {answer['origin']}: {answer['cosigned']}")
        show.flush()

    return say


def show_auditor(options: argparse.Namespace) -> None:
    """Say what the auditor is and cosigned."""
    _tell(options, compose.load("auditor").show(_folder(options)))


def _folder(options: argparse.Namespace) -> Path:
    return Path(options.folder).absolute()


def _tell(options: argparse.Namespace, answer: dict[str, Any]) -> None:
    if options.output == "json":
        show.as_json(answer)
        return
    lines = answer.pop("vkeys", ())
    show.fields([*answer.items(), *(("vkey", line) for line in lines)])
