"""The play: all acts in order, what happened as a table, and the address of the pages.

Exit status 0 when everything came out as promised, 1 when something did not, 130 when interrupted.
"""

from __future__ import annotations

import contextlib
import os
import signal
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

from surefoot.demo import acts, proof, recovery, refusals
from surefoot.demo.moment import now
from surefoot.demo.stage import Stage, Unexpected, end_on_signals
from surefoot.demo.voice import Row, Voice, voice

SEED = 20_261_121
_APPROVERS = ("bob", "cyn")
_INTERRUPTED_STATUS = 130


class Play:
    """Runs acts, times them, and keeps what each came to."""

    def __init__(self, stage: Stage, speaker: Voice) -> None:
        self.stage = stage
        self.voice = speaker
        self.rows: list[Row] = []

    def act(self, title: str, do: Callable[[], str]) -> None:
        """One act under its title; `do` says in a few words what it came to."""
        self.voice.act(len(self.rows) + 1, title)
        self.voice.passing(title)
        begun = time.monotonic()
        came = do()
        self.rows.append((title, came, time.monotonic() - begun))


def main(product: Path, *, stay: bool, seed: int = SEED, keep: Path | None = None) -> int:
    """Perform the demonstration of a product's folder. Returns the exit status."""
    folder = keep or Path(tempfile.mkdtemp(prefix="surefoot-demo-"))
    speaker = voice()
    stage = Stage(folder, product, speaker)
    play = Play(stage, speaker)
    kept = keep is not None
    end_on_signals()
    try:
        _first_half(play)
        _second_half(play, seed)
        speaker.table(f"What happened, in {speaker.elapsed():.0f} seconds", play.rows)
        if stay:
            _stay(stage)
        return 0
    except Unexpected as unexpected:
        kept = True
        speaker.quiet()
        speaker.bad(f"not as promised: {unexpected}")
        speaker.note(f"what was made stays in {folder}, its logs in {stage.logs}")
        for line in stage.tail("server").splitlines():
            speaker.note(line)
        return 1
    except KeyboardInterrupt:
        return _INTERRUPTED_STATUS
    finally:
        signal.signal(signal.SIGINT, signal.SIG_IGN)  # one Ctrl-C more would leave processes behind
        speaker.passing("ending all processes of the demonstration")
        stage.close()
        speaker.quiet()
        if not kept:
            stage.remove()


def _first_half(play: Play) -> None:
    stage = play.stage
    play.act("An installation with two founders, and devices", lambda: _install(stage))
    play.act("Release 1.0.0: built once, and once more to compare", lambda: _first(stage))
    play.act("1.0.0 to dev, staging and production", lambda: _to_production(stage, "1.0.0"))
    stage.moment = now()
    time.sleep(0.01)
    acts.start_clients(stage, "production")
    play.act("Release 1.1.0 under load: expand, new API, waves, contract", lambda: _next(stage))
    play.act("Release 1.2.0: firmware that fails its own health check", lambda: _stopped(stage))
    play.act("The rollback verdict, executed", lambda: _back(stage))


def _install(stage: Stage) -> str:
    people = acts.install(stage)["people"]
    devices = acts.enrol_devices(stage)["devices"]
    stage.voice.good(f"{people} people with a key each, {devices} devices with a token each")
    return f"{people} people, {devices} devices"


def _first(stage: Stage) -> str:
    cut = acts.cut(stage, "1.0.0")
    stage.follow("olga", "release", "rebuild", "1.0.0")
    stage.voice.good("built again from the same commit: identical, byte by byte")
    return f"{cut['digest'][7:19]}, rebuilt identical"


def _to_production(stage: Stage, version: str) -> str:
    acts.deploy(stage, "dev", version)
    acts.deploy(stage, "staging", version)
    plan = acts.request(stage, "production", version)
    number = plan["deployment"]
    if version == "1.0.0":
        refusals.own_work(stage, number)
    acts.approve(stage, number, *_APPROVERS)
    if "production" not in stage.fleets:
        acts.start_fleet(stage, "production", number)
    shown = acts.finish(stage, number)
    return f"{version} in three environments, {len(shown['steps'])} steps in production"


def _next(stage: Stage) -> str:
    acts.commit_release(stage, "1.1.0")
    acts.cut(stage, "1.1.0")
    return _to_production(stage, "1.1.0")


def _stopped(stage: Stage) -> str:
    acts.commit_release(stage, "1.2.0")
    acts.cut(stage, "1.2.0")
    acts.deploy(stage, "dev", "1.2.0")
    acts.deploy(stage, "staging", "1.2.0")
    shown = acts.deploy(stage, "production", "1.2.0", _APPROVERS, "stopped")
    components = stage.run("olga", "environment", "show", "production")["components"]
    service, firmware = (components[name]["version"] for name in ("api", "firmware"))
    stage.voice.say(f"production now: service {service}, firmware {firmware}")
    return f"{shown['status']} at the first wave; firmware stays {firmware}"


def _back(stage: Stage) -> str:
    came = proof.verdict_true(stage)
    return f"{came['from']} undone, production runs {came['to']}"


def _second_half(play: Play, seed: int) -> None:
    stage = play.stage
    play.act("What is refused, and why", lambda: _refused(stage))
    play.act("Drift: found, shown, reverted", lambda: _drifted(stage))
    play.act("The server killed (SIGKILL) in the middle goes on", lambda: _killed(stage, seed))
    play.act("Release 1.2.1, with the value that was changed by hand", lambda: _adopted(stage))
    stage.stop("clients")
    play.act("Staging destroyed and rebuilt", lambda: _rebuilt(stage))
    play.act("Production cloned to another region", lambda: _cloned(stage))
    play.act("Questions about any moment", lambda: _asked(stage))
    play.act("The administrator as attacker", lambda: _attacked(stage))
    play.act("A stranger verifies the export", lambda: _exported(stage))
    play.act("The books, by an outside checker", lambda: _balanced(stage))


def _refused(stage: Stage) -> str:
    done = [
        refusals.moved_plan(stage, "1.1.0"),
        refusals.changed_artifact(stage, "1.2.0"),
        refusals.secret_in_history(stage),
        refusals.unsigned_commit(stage),
        refusals.frozen(stage, "1.1.0"),
        refusals.bad_migration(stage),
    ]
    return f"{len(done)} of {len(done)} refused"


def _drifted(stage: Stage) -> str:
    return f"{recovery.drift(stage)['drift']} differences found, none left"


def _killed(stage: Stage, seed: int) -> str:
    recovery.adopt(stage, "1.2.1")
    acts.cut(stage, "1.2.1")
    came = recovery.kill(stage, "dev", "1.2.1", seed)
    return f"killed at {came['killed_at']}; deployment {came['deployment']} went on to its end"


def _adopted(stage: Stage) -> str:
    acts.deploy(stage, "staging", "1.2.1")
    acts.deploy(stage, "production", "1.2.1", _APPROVERS)
    found = stage.run("olga", "drift", "check", "production")
    return f"in production, {len(found['differences'])} drift"


def _rebuilt(stage: Stage) -> str:
    return f"{recovery.rebuild(stage)['differences']} differences from before"


def _cloned(stage: Stage) -> str:
    return f"{recovery.clone(stage)['differences']} differences, all in devices and secrets"


def _asked(stage: Stage) -> str:
    came = proof.questions(stage, stage.moment)
    return f"it was {came['then']} then; {came['leaves']} leaves verified"


def _attacked(stage: Stage) -> str:
    proof.attack(stage)
    return "an edited row and a cut tail, both caught"


def _exported(stage: Stage) -> str:
    return f"{proof.export(stage)['size']} leaves, intact"


def _balanced(stage: Stage) -> str:
    proof.books(stage)
    return "everything balances"


def _stay(stage: Stage) -> None:
    """Keep everything up until Ctrl-C; a link opens the pages once, so Enter makes another."""
    voice = stage.voice
    voice.say("everything is up; look at it in a browser, or from another terminal:")
    voice.note(f"export SUREFOOT_SERVER={stage.address}")
    voice.note(f"export SUREFOOT_KEY={stage.keys / 'olga'}")
    voice.note(f"{os.path.relpath(Path(sys.executable).with_name('surefoot'))} environment list")
    with contextlib.suppress(KeyboardInterrupt):
        while True:
            link = stage.run("olga", "login")
            voice.link(str(link["link"]))
            voice.say(
                f"good once, for {link['seconds']} s; Enter: another link; Ctrl-C: end it all"
            )
            if not sys.stdin.readline():
                # Nobody can press Enter here: a signal ends it.
                signal.pause()
