"""The command line: parse, run one command, and end with the exit status its outcome has.

Keeps: nothing is imported that the typed command does not need; every error is shown as its record,
on standard error; exit statuses are 0 done, 2 usage, 3 refused, 4 failed, 5 corrupt, 70 our own
mistake, 130 interrupted.
Does not: hold a rule. A command asks the server, or works on this machine.
"""

from __future__ import annotations

import argparse
import contextlib
import importlib
import json
import os
import sys
from collections.abc import Callable

from surefoot import __version__
from surefoot.core.errors import SurefootError, render
from surefoot.doors.cli.commands import COMMANDS, NOUNS
from surefoot.doors.cli.tree import USAGE_STATUS, parser_for, settle

_FAULT_STATUS = 70
_INTERRUPTED_STATUS = 130


def main(arguments: list[str] | None = None) -> int:
    """Run the command in `arguments`, or in the process's own. Returns the exit status."""
    typed = sys.argv[1:] if arguments is None else arguments
    parser = parser_for(COMMANDS, NOUNS, typed)
    options = parser.parse_args(typed)
    settle(parser, options)
    if options.show_version:
        print(__version__)
        return 0
    if getattr(options, "command", None) is None:
        getattr(options, "parser", parser).print_help()
        return USAGE_STATUS if typed else 0
    try:
        return _run(options)
    except SurefootError as error:
        show_error(error, options.output)
        return error.exit_status
    except KeyboardInterrupt:
        return _INTERRUPTED_STATUS
    except BrokenPipeError:
        # The reader of our output left, as in `surefoot ... | head`: nothing more to say to it.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 0
    except Exception as error:  # noqa: BLE001  the last resort, so that every status has one meaning
        return _show_fault(error)


def _run(options: argparse.Namespace) -> int:
    place, name = options.command.run.split(":")
    module = importlib.import_module(f"surefoot.doors.cli.{place}")
    run: Callable[[argparse.Namespace], int | None] = getattr(module, name)
    status = run(options) or 0
    sys.stdout.flush()
    return status


def show_error(error: SurefootError, output: str) -> None:
    """The error on standard error: a card on a terminal, one line elsewhere, a record as JSON."""
    record = _completed(error)
    if output == "json":
        text = json.dumps(record, ensure_ascii=False)
    elif sys.stderr.isatty():
        text = _card(record)
    else:
        text = render(record)
    with contextlib.suppress(BrokenPipeError):
        sys.stdout.flush()  # what was shown before the error stands before it
    sys.stderr.write(_clean(text) + "\n")


def _completed(error: SurefootError) -> dict[str, str]:
    if error.remedy:
        return error.record()
    # Only an error without a remedy of its own needs the table of codes.
    codes = importlib.import_module("surefoot.doors.codes")
    completed: dict[str, str] = codes.complete(error.record())
    return completed


def _card(record: dict[str, str]) -> str:
    rows = [("expected", record["expected"]), ("found", record["found"])]
    rows += [("do", record["remedy"]), ("code", record["code"])]
    lines = [f"\n  {record['subject']}: {record['kind']}"]
    lines += [f"    {name:<9} {value}" for name, value in rows if value]
    return "\n".join(lines) + f"\n    more: surefoot explain {record['code']}"


def _clean(text: str) -> str:
    """What a server or a file says cannot steer the terminal."""
    return "".join(c if c.isprintable() or c == "\n" else "\ufffd" for c in text)


def _show_fault(error: Exception) -> int:
    if os.environ.get("SUREFOOT_DEBUG"):
        raise error
    place = _place(error)
    sys.stderr.write(
        f"surefoot: a mistake of our own: {type(error).__name__} at {place}: {_clean(str(error))}\n"
        "please report it; SUREFOOT_DEBUG=1 shows all of it [cli.fault]\n"
    )
    return _FAULT_STATUS


def _place(error: Exception) -> str:
    step = error.__traceback__
    while step is not None and step.tb_next is not None:
        step = step.tb_next
    if step is None:
        return "an unknown place"
    return f"{os.path.basename(step.tb_frame.f_code.co_filename)}:{step.tb_lineno}"


if __name__ == "__main__":
    sys.exit(main())
