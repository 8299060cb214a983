"""What a command is made of, and the parser made from them: nouns, then verbs.

Keeps: only the noun that was typed gets its verbs built, so that help stays instant; the options
every command has may stand before or after it.
Does not: name any command (`commands`), or run one.
"""

from __future__ import annotations

import argparse
import difflib
import sys
from collections.abc import Iterable, Sequence
from typing import Any, NamedTuple, NoReturn

USAGE_STATUS = 2
OUTPUTS = ("text", "json")
# What an option with `optional` holds when it was typed without a value.
NAMED_BY_OUTPUT = "-o"
# Longer than that, a list of choices makes the line of usage too wide.
_LISTED_CHARACTERS_MAX = 40


class Word(NamedTuple):
    """One argument (`release`) or option (`--limit`) of a command."""

    name: str
    help: str
    kind: type = str
    default: Any = ""
    choices: tuple[str, ...] = ()
    many: bool = False
    shown_as: str = ""
    flag: bool = False
    optional: bool = False
    required: bool = False

    @property
    def key(self) -> str:
        """The name without dashes, as the code and the API use it."""
        return self.name.lstrip("-").replace("-", "_")


class Command(NamedTuple):
    """A command: its words, what it takes, and the function that runs it (`module:function`).

    `method` and `path` are of the operation that it asks for, when it is one; words named like the
    operation's arguments are sent.
    """

    words: str
    help: str
    takes: tuple[Word, ...] = ()
    run: str = "asking:ask"
    method: str = ""
    path: str = ""
    view: str = "plain"

    @property
    def noun(self) -> str:
        """The first word."""
        return self.words.split(" ", 1)[0]

    @property
    def verb(self) -> str:
        """The second word, empty for commands of one."""
        return self.words.partition(" ")[2]


class Parser(argparse.ArgumentParser):
    """An argument parser that suggests the nearest word instead of listing all of them."""

    def error(self, message: str) -> NoReturn:
        """Usage errors end with status 2."""
        text = _suggested(message)
        unknown = message.partition("unrecognized arguments: ")[2].split(" ")[0].split("=")[0]
        near = difflib.get_close_matches(unknown, self.every_option(), 1)
        if unknown.startswith("-") and near:
            text = f"unknown option {unknown}; did you mean {near[0]}?"
        sys.stderr.write(f"{self.prog}: {text}\nsee: {self.prog} --help\n")
        raise SystemExit(USAGE_STATUS)

    def every_option(self) -> list[str]:
        """Names of all options, those of the commands below included."""
        found = [name for action in self._actions for name in action.option_strings]
        for action in self._actions:
            if isinstance(action, argparse._SubParsersAction):
                for sub in action.choices.values():
                    found += sub.every_option()
        return found


def parser_for(
    commands: Sequence[Command], nouns: dict[str, str], typed: Iterable[str] | None
) -> Parser:
    """The parser. `nouns` says what each is about; `typed` None builds the verbs of all of them."""
    parser = Parser(
        prog="surefoot",
        description="One signed release for cloud and devices, with proof.",
        epilog="exit status: 0 done, 2 usage, 3 refused, 4 failed, 5 corrupt, 70 our own mistake",
        allow_abbrev=False,
    )
    parser.add_argument(
        "--version", action="store_true", dest="show_version", help="say the version and end"
    )
    _add_common(parser, root=True)
    within = parser.add_subparsers(metavar="COMMAND", parser_class=Parser)
    wanted = None if typed is None else set(typed)
    for noun, about in nouns.items():
        sub = within.add_parser(noun, help=about, description=about, allow_abbrev=False)
        if wanted is None or noun in wanted:
            _fill(sub, [command for command in commands if command.noun == noun])
    return parser


def _fill(parser: Parser, commands: Sequence[Command]) -> None:
    if len(commands) == 1 and not commands[0].verb:
        _complete(parser, commands[0])
        return
    verbs = parser.add_subparsers(metavar="VERB", parser_class=Parser)
    parser.set_defaults(parser=parser)
    for command in commands:
        sub = verbs.add_parser(
            command.verb, help=command.help, description=command.help, allow_abbrev=False
        )
        _complete(sub, command)


def _complete(parser: Parser, command: Command) -> None:
    parser.set_defaults(command=command)
    for word in command.takes:
        _add(parser, word)
    _add_common(parser, root=False)


def _add(parser: Parser, word: Word) -> None:
    given: dict[str, Any] = {"help": word.help}
    if word.flag:
        parser.add_argument(word.name, action="store_true", **given)
        return
    given |= {"type": word.kind, "metavar": word.shown_as or word.key.upper()}
    if word.choices:
        given["choices"] = word.choices
        listed = "|".join(word.choices)
        if len(listed) > _LISTED_CHARACTERS_MAX:
            given["help"] = f"{word.help}: {', '.join(word.choices)}"
        else:
            given["metavar"] = word.shown_as or listed
    if word.name.startswith("--"):
        given |= {"action": "append"} if word.many else {"default": word.default}
        given |= {"required": True} if word.required else {}
        given |= {"nargs": "?", "const": NAMED_BY_OUTPUT} if word.optional else {}
        parser.add_argument(word.name, **given)
        return
    if word.many:
        given["nargs"] = "*" if word.optional else "+"
    elif word.optional:
        given |= {"nargs": "?", "default": word.default}
    parser.add_argument(word.name, **given)


def _add_common(parser: Parser, *, root: bool) -> None:
    def default(value: Any) -> Any:
        return value if root else argparse.SUPPRESS

    group = parser.add_argument_group("options of every command")
    group.add_argument(
        "-o",
        "--output",
        default=default("text"),
        metavar="FORMAT",
        help="text or json",
    )
    group.add_argument(
        "--server",
        default=default(""),
        metavar="URL",
        help="https://host, http://host:port or unix:PATH; else SUREFOOT_SERVER, else the settings",
    )
    group.add_argument(
        "--key",
        default=default(""),
        metavar="FILE",
        help="OpenSSH private key, or the .pub of one in ssh-agent; else SUREFOOT_KEY",
    )


def settle(parser: argparse.ArgumentParser, options: argparse.Namespace) -> None:
    """`--prove -o FILE` is `--prove FILE`; any other value of -o is a form of output."""
    unnamed = getattr(options, "prove", None) == NAMED_BY_OUTPUT
    if options.output in OUTPUTS:
        if unnamed:
            parser.error("argument --prove: name the file: --prove FILE, or --prove -o FILE")
    elif unnamed and options.output:
        options.prove, options.output = options.output, "text"
    else:
        parser.error(f"argument -o/--output: unknown '{options.output}'; choose from text, json")


def _suggested(message: str) -> str:
    """argparse lists every choice; one near miss says more."""
    start, marker, rest = message.partition("invalid choice: ")
    if not marker:
        return message
    typed, _, choices = rest.partition(" (choose from ")
    known = [choice.strip(" ')") for choice in choices.split(",")]
    if start.startswith(("argument COMMAND", "argument VERB")):
        start = ""
    near = difflib.get_close_matches(typed.strip("'"), known, 1)
    advice = f"did you mean {near[0]}?" if near else f"choose from {', '.join(known)}"
    return f"{start}unknown {typed}; {advice}"
