"""The entries that led to an environment's state, with the documents that they name.

Keeps: only texts are shown, each bounded; what a document says is for whoever reads the proof.
Does not: prove; the prover adds where each entry stands in the tree.
"""

from __future__ import annotations

import unicodedata

from surefoot.app.facade import App
from surefoot.core.errors import Failed
from surefoot.core.target import Plain
from surefoot.trust.digest import Digest
from surefoot.trust.entry import Entry
from surefoot.trust.evidence import enrolled

_ENTRIES_MAX = 90
_TEXT_BYTES_MAX = 256 * 1024
_ALL_BYTES_MAX = 8 * 1024 * 1024
_SAID = frozenset(["DeploymentRequested", "ApprovalGiven", "ReviewRecorded", "ReleaseRegistered"])


def led_to(app: App, state: Plain) -> list[tuple[Entry, list[str]]]:
    """Who registered the release, who asked for the deployment, who approved, what gates said."""
    streams = [f"release/{state['release_version']}"] if state.get("release_version") else []
    streams += [f"deployment/{state['deployment']}"] if state.get("deployment") else []
    entries = [
        entry
        for stream in streams
        for entry in app.log.stream_entries(stream, 0, 1000)
        if entry.kind in _SAID or entry.evidence
    ][:_ENTRIES_MAX]
    signers = {str(entry.body.get("key")) for entry in entries if entry.kind == "ApprovalGiven"}
    people = [e for e in app.log.stream_entries("people", 0, 1000) if _enrols(e, signers)]
    shown, room = [], _ALL_BYTES_MAX
    for entry in (*people, *entries):
        texts = []
        for digest in dict.fromkeys(entry.evidence):
            text = _text(app, digest)
            if text is not None and len(text.encode()) <= min(room, _TEXT_BYTES_MAX):
                room -= len(text.encode())
                texts.append(text)
        shown.append((entry, texts))
    return shown


def _enrols(entry: Entry, fingerprints: set[str]) -> bool:
    return any(fingerprint in fingerprints for fingerprint, _ in enrolled(entry))


def _text(app: App, digest: Digest) -> str | None:
    """The document, when it is kept and a text that JSON holds unchanged."""
    try:
        text = app.blobs.get(digest).decode()
    except (Failed, UnicodeDecodeError):
        return None
    return text if unicodedata.is_normalized("NFC", text) else None
