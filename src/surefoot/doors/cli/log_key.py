"""Commands on the log's own keys, on the machine that has them, with the server stopped."""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import Any

from surefoot.core.errors import Refused
from surefoot.doors.cli import compose, files, root, show

_OVERLAP_HOURS_MAX = 24 * 366


def rotate(options: argparse.Namespace) -> None:
    """Let a new key sign."""
    folder = compose.data_folder(options.data)
    if not 0 <= options.overlap_hours <= _OVERLAP_HOURS_MAX:
        raise _refused(f"0 to {_OVERLAP_HOURS_MAX} hours", str(options.overlap_hours))
    made = compose.load("key_life").rotate(folder, options.overlap_hours)
    then = "then publish a root that names both: surefoot root draft --data FOLDER"
    _tell(options, made, f"{then}\n{_known(made)}")


def new_epoch(options: argparse.Namespace) -> None:
    """Draft the root of the next epoch, or open it with the signed one."""
    folder = compose.data_folder(options.data)
    if options.lost == options.compromised:
        raise _refused("--lost or --compromised", "both" if options.lost else "neither")
    cause = "lost" if options.lost else "compromised"
    life = compose.load("key_life")
    if options.draft:
        payload = life.draft_epoch(folder, cause, options.trusted_up_to)
        root.write_draft(options, options.draft, payload)
    elif options.root:
        made = life.open_epoch(folder, cause, files.read(Path(options.root)))
        _tell(options, made, f"give everybody the new root.json: surefoot root get\n{_known(made)}")
    else:
        raise _refused(
            "--draft FILE, and then --root FILE with what the founders signed", "neither"
        )


def recover(options: argparse.Namespace) -> None:
    """Put back what a mirror has; or go on without it in another epoch."""
    folder = compose.data_folder(options.data)
    if bool(options.mirror) == options.new_epoch:
        raise _refused("--mirror EXPORT, or --new-epoch", "both" if options.mirror else "neither")
    recovery = compose.load("recovery")
    if options.mirror:
        made = recovery.from_mirror(folder, Path(options.mirror))
        _tell(options, made, "start the server, then: surefoot journal verify")
    elif options.draft:
        root.write_draft(
            options, options.draft, recovery.draft_discontinuity(folder, options.lost_up_to)
        )
    elif options.root:
        made = recovery.open_discontinuity(
            folder, files.read(Path(options.root)), options.lost_up_to
        )
        then = "give everybody the new root.json, and say what is lost and why"
        _tell(options, made, f"{then}\n{_known(made)}")
    else:
        raise _refused("--draft FILE, then --root FILE with what was signed", "neither")


def _known(made: dict[str, Any]) -> str:
    """What each witness of the log does now."""
    return f"each witness: surefoot witness trust DIR {made.get('log_key') or made.get('new')}"


def _tell(options: argparse.Namespace, made: dict[str, Any], then: str) -> None:
    if options.output == "json":
        show.as_json(made)
        return
    show.fields((name.replace("_", " "), value) for name, value in made.items())
    show.text(then + "\n")


def _refused(expected: str, found: str) -> Refused:
    return Refused(
        "journal.epoch.input",
        "keys of the log",
        expected=expected,
        found=found,
        remedy="see: surefoot journal --help",
    )
