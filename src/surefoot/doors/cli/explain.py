"""`explain`: what an error code means and what to do, the text of the reference page."""

from __future__ import annotations

import argparse

from surefoot.doors import codes
from surefoot.doors.cli import show


def explain(options: argparse.Namespace) -> None:
    """One code, or the list of all."""
    if options.code:
        _one(options)
        return
    every = codes.every()
    if options.output == "json":
        show.as_json({name: code._asdict() for name, code in every.items()})
    else:
        show.table(
            ("code", "kind", "meaning"), ((c.name, c.kind, c.meaning) for c in every.values())
        )


def _one(options: argparse.Namespace) -> None:
    code = codes.find(options.code)
    if options.output == "json":
        show.as_json({**code._asdict(), "code": options.code})
        return
    show.heading(f"{options.code} ({code.kind})")
    show.line(code.meaning)
    show.line(f"What to do: {code.do}")
