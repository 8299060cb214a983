"""The page about the proof of one entry. Does not: verify."""

from __future__ import annotations

import argparse
import json

from surefoot.doors.cli import show
from surefoot.trust.entry import Entry, text_of_time
from surefoot.trust.tlog_proof import ProvedEntry


def tell(options: argparse.Namespace, proved: ProvedEntry) -> None:
    """Show what is proved, as a page or as JSON."""
    entry, backing = proved.entry, proved.backing
    said = json.loads(entry.raw)
    if options.output == "json":
        show.as_json(
            {
                "proved": True,
                "index": entry.index,
                "entry": said,
                "size": backing.checkpoint.size,
                "log_key": backing.log_key,
                "witnesses": list(backing.witnesses),
                "auditors": list(backing.auditors),
            }
        )
        return
    kind = entry.kind if isinstance(entry, Entry) else "seal"
    show.heading("what")
    show.line(f"  entry {entry.index} of {backing.checkpoint.origin} is the {kind} shown below")
    show.heading("\nwhich keys back it")
    when = show.moment(text_of_time(backing.quorum_s * 1000)) if backing.quorum_s else ""
    rows = [
        ("log key", backing.log_key),
        ("tree", f"{backing.checkpoint.size} leaves, root {backing.checkpoint.root.hex()}"),
        ("witnesses", ", ".join(backing.witnesses) or "nobody"),
        ("seen by", f"a quorum of them at {when}" if when else ""),
        ("auditors", ", ".join(backing.auditors) or "nobody"),
    ]
    show.fields(rows, indent="  ")
    show.heading("\nwhat this does not prove")
    show.line("  - that nothing later was written: a proof of a state shows that")
    show.heading("\nthe entry")
    show.fields(said.items(), indent="  ")
