"""Commands that run on this machine, without a server or to start one."""

from __future__ import annotations

from surefoot.doors.cli.tree import Command, Word

_DEVICES = Word("--devices", "address for devices", default="127.0.0.1:8421", shown_as="HOST:PORT")
_LOG_LEVEL = Word(
    "--log-level",
    "how much to log",
    default="warning",
    choices=("debug", "info", "warning", "error"),
)
_DATA = Word("--data", "the installation's data folder", shown_as="FOLDER")

HERE = (
    Command(
        "key generate",
        "make an Ed25519 key pair: FILE and FILE.pub",
        (
            Word("file", "the private key's file; it must not exist"),
            Word("--comment", "a comment for the public line"),
            Word("--passphrase", "ask for a passphrase", flag=True),
        ),
        "key:generate",
    ),
    Command(
        "key show",
        "fingerprint and public line of a key file",
        (Word("file", "a private key or a .pub"),),
        "key:show_key",
    ),
    Command(
        "login",
        "open a browser session by a one-time link",
        (),
        "person:login",
        "POST",
        "/sessions",
    ),
    Command(
        "init",
        "make a new installation, or a copy of the example product",
        (
            Word("folder", "folder to make"),
            Word("--founder", "NAME=KEYFILE.pub; at least twice", many=True, shown_as="NAME=FILE"),
            Word("--repository", "the product's git repository", shown_as="PATH"),
            Word("--product", "the product's name"),
            Word("--installation", "the installation's name, else the product's"),
            Word("--store", "address of a PostgreSQL database, else SQLite", shown_as="DSN"),
            Word("--checkpoint", "keep the last checkpoint in this file", shown_as="FILE"),
            Word("--poll-seconds", "how long devices sleep between polls", int, 300),
            Word("--lease-seconds", "until a dead server's work is taken over", int, 30),
            Word("--witness-policy", "who watches the log, and how many", shown_as="FILE"),
            Word("--anchors", "give the log a post-quantum key; decided here for good", flag=True),
            Word("--example", "copy the example product there instead", flag=True),
        ),
        "setup:init",
    ),
    Command(
        "use",
        "remember server and key, so that commands need neither",
        (Word("--config", "write the settings to this file", shown_as="FILE"),),
        "setup:use",
    ),
    Command(
        "server run",
        "run the server of an installation until SIGTERM",
        (
            _DATA,
            Word(
                "--listen",
                "address of API and pages",
                default="127.0.0.1:8420",
                shown_as="HOST:PORT",
            ),
            _DEVICES,
            Word("--socket", "path of the Unix socket, else in the data folder", shown_as="PATH"),
            Word("--behind-tls", "browsers reach it over TLS, through a proxy", flag=True),
            _LOG_LEVEL,
        ),
        "server:run",
    ),
    Command(
        "server door",
        "run one more device door of an installation on PostgreSQL until SIGTERM",
        (_DATA, _DEVICES, _LOG_LEVEL),
        "server:door",
    ),
    Command(
        "journal fsck",
        "name everything in a data folder's journal that does not agree; only reads",
        (
            _DATA,
            Word("--export", "look at this export as well", shown_as="DIR"),
            Word("--repair", "write what can be computed again with certainty", flag=True),
        ),
        "journal:fsck",
    ),
    Command(
        "journal export",
        "write the journal as C2SP tiles, to be verified anywhere",
        (
            Word("folder", "folder to make"),
            _DATA,
            Word("--evidence", "carry what people signed, plans and reports as well", flag=True),
        ),
        "journal:export",
    ),
    Command(
        "verify",
        "verify a proof that somebody gave you, offline, with the root or key that you pinned",
        (
            Word("file", "the proof; - is standard input"),
            Word(
                "--root",
                "the root.json that you pinned; then newer ones that follow it",
                many=True,
                shown_as="FILE",
            ),
            Word("--log-key", "the log's key that you pinned, or a file with it", shown_as="VKEY"),
            Word("--words", "words to open it with, made by: journal words", shown_as="FILE"),
        ),
        "device_proof:verify",
    ),
    Command(
        "baseline collect",
        "write down what is there, to be approved; a secret's value is not in it",
        (
            Word("file", "the file to write; it is replaced"),
            Word("--root", "a root file system in a folder, else this machine", shown_as="FOLDER"),
            Word("--watch", "keep files of this pattern by digest", many=True, shown_as="PATTERN"),
            Word("--definition", "with what an environment of it declares", shown_as="FILE"),
            Word("--environment", "that environment's name"),
            Word("--artifact", "instead: a component's tar", many=True, shown_as="NAME=FILE"),
        ),
        "baseline:collect",
    ),
    Command(
        "baseline diff",
        "what differs between two baselines, like those of two environments",
        (Word("first", "a baseline's file"), Word("second", "another")),
        "baseline:diff",
    ),
    Command(
        "hardening check",
        "look at this machine, or at a root file system in a folder, by the hardening rules",
        (
            Word("root", "the folder; none is this machine", optional=True),
            Word("--group", "rules of this group alone, like ssh", many=True, shown_as="NAME"),
            Word("--least", "percent of the rules that must be evaluated", int, 80),
        ),
        "hardening:check",
    ),
    Command(
        "demo",
        "the main job on a real product, from commit to devices, with a proof of it",
        (
            Word("--exit", "end when done, also on a terminal", flag=True),
            Word("--yours", "your edited copy of the example instead", shown_as="FOLDER"),
            Word("--seed", "chooses where the control plane is killed", int, 0),
            Word("--folder", "a new folder to keep, else a temporary one"),
        ),
        "demo:demo",
    ),
    Command(
        "explain",
        "what an error code means and what to do",
        (Word("code", "a code like plan.parent.moved; none lists all", optional=True),),
        "explain:explain",
    ),
)
