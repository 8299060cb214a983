"""Proofs about one device on the command line: ask for one, and verify one without any server.

Keeps: what is written is the exact bytes that were proved; the page says what was not shown.
Does not: trust the server that a proof came from; it is verified here as a stranger would.
"""

from __future__ import annotations

import argparse
from collections.abc import Iterator
from pathlib import Path

from surefoot.core.errors import Corrupt, Refused
from surefoot.doors.cli import asking, files, proof, proof_page, show, words
from surefoot.doors.cli.client import client_for
from surefoot.engine.clock import SystemClock
from surefoot.trust import device_proof, tlog_proof
from surefoot.trust import proof as state_proof
from surefoot.trust.backing import Trust
from surefoot.trust.bundle import NotProved
from surefoot.trust.device_proof import DeviceProved
from surefoot.trust.entry import Plain, text_of_time

_PROOF = "/environments/{name}/devices/{id}/proof"


def show_device(options: argparse.Namespace) -> None:
    """`device show`; with `--prove`, the proof is written instead."""
    if options.prove:
        _written(options, options.prove)
        return
    sent = {"name": options.name, "id": options.id}
    asked = {n: getattr(options, n, None) for n in ("before", "limit", "at")}
    sent |= {n: value for n, value in asked.items() if value}
    asking.emit(options, client_for(options).ask("GET", options.command.path, sent))


def prove(options: argparse.Namespace) -> None:
    """`device prove`."""
    _written(options, options.file)


def verify(options: argparse.Namespace) -> None:
    """`verify`, of a proof of any form. Raises `Corrupt` when it is not proved."""
    content = files.read(Path(options.file))
    trust = proof.trust_of(options)
    if tlog_proof.is_entry_proof(content):
        proof.verify_entry(options, content, trust)
        return
    if not device_proof.is_device_proof(content):
        shown = proof.verify(options, content, trust)
        if options.words:
            held = [shown.entry, *(exhibit.entry for exhibit in shown.evidence)]
            words.tell(options, [entry for entry in held if entry is not None])
        return
    found = _proved(options.file, content, trust)
    _tell(options, found, {})
    if trust is None:
        raise Refused(
            "proof.key.unpinned",
            f"proof {options.file}",
            expected="--root FILE or --log-key VKEY, the root or the log's key that you pinned",
            found=f"only the key inside it, {found.proved.key}",
            remedy="get root.json from the log's owner or an auditor, then verify again",
        )


def _written(options: argparse.Namespace, file: str) -> None:
    sent = {"name": options.name, "id": options.id}
    asked = {n: getattr(options, n, None) for n in ("before", "limit", "at")}
    sent |= {n: value for n, value in asked.items() if value}
    answer = client_for(options).ask("GET", _PROOF, sent)
    content = str(answer["bundle"]).encode()
    found = _proved(file, content, None)
    files.write_new(Path(file), content)
    _tell(options, found, {"file": file, "bytes": len(content)})


def _proved(name: str, content: bytes, trust: Trust) -> DeviceProved:
    now_ms = SystemClock().now_ms()
    try:
        return device_proof.verify(
            content, lambda bundle: state_proof.verify(bundle, trust, now_ms)
        )
    except NotProved as error:
        raise Corrupt(
            error.code,
            f"proof {name}: {error.subject}",
            expected=error.expected,
            found=error.found,
            remedy="do not believe it; ask for it again, and compare with others who hold one",
        ) from None


def _tell(options: argparse.Namespace, found: DeviceProved, more: Plain) -> None:
    if options.output == "json":
        show.as_json({**_record(found), **more})
        return
    show.fields([("file", more.get("file")), ("bytes", more.get("bytes"))])
    show.heading("what")
    show.paragraph(f"{_what(found)}.")
    show.heading("\nwhen")
    rows = [row for row in proof_page.times(found.proved) if row[0].startswith("by ")]
    show.fields([*_when(found), *rows], indent="  ")
    show.heading("\nwhich keys back it")
    show.fields(proof_page.keys(found.proved), indent="  ")
    proof_page.listed("\nhow we know", _how(found))
    proof_page.listed("\nwhat this does not prove", _not(found))
    if found.report is not None:
        show.heading("\nthe report")
        fields = [(name, show.clean(value)) for name, value in found.report.items()]
        show.fields(fields, indent="  ")


def strength_of(report: Plain) -> str:
    """How strong a report is: what the device showed, what it only said, or nothing known."""
    if not report.get("runs"):
        return "unknown: the device has not said what it runs since"
    shown = report.get("to") in ("verified", "returned") and report["runs"] == report["version"]
    if not shown:
        return "reported: the device said so"
    how = report.get("strength")
    return f"verified: the device showed it after the update{f' ({how})' if how else ''}"


def _what(found: DeviceProved) -> str:
    at, name = text_of_time(found.at_ms), f"{found.device} of {found.environment}"
    if found.report is None and found.whole:
        return f"at {at}, {name} had never reported"
    if found.report is None:
        return f"at {at}, the last {found.batches} batches held no report of {name}"
    runs = found.report.get("runs") or "an unknown version"
    return f"at {at}, {name} ran {runs}, {strength_of(found.report)}"


def _when(found: DeviceProved) -> list[tuple[str, str]]:
    rows = []
    if found.report is not None and found.sealed is not None:
        told = int(str(found.report.get("time_ms", 0)))
        rows.append(("reported", f"{text_of_time(told)}, report {found.report.get('report')}"))
        sealed = found.sealed
        rows.append(("sealed", f"{text_of_time(sealed.time_ms)}, entry {sealed.index}"))
    return rows


def _how(found: DeviceProved) -> Iterator[str]:
    for edge in (found.proved.before, found.proved.after):
        if edge is not None:
            yield f"a signed checkpoint of {edge.size} leaves, root {edge.root}"
    yield f"the newest batch of {found.environment} at that time is bound to it, with its state"
    if found.batches > 1:
        yield f"{found.batches} batches follow each other, each linked to the one before"
    if found.report is not None:
        yield "the report is in its batch: a path leads to the batch's root"
    if found.silent:
        yield f"{found.silent} batches hold no later report of the device: two neighbours each"


def _not(found: DeviceProved) -> Iterator[str]:
    if not found.whole:
        if found.unproved:
            yield f"that {found.unproved} batches without a second root hold no later report"
        if found.report is None:
            yield "anything from before these batches: there were too many to show"
    yield "that the device told the truth, or that what it told later reached the server"
    yield "that the batches' owner sorted them rightly: a whole batch, read, shows that"
    if not found.proved.witnessed:
        yield "that the server's clock was right: no quorum of witnesses signed these checkpoints"


def _record(found: DeviceProved) -> Plain:
    record: Plain = {
        "proved": True,
        "environment": found.environment,
        "device": found.device,
        "at": text_of_time(found.at_ms),
        "reported": found.report is not None,
        "whole": found.whole,
        "batches": found.batches,
        "silent": found.silent,
        "unproved": found.unproved,
        "key": found.proved.key,
        "pinned": found.proved.pinned,
        "backed_by": found.proved.backed_by,
    }
    if found.report is not None and found.sealed is not None:
        record |= {"report": found.report, "strength": strength_of(found.report)}
        record |= {"entry": found.sealed.index, "sealed_at": text_of_time(found.sealed.time_ms)}
    return record
