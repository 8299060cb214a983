"""Commands on plans and deployments."""

from __future__ import annotations

from surefoot.doors.cli.commands_words import AT, BEFORE, LIMIT, NUMBER, REASON, command, question
from surefoot.doors.cli.tree import Command, Word

_PLAN = (
    Word("environment", "name of the environment"),
    Word(
        "release",
        "version; not needed when the purpose names it, like backup or rollback",
        optional=True,
    ),
    Word(
        "--purpose",
        "what for",
        default="deploy",
        choices=("deploy", "rollback", "rebuild", "clone", "revert-drift", "destroy", "backup"),
    ),
    Word("--data", "for clones: none, masked or full", choices=("none", "masked", "full")),
)

_STEP = Word("step", "the step, as deployment show names it")

DEPLOYMENTS = (
    command(
        "deployment plan",
        "what would change, and can it be undone; records nothing",
        "/deployments/plans",
        *_PLAN,
        view="plan",
    ),
    command(
        "deployment request",
        "ask for a plan to be carried out",
        "/deployments",
        *_PLAN,
        Word("--digest", "refuse when the plan made now is not this one"),
        view="requested",
    ),
    question(
        "deployment list",
        "deployments, newest first",
        "/deployments",
        Word("--environment", "only of this environment"),
        BEFORE,
        LIMIT,
        AT,
        view="deployments",
    ),
    question(
        "deployment show",
        "plan, steps, approvals, and what it waits for",
        "/deployments/{number}",
        NUMBER,
        AT,
        view="deployment",
    ),
    question(
        "deployment evidence",
        "what the gate of a step saw, and what follows from it",
        "/deployments/{number}/evidence/{step}",
        NUMBER,
        _STEP,
        view="evidence",
    ),
    question(
        "deployment report",
        "the report that the gate of a step kept",
        "/deployments/{number}/evidence/{step}/{form}",
        NUMBER,
        _STEP,
        Word("form", "json, or page for one of HTML"),
        view="content",
    ),
    Command(
        "deployment watch",
        "follow a deployment until it ends; the exit status says how",
        (NUMBER, Word("--until", "stop here as well: a status, or what it waits for")),
        "deployment:watch",
        "GET",
        "/deployments/{number}",
    ),
    Command(
        "deployment approve",
        "look at the plan, and sign that it may be carried out",
        (NUMBER, Word("--yes", "do not ask", flag=True), REASON),
        "deployment:approve",
        "POST",
        "/deployments/{number}/approvals",
    ),
    Command(
        "deployment reject",
        "sign that the plan may not be carried out",
        (NUMBER, Word("--yes", "do not ask", flag=True), REASON),
        "deployment:reject",
        "POST",
        "/deployments/{number}/approvals",
    ),
    Command(
        "deployment sign",
        "print the command by which ssh-keygen signs a verdict, for the web page or --signature",
        (
            NUMBER,
            Word("--verdict", "what is signed", default="approve", choices=("approve", "reject")),
            Word("--signature", "post this signature made with it", shown_as="FILE"),
        ),
        "deployment:sign",
        "POST",
        "/deployments/{number}/approvals",
    ),
    question(
        "deployment plan-bytes",
        "the exact bytes that approvals bind to",
        "/deployments/{number}/plan",
        NUMBER,
    ),
    *(
        command(f"deployment {verb}", help, f"/deployments/{{number}}/{verb}", NUMBER, REASON)
        for verb, help in (
            ("pause", "start no further step"),
            ("resume", "go on"),
            ("stop", "end one that has begun; devices and services go back where they can"),
            ("cancel", "give one up that has not begun"),
            ("review", "review a deployment made in small-team mode"),
        )
    ),
    command(
        "deployment rollback",
        "ask for the return to the release before",
        "/deployments/{number}/rollback",
        NUMBER,
        view="requested",
    ),
)
