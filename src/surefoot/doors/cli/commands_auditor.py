"""Commands of an auditor, which runs on another machine than the log."""

from __future__ import annotations

from surefoot.doors.cli.tree import Command, Word

_FOLDER = Word("folder", "the auditor's folder")

AUDITOR = (
    Command(
        "auditor init",
        "make an auditor: a folder with keys of its own; says the public keys",
        (
            _FOLDER,
            Word("--name", "the name it signs under, after auditor/"),
            Word("--source", "the log's export: a folder, or where it is served", shown_as="DIR"),
            Word("--log-key", "the log's key that you pinned, or a file with it", shown_as="VKEY"),
            Word("--root", "instead of the key, the root.json that you pinned", shown_as="FILE"),
            Word("--ml-dsa", "sign with an ML-DSA-44 key as well", flag=True),
            Word("--without-evidence", "do not ask for people's own signatures", flag=True),
        ),
        "auditor:init",
    ),
    Command(
        "auditor run",
        "read everything new, replay everything, and cosign what is in order",
        (
            _FOLDER,
            Word("--once", "end after one look", flag=True),
            Word("--seconds", "between two looks", int, 60),
        ),
        "auditor:run",
    ),
    Command(
        "auditor show",
        "the auditor's keys, its source and what it cosigned last",
        (_FOLDER,),
        "auditor:show_auditor",
    ),
)
