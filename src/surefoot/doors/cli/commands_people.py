"""Commands on people, rules and releases."""

from __future__ import annotations

from surefoot.doors.cli.commands_words import AT, LIMIT, PROVE, REASON, command, question
from surefoot.doors.cli.tree import Command, Word

PEOPLE = (
    question("installation show", "name, size and state of the installation", "/installation", AT),
    question("person list", "everybody enrolled", "/people", AT, view="people"),
    Command(
        "person request",
        "make an enrolment request with your key, for a founder to submit",
        (
            Word("name", "your name, as it will be known here"),
            Word("--identity", "address of your commits; may be repeated", many=True),
            Word("--request", "file to write, else standard output", shown_as="FILE"),
        ),
        "person:request",
    ),
    Command(
        "person enrol",
        "enrol somebody: from their request, or with a key you hold yourself",
        (
            Word("name", "the person's name, when there is no request", optional=True),
            Word("--request", "the file they made with: person request", shown_as="FILE"),
            Word("--new-key", "their private key, when you hold it", shown_as="FILE"),
            Word("--identity", "address of their commits; may be repeated", many=True),
        ),
        "person:enrol",
        "POST",
        "/people",
    ),
    command(
        "person grant",
        "give somebody a role",
        "/people/{person}/roles",
        Word("person", "who gets it"),
        Word("role", "which role"),
    ),
    command(
        "person revoke-role",
        "take a role away",
        "/people/{person}/roles/{role}",
        Word("person", "who loses it"),
        Word("role", "which role"),
        REASON,
        method="DELETE",
    ),
    command(
        "person revoke-key",
        "make a key count no more",
        "/people/{person}/keys/{fingerprint}",
        Word("person", "whose key"),
        Word("fingerprint", "SHA256:..."),
        REASON,
        method="DELETE",
    ),
    Command(
        "who-can",
        "who may do something, like: who-can deploy production",
        (Word("permission", "like deploy production, or secret.set", many=True), AT),
        "person:who_can",
        "GET",
        "/who-can",
        "who_can",
    ),
    question("definition show", "the rules in force", "/definition", AT, view="definition"),
    command(
        "definition accept",
        "put the rules of a signed commit in force",
        "/definition",
        Word("commit", "commit, branch or tag"),
    ),
)

RELEASES = (
    question(
        "release list",
        "releases, newest first",
        "/releases",
        Word("--after", "releases after this one"),
        LIMIT,
        AT,
        view="releases",
    ),
    question(
        "release show",
        "one release: components, gates, signatures",
        "/releases/{version}",
        Word("version", "version of the release"),
        AT,
        view="release",
    ),
    Command(
        "release never",
        "a portable proof that a release was never in an environment between two times",
        (
            Word("version", "version of the release"),
            Word("name", "name of the environment"),
            Word("--from", "the first moment, like 2026-11-17T10:00Z", shown_as="TIME"),
            Word("--until", "the last moment, else up to now", shown_as="TIME"),
            PROVE,
        ),
        "proof:never",
        "GET",
        "/environments/{name}/proof/never",
    ),
    Command(
        "release create",
        "build a release from a commit, sign it with your key, and register it",
        (
            Word("version", "version, like 1.2.0"),
            Word("--commit", "commit, branch or tag", default="HEAD", shown_as="REF"),
        ),
        "release:create",
        "POST",
        "/releases",
    ),
    Command(
        "release rebuild",
        "build a release's components again and compare them, byte by byte",
        (Word("version", "version of the release"),),
        "release:rebuild",
        "POST",
        "/releases/{version}/rebuilds",
    ),
    command(
        "release build",
        "build a release from a commit, and no more",
        "/releases/builds",
        Word("version", "version, like 1.2.0"),
        Word("--commit", "commit, branch or tag", default="HEAD", shown_as="REF"),
    ),
    question(
        "job show",
        "a job: its lines and its result",
        "/jobs/{job}",
        Word("job", "the job's name"),
        Word("--after", "lines after this number", int, 0),
        view="job",
    ),
)
