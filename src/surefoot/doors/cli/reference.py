"""The reference pages of commands, error codes and drivers, written from their tables.

`python -m surefoot.doors.cli.reference docs/reference` renews them; a test compares.
Does not: use argparse's own text, which differs between versions of Python.
"""

from __future__ import annotations

import sys
from pathlib import Path

from surefoot.doors import codes
from surefoot.doors.cli import drivers, hardening
from surefoot.doors.cli.commands import COMMANDS, NOUNS
from surefoot.doors.cli.tree import Command, Word

_CLI_HEAD = """# The command line

Generated from the table of commands; `surefoot COMMAND --help` says the same.

Nouns, then verbs. Every command takes these options, before or after its words:

| option | meaning |
|---|---|
| `-o text\\|json` | output for people or for programs; errors follow it, on standard error |
| `--server URL` | `https://host`, `http://host:port` or `unix:PATH` |
| `--key FILE` | an OpenSSH private key, or the `.pub` of one in ssh-agent |

Server and key come from the options, else from `SUREFOOT_SERVER` and `SUREFOOT_KEY`, else from the
settings. These are in `~/.config/surefoot/config.json` (`SUREFOOT_CONFIG` names another file) and
are written by `surefoot use`.

| exit status | meaning | who acts |
|--:|---|---|
| 0 | done | nobody |
| 2 | the words were not understood | the asker |
| 3 | refused: a rule said no | the asker, as the remedy says |
| 4 | failed: the outside world did not answer as agreed | retry, then the operator |
| 5 | corrupt: a digest, signature or proof disagrees | stop; security |
| 70 | a mistake of our own | us |
| 130 | interrupted | nobody |

`deployment watch` ends with 4 when the deployment ended other than well.
"""

_ERRORS_HEAD = """# Error codes

Every error, on every door, is a record: kind, code, subject, expected, found, remedy. This page
says what each code means and what to do; `surefoot explain CODE` says the same. A star stands for a
name, as in `gate.tests.fail`.

| kind | exit status | meaning |
|---|--:|---|
| refused | 3 | a rule said no; the asker acts |
| failed | 4 | the outside world did not answer as agreed; retry, then the operator acts |
| corrupt | 5 | a digest, signature, proof or fold disagrees; stop, and call security |
"""


def cli_page() -> str:
    """`docs/reference/cli.md`."""
    parts = [_CLI_HEAD]
    for noun, about in NOUNS.items():
        parts.append(f"\n## {noun}\n\n{about[0].upper()}{about[1:]}.\n")
        parts += [_command(command) for command in COMMANDS if command.noun == noun]
    return "".join(parts)


def _command(command: Command) -> str:
    lines = [
        f"\n### surefoot {command.words}\n",
        f"\n{command.help[0].upper()}{command.help[1:]}.\n",
    ]
    lines.append(f"\n    surefoot {command.words}{''.join(_usage(w) for w in command.takes)}\n")
    if command.path:
        lines.append(f"\nAsks `{command.method} /v1{command.path}`.\n")
    if command.takes:
        lines.append("\n| word | meaning | default |\n|---|---|---|\n")
        lines += [f"| `{w.name}` | {_cell(w.help)} | {_default(w)} |\n" for w in command.takes]
    return "".join(lines)


def _usage(word: Word) -> str:
    name = "|".join(word.choices) or word.shown_as or word.key.upper()
    if word.flag:
        return f" [{word.name}]"
    if word.required:
        return f" {word.name} {name}"
    if word.name.startswith("--"):
        return f" [{word.name} {name}]" + ("..." if word.many else "")
    text = f"{name}..." if word.many else name
    return f" [{text}]" if word.optional else f" {text}"


def _default(word: Word) -> str:
    if word.default in ("", None) or word.flag:
        return ""
    return f"`{word.default}`"


def _cell(text: str) -> str:
    return text.replace("|", "\\|")


def errors_page() -> str:
    """`docs/reference/errors.md`."""
    parts = [_ERRORS_HEAD]
    family = ""
    for code in codes.every().values():
        if code.name.split(".")[0] != family:
            family = code.name.split(".")[0]
            parts.append(f"\n## {family}\n")
        parts.append(f"\n### `{code.name}`\n\n{code.kind.capitalize()}. {code.meaning}\n")
        parts.append(f"\nWhat to do: {code.do}\n")
    return "".join(parts)


def write(folder: Path) -> None:
    """Renew the pages."""
    (folder / "cli.md").write_text(cli_page(), encoding="utf-8")
    (folder / "errors.md").write_text(errors_page(), encoding="utf-8")
    (folder / "hardening-rules.md").write_text(hardening.page(), encoding="utf-8")
    (folder / "targets" / "index.md").write_text(drivers.page(), encoding="utf-8")


if __name__ == "__main__":
    write(Path(sys.argv[1]))
