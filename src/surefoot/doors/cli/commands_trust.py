"""Commands on root.json and on the keys of the log."""

from __future__ import annotations

from surefoot.doors.cli.commands_words import AT
from surefoot.doors.cli.tree import Command, Word

_DATA = Word("--data", "the installation's data folder", shown_as="FOLDER")
_FILE = Word("file", "the root's file")
_YES = Word("--yes", "do not ask", flag=True)

_KEYS = (
    Command(
        "journal rotate-key",
        "let a new key of the log sign, the old one beside it for a while; the server is stopped",
        (_DATA, Word("--overlap-hours", "how long both sign", int, 168)),
        "log_key:rotate",
    ),
    Command(
        "journal new-epoch",
        "go on under another origin and key, when the log's key is lost or in wrong hands",
        (
            _DATA,
            Word("--lost", "nobody has the key any more", flag=True),
            Word("--compromised", "somebody else has it as well", flag=True),
            Word("--trusted-up-to", "believed up to this size, else the last witnessed", int, 0),
            Word("--draft", "first: write the root for the founders to sign", shown_as="FILE"),
            Word("--root", "then: open the epoch with what they signed", shown_as="FILE"),
        ),
        "log_key:new_epoch",
    ),
    Command(
        "journal recover",
        "after a restored backup: put back what an export has, or go on without it",
        (
            _DATA,
            Word("--mirror", "an export of this journal that has the rest", shown_as="EXPORT"),
            Word("--new-epoch", "there is none: go on without the lost leaves", flag=True),
            Word("--lost-up-to", "the size that a witness saw, when it saw more", int, 0),
            Word("--draft", "first: write the root for the founders to sign", shown_as="FILE"),
            Word("--root", "then: open the epoch with what they signed", shown_as="FILE"),
        ),
        "log_key:recover",
    ),
)

TRUST = (
    *_KEYS,
    Command(
        "root draft",
        "write the next root.json from a data folder, for the founders to sign",
        (
            _DATA,
            Word("--out", "file to write, else standard output", shown_as="FILE"),
            Word("--auditor", "an auditor's key; may be repeated", many=True, shown_as="NAME=VKEY"),
        ),
        "root:draft",
    ),
    Command(
        "root sign",
        "look at a root.json, and add your signature to the file",
        (_FILE, _YES),
        "root:sign",
    ),
    Command(
        "root show", "one page: whose signatures count, and since when", (_FILE,), "root:show_root"
    ),
    Command(
        "root accept",
        "publish a root.json that enough founders signed",
        (_FILE,),
        "root:accept",
        "POST",
        "/root",
    ),
    Command(
        "root get",
        "the newest root.json, to be pinned",
        (Word("--out", "file to write", shown_as="FILE"), AT),
        "root:get",
        "GET",
        "/root",
    ),
)
