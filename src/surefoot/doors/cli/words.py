"""Words behind commitments on the command line: write them to a file, and open a proof with it.

Keeps: words are shown beside a proof only when they open a commitment in an entry that it proves.
"""

from __future__ import annotations

import argparse
from collections.abc import Iterator
from pathlib import Path

from surefoot.core.errors import Corrupt, Refused
from surefoot.doors.cli import files, show
from surefoot.doors.cli.client import client_for
from surefoot.trust.entry import Entry
from surefoot.trust.payload import Payload, read_opening


def write(options: argparse.Namespace) -> None:
    """`journal words`."""
    path = options.command.path
    answer = client_for(options).ask("GET", path, {"index": options.index})
    content = str(answer["words"]).encode()
    found = _read(options.file, content)
    files.write_new(Path(options.file), content)
    show.fields([("file", options.file), *(("words", show.clean(w.text)) for w in found)])


def tell(options: argparse.Namespace, entries: list[Entry]) -> None:
    """Show the words of `--words` that the proved entries committed to.

    Raises `Corrupt` when there are words that none of them did.
    """
    for words in _read(options.words, files.read(Path(options.words))):
        entry = next((e for e in entries if any(words.opens(c) for c in _texts(e))), None)
        if entry is None:
            raise Corrupt(
                "proof.words.differ",
                f"words {options.words}",
                expected="words that an entry of the proof committed to",
                found=words.commitment(),
                remedy="do not believe that these words are of that entry",
            )
        if options.output != "json":  # programs read one document; the exit status says the rest
            show.line(f"words of entry {entry.index}: {show.clean(words.text)}")


def _texts(entry: Entry) -> Iterator[str]:
    yield entry.reason
    yield from (value for value in entry.body.values() if isinstance(value, str))


def _read(name: str, content: bytes) -> tuple[Payload, ...]:
    try:
        return read_opening(content)
    except ValueError as error:
        raise Refused(
            "proof.words.input",
            f"words {name}",
            expected="a file made by: surefoot journal words",
            found=str(error)[:200],
            remedy="ask for it again",
        ) from None
