"""The acts of the demonstration, first half: installation, releases, approvals, devices."""

from __future__ import annotations

import json
import secrets
import shutil
import sys
from collections import Counter

from surefoot.demo.stage import Answer, Stage, Unexpected, short_digests

PEOPLE = {
    "ann": ("developer", "approver"),
    "bob": ("approver",),
    "cyn": ("approver",),
    "olga": ("operator",),
}
_KINDS = {"infrastructure": "infrastructure value"}
DEVICES = {"dev": 2, "staging": 4, "production": 50}


def install(stage: Stage) -> Answer:
    """Two founders, an installation, two more people, their roles, the rules, the secrets."""
    for who in PEOPLE:
        stage.run("", "key", "generate", str(stage.keys / who), "--comment", who)
    shutil.copytree(
        stage.product,
        stage.repository,
        ignore=shutil.ignore_patterns("__pycache__", "releases", "check", "device"),
    )
    stage.git("ann", "init", "--quiet", "--initial-branch", "main", ".")
    stage.git("ann", "add", "--all")
    stage.git("ann", "commit", "--quiet", "--message", "Thermostat 1.0.0")
    founders = [
        word
        for who in ("ann", "bob")
        for word in ("--founder", f"{who}={stage.keys / who}.pub,{who}@example.test")
    ]
    made = stage.run(
        "", "init", str(stage.data), *founders, "--repository", str(stage.repository),
        "--product", "thermostat", "--installation", "demo",
    )  # fmt: skip
    (stage.folder / "pinned.vkey").write_text(str(made["log_key"]) + "\n")
    stage.start_server()
    for who in ("cyn", "olga"):
        request = stage.folder / f"{who}.request.json"
        address = ("--identity", f"{who}@example.test")
        stage.run(who, "person", "request", who, *address, "--request", str(request))
        stage.run("ann", "person", "enrol", "--request", str(request))
    stage.run("bob", "definition", "accept", "HEAD")
    for who, roles in PEOPLE.items():
        granter = "ann" if who == "bob" else "bob"
        for role in roles:
            stage.run(granter, "person", "grant", who, role)
    for environment in DEVICES:
        give_secret(stage, environment)
    return {"people": len(PEOPLE), "log_key": made["log_key"]}


def give_secret(stage: Stage, environment: str) -> None:
    """A fresh session key for an environment, from standard input, never on a command line."""
    stage.run(
        "olga", "secret", "set", environment, "session_key", "--from-file", "-",
        stdin=secrets.token_hex(24),
    )  # fmt: skip


def cut(stage: Stage, version: str, commit: str = "HEAD") -> Answer:
    """Build, gate, sign and register a release."""
    stage.follow("olga", "release", "create", version, "--commit", commit)
    answer = stage.run("olga", "release", "show", version)
    stage.voice.good(f"release {version} {answer['digest'][7:19]}: built, gates passed, signed")
    return answer


def commit_release(stage: Stage, version: str) -> None:
    """The next release's files, committed and signed by ann."""
    stage.overlay(version)
    stage.git("ann", "add", "--all")
    stage.git("ann", "commit", "--quiet", "--message", f"Thermostat {version}")


def request(stage: Stage, environment: str, *words: str, who: str = "olga") -> Answer:
    """Ask for a deployment; returns the plan as shown."""
    plan = stage.run(who, "deployment", "request", environment, *words)
    stage.voice.say(f"plan {plan['deployment']} for {environment}: {_changes(plan)}")
    verdict = plan["verdict"]
    if verdict["reversible"]:
        stage.voice.note("can be undone at every step")
    elif verdict["last_reversible_step"]:
        stage.voice.note(f"can be undone up to {verdict['last_reversible_step']}; then not,")
        stage.voice.note(f"because {verdict['why']}")
    else:
        stage.voice.note(f"cannot be undone: {verdict['why']}")
    return plan


def _changes(plan: Answer) -> str:
    """Components by name, and how many of everything else."""
    changed = [c for c in plan["changes"] if c["sign"] != "="]
    named = [f"{c['sign']} {c['subject']}" for c in changed if " " not in c["subject"]]
    rest = Counter(c["subject"].split()[0] for c in changed if " " in c["subject"])
    counted = [f"{n} {_KINDS.get(kind, kind)}{'s' if n > 1 else ''}" for kind, n in rest.items()]
    return ", ".join([*named, *counted]) or "nothing"


def approve(stage: Stage, number: int, *people: str) -> None:
    """People sign the plan with their own keys."""
    for who in people:
        stage.run(who, "deployment", "approve", str(number), "--yes")
    stage.voice.good(f"approved by {' and '.join(people)}, each with their own key")


def finish(stage: Stage, number: int, *expected: str) -> Answer:
    """Follow a deployment to its end, which must be one of the expected.

    Each step of production is told; of the others only what was not done.
    """
    seen: set[str] = set()

    def ended() -> Answer | None:
        shown = stage.run("olga", "deployment", "show", str(number))
        for step in shown["steps"]:
            _tell_step(stage, step, seen, whole=shown["environment"] == "production")
        done = sum(step["status"] == "done" for step in shown["steps"])
        at = next((s["id"] for s in shown["steps"] if s["status"] not in ("done", "failed")), "")
        stage.voice.passing(f"{shown['environment']}: {done} of {len(shown['steps'])} steps, {at}")
        return shown if shown["ended_at"] else None

    shown: Answer = stage.wait(f"deployment {number}", ended, 120)
    if shown["status"] not in (expected or ("succeeded",)):
        raise Unexpected(f"deployment {number} ended {shown['status']}: {shown['cause']}")
    done = sum(step["status"] == "done" for step in shown["steps"])
    tell = stage.voice.good if shown["status"] == "succeeded" else stage.voice.caught
    where = f"deployment {number} of {shown['environment']}"
    tell(f"{where}: {shown['status']}, {done} of {len(shown['steps'])} steps done")
    return shown


def _tell_step(stage: Stage, step: Answer, seen: set[str], *, whole: bool) -> None:
    mark = "undone" if step["undo"] == "done" else step["status"]
    key = f"{step['id']}:{mark}"
    if mark not in ("done", "failed", "undone") or key in seen:
        return
    seen.add(key)
    if whole or mark != "done":
        name, cause = step["id"].partition("-")[2], short_digests(step["cause"])[:200]
        stage.voice.step(mark, name, cause.removeprefix(f"{name}: "))


def deploy(
    stage: Stage, environment: str, version: str, approvers: tuple[str, ...] = (), *expected: str
) -> Answer:
    """Request, approve where needed, follow to the end."""
    plan = request(stage, environment, version)
    if approvers:
        approve(stage, plan["deployment"], *approvers)
    if environment not in stage.fleets:
        start_fleet(stage, environment, plan["deployment"])
    return finish(stage, plan["deployment"], *expected)


def service_url(stage: Stage, environment: str) -> str:
    """The public address of an environment's service, empty before it listens."""
    shown = stage.run("olga", "environment", "show", environment)
    found = shown.get("addresses", {}).get("api", "")
    return f"http://{found}" if found else ""


def enrol_devices(stage: Stage) -> Answer:
    """Devices with tokens of their own; the server keeps hashes."""
    for environment, count in DEVICES.items():
        devices = [
            {
                "id": f"{environment}-{number:03d}",
                "hardware": "thermostat-v1",
                "token": secrets.token_hex(16),
            }
            for number in range(1, count + 1)
        ]
        file = stage.folder / f"devices-{environment}.json"
        file.touch(mode=0o600)
        file.write_text(json.dumps(devices))
        stage.run("olga", "device", "enrol", environment, "--devices", str(file))
    return {"devices": sum(DEVICES.values())}


def start_fleet(stage: Stage, environment: str, deployment: int) -> None:
    """Start the environment's devices as soon as its service has an address; none where the
    deployment ends before."""

    def answers_or_ended() -> str:
        ended = stage.run("olga", "deployment", "show", str(deployment))["ended_at"]
        return service_url(stage, environment) or ("-" if ended else "")

    url = stage.wait("the service's address", answers_or_ended, 180)
    if url == "-":
        return
    stage.fleets[environment] = url
    stage.spawn(
        f"devices-{environment}",
        (
            sys.executable, str(stage.product / "device" / "thermostat_device.py"),
            "--server", stage.devices_address, "--tenant", environment, "--service", url,
            "--folder", str(stage.folder / f"fleet-{environment}"),
            "--registry", str(stage.folder / f"devices-{environment}.json"),
            "--poll-seconds", "1",
        ),
    )  # fmt: skip


def start_clients(stage: Stage, environment: str) -> None:
    """Clients that call without pause, on kept and on fresh connections."""
    stage.spawn(
        "clients",
        (
            sys.executable, str(stage.product / "check" / "clients.py"),
            "--service", service_url(stage, environment), "--folder", str(stage.folder / "clients"),
            "--kept", "4", "--fresh", "4", "--rate", "8",
        ),
    )  # fmt: skip
