"""Commands of a witness, which runs on another machine than the log."""

from __future__ import annotations

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
)
