"""Commands on deployments that need a person's key or patience: approve, reject, sign, watch.

Keeps: a verdict is signed only over a plan whose bytes were fetched, whose digest was computed
here, and whose changes were shown; without a terminal, only `--yes` signs.
"""

from __future__ import annotations

import argparse
import base64
import json
import sys
from pathlib import Path
from typing import Any

from surefoot.core.errors import Corrupt, Refused
from surefoot.doors import words
from surefoot.doors.cli import asking, files, show, views_deployment
from surefoot.doors.cli.client import Client, client_for
from surefoot.doors.cli.progress import Progress, progress_for
from surefoot.trust import envelope
from surefoot.trust.digest import digest_of

_ENDED_WELL = ("succeeded",)
_NOT_WELL_STATUS = 4
_WAIT_SECONDS = 20


def approve(options: argparse.Namespace) -> None:
    """Sign that the plan may be carried out."""
    _judge(options, "approve")


def reject(options: argparse.Namespace) -> None:
    """Sign that it may not."""
    _judge(options, "reject")


def _judge(options: argparse.Namespace, verdict: str) -> None:
    client = client_for(options)
    signer = client.signer
    payload, plan = _payload(client, options.number, verdict)
    if options.output != "json":
        _show(client, options.number, plan)
    _confirm(options, verdict)
    sealed = envelope.seal(words.APPROVAL_TYPE, payload, [signer])
    body = {"number": options.number, "envelope": base64.b64encode(sealed).decode()}
    if options.reason:
        body["reason"] = options.reason
    answer = client.ask(options.command.method, options.command.path, body)
    if options.output == "json":
        show.as_json(answer)
    else:
        _answered(options.number, verdict, answer)


def _answered(number: int, verdict: str, answer: dict[str, Any]) -> None:
    """What the verdict came to, and what follows."""
    if verdict == "reject":
        show.line(f"deployment {number}: {answer.get('status')}")
        return
    given, missing = show.clean(answer.get("approvals")), answer.get("missing", 0)
    if missing:
        show.line(f"approved by {given}; {missing} more needed")
    else:
        show.line(f"approved by {given}; follow it: surefoot deployment watch {number}")


def _payload(client: Client, number: int, verdict: str) -> tuple[bytes, dict[str, Any]]:
    """What is signed, and the plan it binds to, from bytes whose digest is computed here."""
    answer = client.ask("GET", "/deployments/{number}/plan", {"number": number})
    content = base64.b64decode(answer["plan"])
    digest = digest_of(content)
    plan: dict[str, Any] = json.loads(content)
    if digest != answer["digest"] or plan.get("deployment") != number:
        raise Corrupt(
            "deployment.plan.differs",
            f"deployment {number}",
            expected=str(answer["digest"]),
            found=digest,
            remedy="sign nothing; tell the operator of the server",
        )
    return words.approval_bytes(number, plan["environment"], digest, verdict), plan


def _show(client: Client, number: int, plan: dict[str, Any]) -> None:
    """What is shown comes from the bytes that are signed, not from another answer."""
    show.heading(f"deployment {number}: {plan['environment']} to {plan.get('release_version')}")
    views_deployment.changes(plan)
    why = plan.get("keep_service_why", "")
    views_deployment.verdict({**plan, "on_device_failure": {"why": why}})
    show.line()


def _confirm(options: argparse.Namespace, verdict: str) -> None:
    if options.yes:
        return
    if not sys.stdin.isatty():
        raise Refused(
            "deployment.confirm.input",
            f"deployment {options.number}",
            expected="a terminal to ask on, or --yes",
            found="neither",
            remedy="look at the plan, then add --yes",
        )
    typed = input(f"sign: {verdict} deployment {options.number}? type its number to sign: ")
    if typed.strip() != str(options.number):
        raise Refused(
            "deployment.confirm.input",
            f"deployment {options.number}",
            expected=str(options.number),
            found=typed[:40] or "nothing",
            remedy="nothing was signed",
        )


def sign(options: argparse.Namespace) -> None:
    """Print how ssh-keygen signs the verdict; or post the signature it made."""
    client = client_for(options)
    payload, _ = _payload(client, options.number, options.verdict)
    if options.signature:
        body = {
            "number": options.number,
            "signature": files.read(Path(options.signature)).decode("ascii", "replace"),
            "verdict": options.verdict,
        }
        asking.emit(options, client.ask(options.command.method, options.command.path, body))
        return
    message = envelope.pae(words.APPROVAL_TYPE, payload).decode()
    file = f"deployment-{options.number}"
    answer = {
        "message": message,
        "command": f"printf %s {_quoted(message)} > {file} && "
        f"ssh-keygen -Y sign -n {envelope.NAMESPACE} -f YOUR_KEY {file}",
        "signature_file": f"{file}.sig",
    }
    if options.output == "json":
        show.as_json(answer)
        return
    show.line(answer["command"])
    posting = f"{options.number} --verdict {options.verdict} --signature {file}.sig"
    show.line(f"then paste {file}.sig into the page, or: surefoot deployment sign {posting}")


def _quoted(text: str) -> str:
    return "'" + text.replace("'", "'\\''") + "'"


def watch(options: argparse.Namespace) -> int:
    """Follow until it ends: exit status 0 when it succeeded, 4 when it ended otherwise."""
    client = client_for(options)
    progress = progress_for(options.output, f"deployment {options.number}")
    try:
        answer = _follow(client, options, progress)
    finally:
        progress.end()
    if options.output == "json":
        show.as_json(answer)
    else:
        show.fields([("status", answer["status"]), ("cause", answer.get("cause"))])
    ended_otherwise = answer.get("ended_at") and answer["status"] not in (
        *_ENDED_WELL,
        options.until,
    )
    return _NOT_WELL_STATUS if ended_otherwise else 0


def _follow(client: Client, options: argparse.Namespace, progress: Progress) -> dict[str, Any]:
    known: dict[str, str] = {}
    while True:
        size = int(client.ask("GET", "/installation", {}, public=True)["size"])
        answer = client.ask("GET", "/deployments/{number}", {"number": options.number})
        _tell(answer, known, progress)
        reached = (answer["status"], answer.get("waiting_for"))
        if answer.get("ended_at") or (options.until and options.until in reached):
            return answer
        client.ask("GET", "/journal/wait", {"size": size, "seconds": _WAIT_SECONDS})


def _tell(answer: dict[str, Any], known: dict[str, str], progress: Progress) -> None:
    waiting = answer.get("waiting_for") or ""
    now = {"": f"{answer['status']}{': waiting for ' + waiting if waiting else ''}"}
    now |= {step["id"]: str(step["status"]) for step in answer.get("steps", [])}
    summaries = {
        step["id"]: step.get("cause") or step.get("summary", "") for step in answer.get("steps", [])
    }
    for name, status in now.items():
        fresh = name not in known and name and status == "pending"
        if known.get(name) != status and not fresh:
            progress.step(f"{name}: {status}  {summaries[name]}" if name else status)
    known.clear()
    known.update(now)
    steps = answer.get("steps", [])
    progress.at(sum(step["status"] == "done" for step in steps), len(steps))
