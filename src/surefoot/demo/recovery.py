"""The acts about trouble: drift, a killed control plane, a destroyed environment, a copy."""

from __future__ import annotations

import json
import random
import resource
import signal
import time
from pathlib import Path

from surefoot.demo import acts
from surefoot.demo.moment import now
from surefoot.demo.stage import Answer, Stage, Unexpected, processes, short_digests

KILL_PLACES = ("append:committed", "claim:before", "claim:after", "record:before", "record:after")


def drift(stage: Stage) -> Answer:
    """A configuration file and a running process are changed by hand in production."""
    folder = stage.data / "targets" / "production" / "process" / "api"
    found = stage.run("olga", "drift", "check", "production")
    if found["differences"]:
        raise Unexpected(f"drift before anything was changed: {found['differences']}")
    configuration = live_configuration(stage)
    values = json.loads(configuration.read_text())
    values["greeting"] = "good evening"
    configuration.write_text(json.dumps(values))
    pid = service_pid(stage, str(folder))
    resource.prlimit(pid, resource.RLIMIT_NOFILE, (256, 256))
    found = stage.run("olga", "drift", "check", "production")
    for difference in found["differences"]:
        stage.voice.caught(
            f"drift at {difference['path']}: expected {short_digests(difference['expected'])}, "
            f"found {short_digests(difference['found'])}"
        )
    paths = " ".join(d["path"] for d in found["differences"])
    if "greeting" not in paths or "open_files" not in paths:
        raise Unexpected(f"drift was not found whole: {paths}")
    plan = acts.request(stage, "production", "--purpose", "revert-drift")
    acts.approve(stage, plan["deployment"], "bob", "cyn")
    acts.finish(stage, plan["deployment"])
    after = stage.run("olga", "drift", "check", "production")
    if after["differences"]:
        raise Unexpected(f"drift after the revert: {after['differences']}")
    return {"drift": len(found["differences"]), "reverted": True}


def live_configuration(stage: Stage) -> Path:
    """The configuration file of production's live generation."""
    folder = stage.data / "targets" / "production" / "process" / "api" / "generations"
    return max(folder.glob("*/configuration.json"), key=lambda path: path.stat().st_mtime)


def service_pid(stage: Stage, folder: str) -> int:
    """The id of the service's process below a folder, by its command line."""
    for pid, words in processes():
        if folder in words and "thermostat" in words and "keeper" not in words:
            return pid
    raise Unexpected("production's service is not running")


def adopt(stage: Stage, version: str) -> None:
    """What somebody changed by hand comes back through a release: signed, reviewed, the same
    everywhere."""
    stage.overlay(version)
    definition = stage.repository / "surefoot.yaml"
    text = definition.read_text()
    if 'greeting: "hello"' not in text:
        raise Unexpected("the definition has no greeting to change")
    definition.write_text(text.replace('greeting: "hello"', 'greeting: "good evening"'))
    stage.git("ann", "add", "--all")
    stage.git("ann", "commit", "--quiet", "--message", f"Thermostat {version}, a new greeting")


def kill(stage: Stage, environment: str, version: str, seed: int) -> Answer:
    """The control plane dies by SIGKILL in the middle of a deployment and is started again."""
    chosen = random.Random(seed)  # noqa: S311 -- repeatable on purpose
    place, count = chosen.choice(KILL_PLACES), chosen.randint(2, 6)
    stage.voice.say(f"the control plane will die at {place}, time {count} (seed {seed})")
    stage.stop("server")
    stage.start_server(SUREFOOT_KILL_AT=f"{place}#{count}")
    request = stage.start("olga", "deployment", "request", environment, version)
    stage.wait("the kill", lambda: not stage.is_running("server"), 180)
    status = stage.stop("server")
    if status != -signal.SIGKILL:
        raise Unexpected(f"the server ended with {status}, not by SIGKILL")
    stage.voice.caught("killed; started again, and the deployment goes on")
    stage.start_server()
    number = _number_of(stage, environment, version)
    if not number:
        if request.returncode == 0:
            raise Unexpected("a deployment that was confirmed is gone")
        number = int(acts.request(stage, environment, version)["deployment"])
    ended = acts.finish(stage, number)
    twice = [s["id"] for s in ended["steps"] if s["claims"] > 2]
    if twice:
        raise Unexpected(f"claimed more than the take-over explains: {twice}")
    return {"killed_at": f"{place}#{count}", "seed": seed, "deployment": number}


def _number_of(stage: Stage, environment: str, version: str) -> int:
    listed = stage.run("olga", "deployment", "list", "--environment", environment)
    for row in listed["deployments"]:
        if row["release_version"] == version and row["purpose"] == "deploy":
            return int(row["number"])
    return 0


def rebuild(stage: Stage) -> Answer:
    """Staging is destroyed and made again from the record and the verified backup."""
    before = now()
    time.sleep(0.01)
    gone = stage.run("olga", "environment", "destroy", "staging")
    acts.finish(stage, gone["deployment"])
    left = list((stage.data / "targets" / "staging" / "data").glob("*.sqlite"))
    if left or acts.service_url(stage, "staging"):
        raise Unexpected(f"something of staging is left: {left}")
    stage.voice.say("staging is gone: directories, processes, database")
    made = stage.run("olga", "environment", "rebuild", "staging")
    acts.finish(stage, made["deployment"])
    found = stage.run("olga", "environment", "diff", f"staging@{before}", "staging")
    if found["differences"]:
        raise Unexpected(f"staging differs from before: {found['differences']}")
    stage.voice.good("staging rebuilt: no difference from before")
    return {"differences": 0}


def clone(stage: Stage) -> Answer:
    """Production is copied to a second region, with the declared columns masked."""
    plan = stage.run(
        "olga", "environment", "clone", "production", "production-eu", "--data", "masked"
    )
    acts.approve(stage, plan["deployment"], "bob", "cyn")
    acts.finish(stage, plan["deployment"])
    found = stage.run("olga", "environment", "diff", "production", "production-eu")
    allowed = ("devices", "firmware/", "components/firmware/", "secrets/")
    odd = [d for d in found["differences"] if not d["path"].startswith(allowed)]
    for difference in found["differences"]:
        stage.voice.say(
            f"differs: {difference['path']}: {short_digests(difference['left'])} / "
            f"{short_digests(difference['right'])}"
        )
    if odd:
        raise Unexpected(f"the copy differs in what must be the same: {odd}")
    return {"differences": len(found["differences"])}
