"""Commands on how devices come to speak, and on what they are called: codes, certificates, tags."""

from __future__ import annotations

from surefoot.doors.cli.commands_words import LIMIT, command, question
from surefoot.doors.cli.tree import Command, Word

_NAME = Word("name", "name of the environment")

ENROLMENT = (
    command(
        "device code",
        "make one-time codes, shown once, each for one new device",
        "/environments/{name}/codes",
        _NAME,
        Word("--count", "how many", int, 1),
        Word("--hours", "how long they let a device in", int, 24),
        Word("--hardware", "for devices of this hardware alone"),
        Word("--device", "for this device alone; one that exists gets a new token"),
    ),
    question(
        "device codes",
        "one-time codes by name, and what became of each",
        "/environments/{name}/codes",
        _NAME,
        Word("--after", "codes after this name"),
        LIMIT,
    ),
    command(
        "device withdraw-codes",
        "refuse codes that nobody used yet",
        "/environments/{name}/codes/withdraw",
        _NAME,
        Word("--code", "this one alone, by its name"),
    ),
    Command(
        "device set-certificate",
        "bind a device to one client certificate, or to none",
        (
            _NAME,
            Word("id", "the device's identifier"),
            Word("--file", "the certificate, PEM", shown_as="FILE"),
            Word("--fingerprint", "its SHA-256 in hex"),
            Word("--off", "bind it to none: its issuer names it", flag=True),
        ),
        "device_certificate:set_certificate",
        "PUT",
        "/environments/{name}/devices/{id}/certificate",
    ),
    Command(
        "device set-issuers",
        "believe the client certificates of these issuers alone",
        (
            _NAME,
            Word("--file", "their certificates, PEM", shown_as="FILE"),
            Word("--required", "no device speaks without one", flag=True),
            Word("--off", "believe nobody", flag=True),
        ),
        "device_certificate:set_issuers",
        "PUT",
        "/environments/{name}/device-issuers",
    ),
    Command(
        "device tag",
        "add tags to devices, and remove others",
        (
            _NAME,
            Word("devices", "the devices' identifiers", many=True, optional=True),
            Word("--query", "all that this query finds, in place of names"),
            Word("--add", "tags to add, like lab,pilot", shown_as="TAGS"),
            Word("--remove", "tags to remove", shown_as="TAGS"),
        ),
        "device:tag",
        "POST",
        "/environments/{name}/device-tags",
    ),
    question(
        "device issuers",
        "whose client certificates an environment believes",
        "/environments/{name}/device-issuers",
        _NAME,
    ),
)
