"""Proofs on the command line: ask a server for one, and verify one without any.

Keeps: what is written is the exact bytes that were proved; a proof that does not hold ends with
status 5, one under a key that nobody pinned with status 3, after the page is shown.
Does not: trust the server that a proof came from; it is verified here as a stranger would.
"""

from __future__ import annotations

import argparse
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from surefoot.core.errors import Corrupt, Refused
from surefoot.doors.cli import asking, files, show
from surefoot.doors.cli.client import client_for
from surefoot.doors.cli.journal import key_of
from surefoot.trust import proof
from surefoot.trust.bundle import NotProved
from surefoot.trust.entry import Plain, text_of_time

_PROOF = "/environments/{name}/proof"
_NEVER = "/environments/{name}/proof/never"
_STATE_LINES_MAX = 60


def show_environment(options: argparse.Namespace) -> None:
    """`environment show`; with `--prove`, the proof is written instead."""
    if options.prove:
        _written(options, _PROOF, {"name": options.name, "at": options.at}, options.prove)
        return
    answer = client_for(options).ask(
        "GET", options.command.path, _sent({"name": options.name, "at": options.at})
    )
    asking.emit(options, answer)


def prove(options: argparse.Namespace) -> None:
    """`journal prove`."""
    _written(options, _PROOF, {"name": options.name, "at": options.at}, options.file)


def never(options: argparse.Namespace) -> None:
    """`release never`."""
    if not options.prove:
        raise Refused(
            "request.argument.input",
            "argument prove",
            expected="--prove FILE",
            found="nothing",
            remedy="name the file to write",
        )
    values = {name: getattr(options, name) for name in ("version", "name", "from", "until")}
    _written(options, _NEVER, values, options.prove)


def verify(options: argparse.Namespace) -> None:
    """`verify`. Raises `Corrupt` when it is not proved, `Refused` when no key was pinned."""
    content = files.read(Path(options.file))
    key = key_of(options.log_key) if options.log_key else None
    proved = _proved(options.file, content, key)
    _tell(options, proved, {})
    if key is None:
        raise Refused(
            "proof.key.unpinned",
            f"proof {options.file}",
            expected="--log-key VKEY, the log's key that you pinned",
            found=f"only the key inside it, {proved.key}",
            remedy="get the key from the log's owner or an auditor, then verify again",
        )


def _written(options: argparse.Namespace, path: str, values: Plain, file: str) -> None:
    answer = client_for(options).ask("GET", path, _sent(values))
    content = str(answer["bundle"]).encode()
    proved = _proved(file, content, None)
    files.write_new(Path(file), content)
    _tell(options, proved, {"file": file, "bytes": len(content)})


def _sent(values: Plain) -> dict[str, Any]:
    return {name: value for name, value in values.items() if value != ""}


def _proved(name: str, content: bytes, key: str | None) -> proof.Proved:
    try:
        return proof.verify(content, key)
    except NotProved as error:
        raise Corrupt(
            error.code,
            f"proof {name}: {error.subject}",
            expected=error.expected,
            found=error.found,
            remedy="do not believe it; ask for it again, and compare with others who hold one",
        ) from None


def _tell(options: argparse.Namespace, proved: proof.Proved, more: Plain) -> None:
    if options.output == "json":
        show.as_json({**_record(proved), **more})
        return
    show.fields([("file", more.get("file")), ("bytes", more.get("bytes"))])
    show.fields([("what", _what(proved)), *_when(proved)])
    show.heading("\nhow we know")
    for line in _how(proved):
        show.line(f"- {line}")
    show.heading("\nwhat this does not prove")
    for line in _not(proved):
        show.line(f"- {line}")
    if proved.state is not None:
        show.heading("\nthe state")
        lines = list(_flat("", proved.state))
        show.fields(lines[:_STATE_LINES_MAX])
        if len(lines) > _STATE_LINES_MAX:
            show.line(f"and {len(lines) - _STATE_LINES_MAX} more; see them with -o json")


def _what(proved: proof.Proved) -> str:
    end = text_of_time(proved.until_ms)
    if proved.release:
        start = text_of_time(proved.from_ms)
        return f"{proved.release} was never in {proved.stream} from {start} to {end}"
    if proved.entry is None:
        return f"there was no {proved.stream} at {end}"
    return f"at {end}, {proved.stream} was as shown below, {proved.entry.state}"


def _when(proved: proof.Proved) -> list[tuple[str, str]]:
    entry, before, after = proved.entry, proved.before, proved.after
    start = text_of_time(before.time_ms) if before else "the journal's beginning"
    end = text_of_time(after.time_ms) if after else "open: the journal had nothing later"
    rows = [("between", f"{start} and {end}, by the server's clock (self-timestamped)")]
    if entry is not None:
        who = f"{entry.actor.type} {entry.actor.id} ({entry.actor.auth})"
        rows.append(("in force since", f"{text_of_time(entry.time_ms)}, entry {entry.index}"))
        rows.append(("written by", f"{who}, {entry.kind}"))
        rows.append(("reason", entry.reason))
    pinned = "which you pinned" if proved.pinned else "NOT PINNED: it came with the proof itself"
    return [*rows, ("backed by", f"log key {proved.key}, {pinned}")]


def _how(proved: proof.Proved) -> Iterator[str]:
    edges = [edge for edge in (proved.before, proved.after) if edge]
    for edge in edges:
        yield f"a signed checkpoint of {edge.size} leaves, root {edge.root}"
    if len(edges) == 2:
        yield "the later tree begins with the earlier one (consistency proof)"
    yield "each seal is its tree's last leaf, and its map names the newest entry of every stream"
    if proved.changes:
        yield f"all {proved.changes} entries of {proved.stream} between them, without a gap"
    elif len(edges) == 2:
        yield f"both maps say the same of {proved.stream}: nothing changed in between"
    if proved.entry is not None:
        yield "the state has the digest that its entry carries"


def _not(proved: proof.Proved) -> Iterator[str]:
    yield "that the server's clock was right: no witness signed these checkpoints"
    yield "that the log put every entry into its map: only an export, read whole, shows that"
    yield "that what ran was what is recorded: see drift in the state"
    if proved.after is None:
        yield "anything after the newest seal"
    if proved.release:
        yield "which version has that digest: its signed manifest says so"


def _flat(name: str, value: object) -> Iterator[tuple[str, str]]:
    if isinstance(value, dict) and value:
        for key, member in value.items():
            yield from _flat(f"{name}.{key}" if name else key, member)
    else:
        yield name, show.clean(value)


def _record(proved: proof.Proved) -> Plain:
    entry = proved.entry
    record: Plain = {
        "proved": True,
        "stream": proved.stream,
        "from": text_of_time(proved.from_ms),
        "until": text_of_time(proved.until_ms),
        "release": proved.release,
        "exists": entry is not None,
        "changes": proved.changes,
        "key": proved.key,
        "pinned": proved.pinned,
        "witnesses": 0,
        "tool": proved.tool,
    }
    for name, edge in (("before", proved.before), ("after", proved.after)):
        if edge is not None:
            time = text_of_time(edge.time_ms)
            record[name] = {"size": edge.size, "root": edge.root, "time": time}
    if entry is not None and proved.state is not None:
        actor = f"{entry.actor.type} {entry.actor.id}"
        record |= {"entry": entry.index, "since": text_of_time(entry.time_ms), "actor": actor}
        record |= {"digest": entry.state, "state": proved.state}
    return record
