"""Commands on environments, drift, freezes, secrets, devices and the journal."""

from __future__ import annotations

from surefoot.doors.cli.commands_words import AT, BEFORE, LIMIT, PROVE, REASON, command, question
from surefoot.doors.cli.tree import Command, Word

_NAME = Word("name", "name of the environment")
_EVIDENCE = Word("--evidence", "with approvals, results and provenance in the proof", flag=True)

_SHOWN = (
    question("environment list", "environments by components", "/environments", AT, view="matrix"),
    Command(
        "environment show",
        "everything an environment is, now or then; with --prove, the proof of it",
        (
            _NAME,
            AT,
            PROVE,
            _EVIDENCE,
        ),
        "proof:show_environment",
        "GET",
        "/environments/{name}",
        "environment",
    ),
    question(
        "environment map",
        "code, configuration, tools and infrastructure, with the commit and person behind each",
        "/environments/{name}/map",
        _NAME,
        AT,
        view="map",
    ),
    question(
        "environment diff",
        "what differs between two environments or moments: NAME or NAME@TIME",
        "/environments/diff",
        Word("left", "NAME or NAME@TIME"),
        Word("right", "NAME or NAME@TIME"),
        Word("--at", "the time of a side that names none", shown_as="TIME"),
        view="diff",
    ),
    question(
        "environment history",
        "what happened to an environment, newest first",
        "/environments/{name}/history",
        _NAME,
        BEFORE,
        LIMIT,
        AT,
        view="entries",
    ),
    question(
        "environment document",
        "its set-up as a document, from what is recorded",
        "/environments/{name}/document",
        _NAME,
        AT,
        view="document",
    ),
)

_CHANGED = (
    command(
        "environment clone",
        "ask for a copy of an environment",
        "/environments/{name}/clones",
        Word("name", "the environment to copy"),
        Word("to", "name of the copy"),
        Word("--data", "how data comes over", default="masked", choices=("none", "masked", "full")),
        view="requested",
    ),
    *(
        command(
            f"environment {verb}", help, f"/environments/{{name}}/{path}", _NAME, view="requested"
        )
        for verb, help, path in (
            ("backup", "ask for verified backups of its databases", "backups"),
            ("rebuild", "ask for it to be made again from record and backup", "rebuild"),
            ("destroy", "ask for the removal of its processes, folders and databases", "destroy"),
        )
    ),
    command(
        "drift check",
        "compare what is there with what is recorded",
        "/environments/{name}/drift",
        _NAME,
        view="drift",
    ),
    question(
        "drift show",
        "differences that the last check found",
        "/environments/{name}/drift",
        _NAME,
        AT,
        view="drift",
    ),
    command(
        "drift revert",
        "ask for services to be brought back to what is recorded",
        "/environments/{name}/drift/revert",
        _NAME,
        view="requested",
    ),
    command(
        "freeze add",
        "declare a time without effects on an environment",
        "/environments/{name}/freezes",
        _NAME,
        Word("freeze", "name of the freeze"),
        Word("--from", "its start", shown_as="TIME"),
        Word("--until", "its end", shown_as="TIME"),
        REASON,
    ),
    question(
        "freeze list",
        "freezes of an environment, and whether each holds",
        "/environments/{name}/freezes",
        _NAME,
        AT,
        view="freezes",
    ),
    command(
        "freeze lift",
        "end a freeze early",
        "/environments/{name}/freezes/{freeze}",
        _NAME,
        Word("freeze", "name of the freeze"),
        REASON,
        method="DELETE",
    ),
)

_SECRETS = (
    Command(
        "secret set",
        "give a secret a new version; the value comes from a prompt, a file or standard input",
        (
            _NAME,
            Word("secret", "name of the secret"),
            Word("--from-file", "read the value there; - is standard input", shown_as="FILE"),
        ),
        "secret:put",
        "PUT",
        "/environments/{name}/secrets/{secret}",
    ),
    question(
        "secret list",
        "names and versions, never values",
        "/environments/{name}/secrets",
        _NAME,
        AT,
        view="secrets",
    ),
)

_DEVICES = (
    question(
        "device list",
        "devices of an environment",
        "/environments/{name}/devices",
        _NAME,
        Word("--state", "only in this state of a rollout"),
        Word("--deployment", "that rollout; the newest when none is named", int, None),
        Word("--wave", "only in this wave of it"),
        Word("--version", "only known to run this version; -: not known"),
        Word("--hardware", "only of this hardware"),
        Word("--standing", "accepted, pending, rejected or revoked"),
        Word("--text", "only with a name that begins so"),
        Word("--tag", "only with this tag"),
        Word("--query", "only those that a query finds; see: device queries", shown_as="QUERY"),
        Word("--after", "devices after this one"),
        LIMIT,
        AT,
        view="devices",
    ),
    question(
        "fleet show",
        "versions by share, and rollouts wave by wave",
        "/environments/{name}/fleet",
        _NAME,
        AT,
        view="fleet",
    ),
    question(
        "fleet blockers",
        "who is in the way of a rollout, by name, and why",
        "/environments/{name}/fleet/blockers",
        _NAME,
        Word("--deployment", "that rollout; the newest when none is named", int, None),
        Word("--limit", "at most so many of each kind", int, 10),
        view="blockers",
    ),
    Command(
        "device show",
        "one device: state, attributes, last reports, now or then; with --prove, the proof of it",
        (
            _NAME,
            Word("id", "the device's identifier"),
            Word("--before", "reports below this number", int, None),
            LIMIT,
            AT,
            PROVE,
        ),
        "device_proof:show_device",
        "GET",
        "/environments/{name}/devices/{id}",
        "device",
    ),
    Command(
        "device prove",
        "a portable proof of what a device had last reported, now or then",
        (
            _NAME,
            Word("id", "the device's identifier"),
            Word("file", "the proof's file; it must not exist"),
            AT,
        ),
        "device_proof:prove",
        "GET",
        "/environments/{name}/devices/{id}/proof",
    ),
    Command(
        "device enrol",
        "admit devices: one, or a file of them",
        (
            _NAME,
            Word("device", "the device's identifier", optional=True),
            Word("--hardware", "kind of hardware"),
            Word("--token-file", "file with the device's token", shown_as="FILE"),
            Word("--devices", "JSON file: a list of id, hardware, token", shown_as="FILE"),
        ),
        "device:enrol",
        "POST",
        "/environments/{name}/devices",
    ),
)

_ID = Word("id", "the device's identifier")
_IDENTITIES = (
    *(
        command(f"device {verb}", help, f"/environments/{{name}}/devices/{{id}}/{path}", _NAME, _ID)
        for verb, help, path in (
            ("accept", "let a device in that is pending, rejected or revoked", "accept"),
            ("reject", "keep a pending device out", "reject"),
            ("revoke", "refuse a device's token, and end what it was to do", "revoke"),
            ("rotate-token", "give a device a new token, shown once", "token"),
        )
    ),
    command(
        "device set-profile",
        "say which client a device runs",
        "/environments/{name}/devices/{id}/profile",
        _NAME,
        _ID,
        Word("profile", "swupdate, rauc, zephyr, generic, or learn"),
        method="PUT",
    ),
    command(
        "device gateway-token",
        "let unknown devices knock with a new gateway token, shown once",
        "/environments/{name}/gateway-token",
        _NAME,
        Word("--off", "let none knock", bool),
    ),
)

_SIMULATE = Command(
    "device simulate",
    "run simulated devices that poll, download, check and report; without NAME a whole rollout",
    (
        Word("name", "the environment; none for a rollout on this machine alone", optional=True),
        Word("--url", "the device door", default="http://127.0.0.1:8421"),
        Word(
            "--devices",
            "their identifiers and tokens; without an environment, how many",
            default="devices.json",
            shown_as="FILE",
        ),
        Word("--count", "how many to make and enrol when the file does not exist", int, 10),
        Word("--prefix", "what their identifiers begin with", default="simulated"),
        Word("--hardware", "their kind of hardware", default="simulated"),
        Word("--seconds", "how long they live", float, 60.0),
        Word("--poll-seconds", "how often they poll; 0 as the server says", float, 0.0),
        Word("--behaviour", "so many behave so, like fails=3", many=True, shown_as="KIND=COUNT"),
        Word("--failures", "without an environment: so many fail", default="2%"),
        Word("--silent", "without an environment: so many say nothing more", default="1%"),
        Word("--duplicates", "without an environment: so many say all twice", default="5%"),
        Word("--storms", "without an environment: how often all connect anew at once", int, 2),
        Word("--seed", "without an environment: what is drawn", int, 1),
    ),
    "simulate:simulate",
)

_JOURNAL = (
    question(
        "journal show",
        "entries, newest first",
        "/journal",
        BEFORE,
        LIMIT,
        Word("--stream", "only of this stream, like env/production"),
        Word("--kind", "only of this kind"),
        AT,
        view="entries",
    ),
    question(
        "journal entry",
        "one entry, with the exact bytes that are hashed",
        "/journal/{index}",
        Word("index", "its place in the journal", int),
    ),
    question(
        "journal orphans",
        "claims without a result, older than a lease",
        "/journal/orphans",
        Word("--seconds", "at least so old", int, 30),
        AT,
        view="orphans",
    ),
    Command(
        "journal words",
        "write the words behind an entry's commitments to a file, for who has a proof of it",
        (
            Word("index", "its place in the journal", int),
            Word("file", "the file; it must not exist"),
        ),
        "words:write",
        "GET",
        "/journal/{index}/words",
    ),
    command(
        "journal erase",
        "forget the words behind an entry's commitments; the entry and its proofs stay",
        "/journal/{index}/erasures",
        Word("index", "its place in the journal", int),
        Word("--commitment", "only this one of the entry's", shown_as="TEXT"),
        REASON._replace(required=True),
    ),
    question(
        "journal checkpoint",
        "the newest signed checkpoint",
        "/journal/checkpoint",
        AT,
        view="checkpoint",
    ),
    Command(
        "journal prove",
        "a portable proof of what an environment was, now or then, or that there was none",
        (_NAME, Word("file", "the proof's file; it must not exist"), AT, _EVIDENCE),
        "proof:prove",
        "GET",
        "/environments/{name}/proof",
    ),
    Command(
        "journal prove-entry",
        "the proof of one entry as C2SP text, for any reader of transparency logs",
        (
            Word("index", "the entry's place in the journal", int),
            Word("file", "the proof's file; it must not exist"),
        ),
        "proof:prove_entry",
        "GET",
        "/journal/{index}/proof",
    ),
    question(
        "journal wait",
        "wait until the journal is larger than a size",
        "/journal/wait",
        Word("size", "the size you know", int),
        Word("--seconds", "at most 25", int, 20),
    ),
    Command(
        "journal verify",
        "verify everything: on the server, or offline from an export or a data folder",
        (
            Word("--full", "all of a folder made by: journal export", shown_as="DIR"),
            Word("--offline", "the same as --full", shown_as="DIR"),
            Word("--log-key", "the log's key that you pinned, or a file with it", shown_as="VKEY"),
            Word("--root", "instead of the key, the root.json that you pinned", shown_as="FILE"),
            Word("--checkpoint", "a checkpoint kept elsewhere, to compare with", shown_as="FILE"),
            Word("--data", "a data folder, read directly", shown_as="FOLDER"),
        ),
        "journal:verify",
        "POST",
        "/journal/verify",
    ),
)

ENVIRONMENTS = (*_SHOWN, *_CHANGED, *_SECRETS, *_DEVICES, *_IDENTITIES, _SIMULATE, *_JOURNAL)
