"""root.json on the command line: drafted and signed on people's machines, published by the server.

Keeps: what is signed is shown first, from the bytes that are signed; private keys stay here.
"""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from surefoot.core.errors import Refused
from surefoot.doors.cli import asking, compose, files, settings, show, signer
from surefoot.doors.cli.client import client_for
from surefoot.store.durable import write_durably
from surefoot.trust import envelope
from surefoot.trust.entry import text_of_time
from surefoot.trust.root import (
    PAYLOAD_TYPE,
    BadRoot,
    LogKey,
    Root,
    payload_of,
    read_payload,
    read_root,
    unsigned,
)

_REMEDY = "make it with: surefoot root draft, and let the founders sign it: root sign FILE"


def draft(options: argparse.Namespace) -> None:
    """Write what the founders are to sign."""
    folder = compose.data_folder(options.data)
    payload: bytes = compose.load("rooting").draft(folder, options.auditor or [])
    write_draft(options, options.out, payload)


def write_draft(options: argparse.Namespace, name: str, payload: bytes) -> None:
    """Write a draft to a file, and say what to do with it."""
    if not name:
        sys.stdout.write(payload.decode() + "\n")
        return
    files.write_new(Path(name), payload)
    root = read_payload(payload)
    if options.output == "json":
        show.as_json({"file": name, "version": root.version, "signers": sorted(root.signers)})
        return
    show.line(f"{name}: root version {root.version}, signed by nobody yet")
    show.line(f"{root.threshold} of {', '.join(sorted(root.signers))} sign it: root sign {name}")


def sign(options: argparse.Namespace) -> None:
    """Show it, and add the signature of one's own key."""
    file = Path(options.file)
    content = files.read(file)
    root, sealed = _opened(options.file, content)
    own = signer.load(settings.resolve(options).key)
    if options.output != "json":
        _page(root)
    if own.keyid not in {key.fingerprint for key in root.signer_keys()}:
        raise _refused(options.file, f"a key of {', '.join(sorted(root.signers))}", own.keyid)
    _confirm(options, root)
    try:
        write_durably(file, _signed(root, sealed, own), 0o644)
    except envelope.BadEnvelope as error:
        raise _refused(options.file, "an envelope you did not sign yet", str(error)) from None
    have = _signers(root, file.read_bytes())
    if options.output == "json":
        show.as_json({"file": options.file, "signed_by": have, "threshold": root.threshold})
        return
    show.line()
    show.line(f"signed by {', '.join(have)}; {root.threshold} are needed")
    if len(have) >= root.threshold:
        show.line(f"publish it: surefoot root accept {options.file}")


def show_root(options: argparse.Namespace) -> None:
    """One page about a root or a draft of one."""
    content = files.read(Path(options.file))
    root, sealed = _opened(options.file, content)
    if options.output == "json":
        record = json.loads(payload_of(root))
        show.as_json({"root": record, "signed_by": _signers(root, content) if sealed else []})
        return
    _page(root)
    have = _signers(root, content) if sealed else []
    whole = "whole" if len(have) >= root.threshold else "NOT ENOUGH"
    show.line()
    show.line(f"signed by {', '.join(have) or 'nobody'}: {whole}, {root.threshold} are needed")


def accept(options: argparse.Namespace) -> None:
    """Send it to the server; a draft that nobody signed is refused here already."""
    content = files.read(Path(options.file))
    root, sealed = _opened(options.file, content)
    if not sealed:
        found = "a draft that nobody signed"
        remedy = f"let founders sign it first: surefoot root sign {options.file}"
        expected = f"a root signed by {root.threshold} of {', '.join(sorted(root.signers))}"
        raise _refused(options.file, expected, found, remedy)
    text = content.decode("utf-8", "replace")
    asking.emit(options, client_for(options).ask("POST", "/root", {"root": text}))


def get(options: argparse.Namespace) -> None:
    """The newest root, to a file or to be looked at."""
    given = {"at": options.at} if options.at else {}
    answer = client_for(options).ask("GET", "/root", given, public=True)
    if answer.get("exists") is False:
        asking.emit(options, answer)
        return
    content = str(answer["root"]).encode()
    root = _whole(content)
    if options.out:
        files.write_new(Path(options.out), content)
    if options.output == "json":
        show.as_json(answer)
        return
    _page(root)
    if options.out:
        show.line()
        show.line(f"written to {options.out}; pin it once its digest was compared by another way")
        show.line(str(answer["digest"]))


def _whole(content: bytes) -> Root:
    try:
        return read_root(content)
    except BadRoot as error:
        raise _refused(
            "the server's answer", "a root signed by its threshold", str(error)
        ) from None


def _opened(name: str, content: bytes) -> tuple[Root, bytes]:
    """The root in a draft (no envelope) or in an envelope."""
    try:
        if content.startswith(b'{"payload"'):
            return unsigned(content), content
        return read_payload(content), b""
    except BadRoot as error:
        raise _refused(name, "a root, or a draft of one", str(error)) from None


def _signed(root: Root, sealed: bytes, own: signer.Signer) -> bytes:
    payload = payload_of(root)
    if not sealed:
        return envelope.seal(PAYLOAD_TYPE, payload, [own])
    found = envelope.parse(sealed)
    made = envelope.Signature(own.keyid, own.sign(envelope.pae(PAYLOAD_TYPE, payload)))
    return envelope.serialise(envelope.Envelope(PAYLOAD_TYPE, payload, (*found.signatures, made)))


def _signers(root: Root, content: bytes) -> list[str]:
    """Whose signatures are there and hold."""
    names = {
        key.fingerprint: name for name, key in zip(root.signers, root.signer_keys(), strict=True)
    }
    try:
        _, signed = envelope.open(content, root.signer_keys(), 1, PAYLOAD_TYPE)
    except envelope.BadEnvelope as error:
        raise _refused("signatures", "those of the root's signers", str(error)) from None
    return sorted(names[keyid] for keyid in signed)


def _confirm(options: argparse.Namespace, root: Root) -> None:
    if options.yes:
        return
    if not sys.stdin.isatty():
        remedy = f"read it (surefoot root show {options.file}), then sign it with --yes"
        raise _refused(options.file, "a terminal to ask on, or --yes", "neither", remedy)
    typed = input(f"sign root version {root.version} of {root.installation}? type its version: ")
    if typed.strip() != str(root.version):
        remedy = "nothing was signed; type the version that you read above"
        raise _refused(options.file, str(root.version), typed[:40] or "nothing", remedy)


def _page(root: Root) -> None:
    show.heading(f"root version {root.version} of {root.installation}")
    show.line(f"{root.threshold} of these must sign it, and the one after it:")
    show.fields(sorted(root.signers.items()), indent="  ")
    show.heading("\nkeys of the log")
    for log in root.logs:
        show.line(f"- {log.vkey}")
        for text in _said(log):
            show.line(f"  {text}")
    for title, listed in (("witnesses", root.witnesses), ("auditors", root.auditors)):
        show.heading(f"\n{title}")
        show.fields(((e.name, f"{e.vkey} {e.url}".strip()) for e in listed), indent="  ")
        if not listed:
            show.line("  none")
    if root.quorum:
        show.heading("\nquorum of witnesses")
        show.text(root.quorum)
    show.heading("\nkeys that sign releases")
    for entry in root.release_keys:
        show.line(f"- {entry.key} {_time(entry.from_ms, entry.until_ms)}")


def _said(log: LogKey) -> Iterator[str]:
    yield _time(log.from_ms, log.until_ms) + (f", {log.ended}" if log.ended else "")
    if log.ended == "compromised":
        yield f"trusted up to {log.last_size} leaves, root {log.last_root}; nothing larger counts"


def _time(from_ms: int, until_ms: int) -> str:
    until = f" until {text_of_time(until_ms)}" if until_ms else ""
    return f"from {text_of_time(from_ms)}{until}"


def _refused(name: str, expected: str, found: Any, remedy: str = _REMEDY) -> Refused:
    return Refused(
        "root.file.input",
        f"root {name}",
        expected=expected,
        found=str(found)[:300],
        remedy=remedy,
    )
