"""Commands of a witness, which runs on another machine than the log, and of the log about it."""

from __future__ import annotations

from surefoot.doors.cli.commands_words import command
from surefoot.doors.cli.tree import Command, Word

_FOLDER = Word("folder", "the witness's folder")

WITNESS = (
    Command(
        "witness init",
        "make a witness: a folder with a key of its own; says the public key",
        (
            _FOLDER,
            Word("--name", "the name it signs under, like witness.example.com/north"),
            Word("--ml-dsa", "an ML-DSA-44 key, for after Ed25519 is broken", flag=True),
        ),
        "witness:init",
    ),
    Command(
        "witness trust",
        "take checkpoints of the log that has this key",
        (_FOLDER, Word("vkey", "the log's key, as `installation show` prints it")),
        "witness:trust",
    ),
    Command(
        "witness show",
        "the witness's key, its logs, and what it cosigned last",
        (_FOLDER,),
        "witness:show_witness",
    ),
    Command(
        "witness run",
        "answer add-checkpoint over HTTP until SIGTERM",
        (
            _FOLDER,
            Word(
                "--listen", "address to answer on", default="127.0.0.1:8430", shown_as="HOST:PORT"
            ),
            Word(
                "--log-level",
                "how much to log",
                default="warning",
                choices=("debug", "info", "warning", "error"),
            ),
        ),
        "witness:run",
    ),
    Command(
        "witness sign",
        "answer a request that came as a file, where no network reaches",
        (
            _FOLDER,
            Word("file", "what `journal request` wrote; - is standard input"),
            Word("out", "the cosigned checkpoint's file; it must not exist"),
        ),
        "witness:sign",
    ),
    Command(
        "journal request",
        "write what to bring to a witness that no network reaches",
        (
            Word("file", "the request's file; it must not exist"),
            Word("--old", "the size that the witness cosigned last, else as kept here", int, None),
        ),
        "witness:request",
        "GET",
        "/journal/request",
    ),
    Command(
        "journal cosign",
        "take the checkpoint that a witness or an auditor cosigned; verified, then stored",
        (Word("file", "what `witness sign` or `auditor run` wrote; - is standard input"),),
        "witness:cosign",
        "POST",
        "/journal/cosignatures",
    ),
    command(
        "journal anchor",
        "cosign the newest checkpoint with the log's own post-quantum key, now",
        "/journal/anchor",
    ),
)
