"""The page about a proof: what, when, how we know, what it does not prove, and which key backed it.

Does not: verify.
"""

from __future__ import annotations

import argparse
from collections.abc import Iterator

from surefoot.doors.cli import show
from surefoot.trust.entry import Plain, text_of_time
from surefoot.trust.proof import Edge, Proved

_STATE_LINES_MAX = 60


def tell(options: argparse.Namespace, proved: Proved, more: Plain) -> None:
    """Show what is proved, as a page or as JSON; `more` says where it was written."""
    if options.output == "json":
        show.as_json({**_record(proved), **more})
        return
    show.fields([("file", more.get("file")), ("bytes", more.get("bytes"))])
    show.heading("what")
    show.paragraph(_what(proved))
    show.heading("\nwhen")
    show.fields(times(proved), indent="  ")
    show.heading("\nwhich keys back it")
    show.fields(keys(proved), indent="  ")
    listed("\nhow we know", _how(proved))
    listed("\nwhat this does not prove", _not(proved))
    if proved.state is not None:
        show.heading("\nthe state")
        lines = list(_flat("", proved.state))
        show.fields(lines[:_STATE_LINES_MAX], indent="  ")
        if len(lines) > _STATE_LINES_MAX:
            show.line(f"  and {len(lines) - _STATE_LINES_MAX} more; see them with -o json")


def listed(title: str, lines: Iterator[str]) -> None:
    """A heading with one line for each thing said."""
    show.heading(title)
    for line in lines:
        first, *more = show.wrapped(line, "    ")
        show.line(f"  - {first}")
        for part in more:
            show.line(f"    {part}")


def _edges(proved: Proved) -> list[Edge]:
    return [edge for edge in (proved.before, proved.after) if edge]


def _what(proved: Proved) -> str:
    end = text_of_time(proved.until_ms)
    if proved.release:
        start = text_of_time(proved.from_ms)
        return f"{proved.release} was never in {proved.stream} from {start} to {end}."
    if proved.entry is None:
        return f"There was no {proved.stream} at {end}."
    return f"At {end}, {proved.stream} was as shown below, {proved.entry.state}."


def times(proved: Proved) -> list[tuple[str, str]]:
    """The bracket by witness time and by server time, and the entry in force."""
    entry, before, after = proved.entry, proved.before, proved.after
    start = text_of_time(before.time_ms) if before else ""
    end = text_of_time(after.time_ms) if after else "open: the journal had nothing later"
    pinned = "the root asks for no witness" if proved.root_version else "no witness is pinned"
    said = "" if proved.witnessed else f" (self-timestamped: {pinned})"
    rows = [("by server time", f"{_between(start, end)}{said}")]
    if proved.witnessed:
        first = _second(before) if before else ""
        last = _second(after) if after else "open"
        rows.insert(0, ("by witness time", _between(first, last)))
    if entry is not None:
        who = f"{entry.actor.type} {entry.actor.id} ({entry.actor.auth})"
        rows.append(("in force since", f"{text_of_time(entry.time_ms)}, entry {entry.index}"))
        rows.append(("written by", f"{who}, {entry.kind}"))
        rows.append(("reason", entry.reason))
    return rows


def _between(start: str, end: str) -> str:
    """The bracket; what has no earlier checkpoint may be from before the journal began."""
    return f"between {start} and {end}" if start else f"before {end}; nothing earlier was signed"


def _second(edge: Edge) -> str:
    """When witnesses had made the quorum, to the second."""
    return show.moment(text_of_time(edge.witnessed_s * 1000))


def keys(proved: Proved) -> list[tuple[str, str]]:
    """Which keys back the proof, and who pinned them."""
    pinned = "which you pinned" if proved.pinned else "NOT PINNED: it came with the proof itself"
    edges = _edges(proved)
    if not proved.root_version:
        return [("backed by", "the log's key alone"), ("log key", f"{proved.key}, {pinned}")]
    rows = [("backed by", f"{proved.backed_by}, under root version {proved.root_version}")]
    rows += [("log key", key) for key in dict.fromkeys(edge.log_key for edge in edges)]
    witnesses = [", ".join(edge.witnesses) or "nobody" for edge in edges]
    quorum = "make the quorum" if proved.witnessed else "no quorum is asked for"
    rows.append(("witnesses", f"{' and then '.join(dict.fromkeys(witnesses))}; {quorum}"))
    rows.append(("auditors", ", ".join(edges[-1].auditors) or "nobody: an unaudited map"))
    if all(edge.anchored for edge in edges):
        rows.append(("post-quantum", "the log's anchor signed as well (ML-DSA-44)"))
    return rows


def _how(proved: Proved) -> Iterator[str]:
    edges = _edges(proved)
    for edge in edges:
        yield f"a signed checkpoint of {edge.size} leaves, root {edge.root}"
    if proved.witnessed:
        yield "a quorum of witnesses has seen each of them, and that the log only grew"
    if len(edges) == 2:
        yield "the later tree begins with the earlier one (consistency proof)"
    yield "each seal is its tree's last leaf, and its map names the newest entry of every stream"
    if proved.audited:
        yield "an auditor has read every leaf up to the later one, and computed every map"
    if proved.changes:
        all_of = "the one entry" if proved.changes == 1 else f"all {proved.changes} entries"
        yield f"{all_of} of {proved.stream} between them, without a gap"
    elif len(edges) == 2:
        yield f"both maps say the same of {proved.stream}: nothing changed in between"
    if proved.entry is not None:
        yield "the state has the digest that its entry carries"
    for shown in proved.evidence:
        signed = f", signed by {shown.signed_by}" if shown.signed_by else ""
        beside = f", with the documents that it names ({len(shown.digests)})"
        beside = beside if shown.digests else ""
        yield f"{shown.entry.kind}, entry {shown.entry.index} of the same tree{signed}{beside}"


def _not(proved: Proved) -> Iterator[str]:
    if not proved.witnessed:
        yield "that the server's clock was right: no quorum of witnesses signed these checkpoints"
    if not proved.audited:
        yield "that the log put every entry into its map: only an export, read whole, or an auditor"
    drift = proved.state is not None and "drift" in proved.state
    yield "that what ran was what is recorded" + (": see drift in the state" if drift else "")
    if proved.after is None:
        yield "anything after the newest seal"
    if proved.release:
        yield "which version has that digest: its signed manifest says so"
    if any(shown.signed_by and not shown.enrolled for shown in proved.evidence):
        yield "whose keys signed the approvals: the entries that enrolled them are not here"


def _flat(name: str, value: object) -> Iterator[tuple[str, str]]:
    if isinstance(value, dict) and value:
        for key, member in value.items():
            yield from _flat(f"{name}.{key}" if name else key, member)
    else:
        yield name, show.clean(value)


def _record(proved: Proved) -> Plain:
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
        "root_version": proved.root_version,
        "backed_by": proved.backed_by,
        "witnesses": len({name for edge in _edges(proved) for name in edge.witnesses}),
        "tool": proved.tool,
    }
    for name, edge in (("before", proved.before), ("after", proved.after)):
        if edge is not None:
            record[name] = _side(edge)
    if entry is not None and proved.state is not None:
        actor = f"{entry.actor.type} {entry.actor.id}"
        record |= {"entry": entry.index, "since": text_of_time(entry.time_ms), "actor": actor}
        record |= {"digest": entry.state, "state": proved.state}
    if proved.evidence:
        record["evidence"] = [
            {
                "entry": shown.entry.index,
                "kind": shown.entry.kind,
                "digests": list(shown.digests),
                "signed_by": shown.signed_by,
                "enrolled": shown.enrolled,
            }
            for shown in proved.evidence
        ]
    return record


def _side(edge: Edge) -> Plain:
    side: Plain = {
        "size": edge.size,
        "root": edge.root,
        "time": text_of_time(edge.time_ms),
        "log_key": edge.log_key,
        "witnesses": list(edge.witnesses),
        "auditors": list(edge.auditors),
        "anchored": edge.anchored,
    }
    if edge.witnessed_s:
        side["witness_time"] = text_of_time(edge.witnessed_s * 1000)
    return side
