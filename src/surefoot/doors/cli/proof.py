"""Proofs on the command line: ask a server for one, and verify one without any.

Keeps: what is written is the exact bytes that were proved; a proof that does not hold ends with
status 5, one under a key that nobody pinned with status 3, after the page is shown.
Does not: trust the server that a proof came from; it is verified here as a stranger would.
"""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import Any

import msgspec

from surefoot.core.errors import Corrupt, Refused
from surefoot.doors.cli import asking, entry_page, files, proof_page, show
from surefoot.doors.cli.client import Client, client_for
from surefoot.doors.cli.journal import key_of
from surefoot.engine.clock import SystemClock
from surefoot.trust import proof, tlog_proof
from surefoot.trust.backing import Trust
from surefoot.trust.bundle import NotProved
from surefoot.trust.entry import Plain
from surefoot.trust.root import BadRoot, follow_all, read_root

_PROOF = "/environments/{name}/proof"
_NEVER = "/environments/{name}/proof/never"


def show_environment(options: argparse.Namespace) -> None:
    """`environment show`; with `--prove`, the proof is written instead."""
    if options.prove:
        _written(options, _PROOF, _asked(options), options.prove)
        return
    answer = client_for(options).ask(
        "GET", options.command.path, _sent({"name": options.name, "at": options.at})
    )
    asking.emit(options, answer)


def prove(options: argparse.Namespace) -> None:
    """`journal prove`."""
    _written(options, _PROOF, _asked(options), options.file)


def _asked(options: argparse.Namespace) -> Plain:
    evidence = "true" if options.evidence else ""
    return {"name": options.name, "at": options.at, "evidence": evidence}


def prove_entry(options: argparse.Namespace) -> None:
    """`journal prove-entry`; nothing in it vouches for the log's key, so it is only written."""
    given = {"index": options.index}
    content = str(client_for(options).ask("GET", options.command.path, given)["proof"]).encode()
    files.write_new(Path(options.file), content)
    more = {"file": options.file, "bytes": len(content)}
    if options.output == "json":
        show.as_json(more)
    else:
        show.fields(more.items())
        show.line(f"verify it: surefoot verify {options.file} --root root.json")


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


def verify(options: argparse.Namespace, content: bytes, trust: Trust) -> proof.Proved:
    """Verify a state proof and show its page.

    Raises `Corrupt` when it is not proved, `Refused` when no key was pinned.
    """
    proved = _proved(options.file, content, trust)
    proof_page.tell(options, proved, {})
    if trust is None:
        raise Refused(
            "proof.key.unpinned",
            f"proof {options.file}",
            expected="--root FILE or --log-key VKEY, the root or the log's key that you pinned",
            found=f"only the key inside it, {proved.key}",
            remedy="get root.json from the log's owner or an auditor, then verify again",
        )
    return proved


def verify_entry(options: argparse.Namespace, content: bytes, trust: Trust) -> None:
    """A proof of one entry holds no key of the log: without a pinned one nothing is shown."""
    if trust is None:
        raise Refused(
            "proof.key.unpinned",
            f"proof {options.file}",
            expected="--root FILE or --log-key VKEY",
            found="neither, and the proof names no key",
            remedy="get root.json from the log's owner or an auditor, then verify again",
        )
    try:
        found = tlog_proof.verify_entry(content, trust, SystemClock().now_ms())
    except NotProved as error:
        raise _not_proved(options.file, error) from None
    entry_page.tell(options, found)


def _written(options: argparse.Namespace, path: str, values: Plain, file: str) -> None:
    client = client_for(options)
    answer = client.ask("GET", path, _sent(values))
    content = str(answer["bundle"]).encode()
    proved = _looked_at(client, file, content)
    files.write_new(Path(file), content)
    proof_page.tell(options, proved, {"file": file, "bytes": len(content)})


def _looked_at(client: Client, file: str, content: bytes) -> proof.Proved:
    """Verified with the proof's own key; where the log's key changed between its checkpoints, with
    the server's root. Neither was pinned."""
    try:
        return _proved(file, content, None)
    except Corrupt as error:
        if error.code != "proof.checkpoint.signature":
            raise
    answer = client.ask("GET", "/root", {}, public=True)
    try:
        trust = read_root(str(answer["root"]).encode())
    except BadRoot as error:
        raise _no_root("the server's root", str(error)) from None
    return msgspec.structs.replace(_proved(file, content, trust), pinned=False)


def _sent(values: Plain) -> dict[str, Any]:
    return {name: value for name, value in values.items() if value != ""}


def trust_of(options: argparse.Namespace) -> Trust:
    """What was pinned: roots that follow each other, a key, or nothing."""
    if options.root and options.log_key:
        raise Refused(
            "request.argument.input",
            "arguments --root and --log-key",
            expected="one of them",
            found="both",
            remedy="pin a root; it names the log's keys",
        )
    if not options.root:
        return key_of(options.log_key) if options.log_key else None
    names = [Path(name) for name in options.root]
    try:
        first, *newer = (files.read(name) for name in names)
        return follow_all(read_root(first), newer)
    except BadRoot as error:
        raise _no_root(f"root {', '.join(map(str, names))}", str(error)) from None


def _no_root(subject: str, found: str) -> Refused:
    return Refused(
        "root.file.input",
        subject,
        expected="a root signed by its threshold, and newer ones that follow it",
        found=found[:300],
        remedy="ask the log's owner for every version since the one that you pinned",
    )


def _proved(name: str, content: bytes, trust: Trust) -> proof.Proved:
    try:
        return proof.verify(content, trust, SystemClock().now_ms())
    except NotProved as error:
        raise _not_proved(name, error) from None


def _not_proved(name: str, error: NotProved) -> Corrupt:
    return Corrupt(
        error.code,
        f"proof {name}: {error.subject}",
        expected=error.expected,
        found=error.found,
        remedy="do not believe it; ask for it again, and compare with others who hold one",
    )
