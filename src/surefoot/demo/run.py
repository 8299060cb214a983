"""The play: all acts in order, what happened as a table, and the address of the pages.

Exit status 0 when everything came out as promised, 1 when something did not.
"""

from __future__ import annotations

import os
import signal
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

from surefoot.demo import acts, proof, recovery, refusals
from surefoot.demo.moment import now
from surefoot.demo.stage import Answer, Stage, Unexpected

SEED = 20_261_121
_APPROVERS = ("bob", "cyn")


class Play:
    """Runs acts, times them, and keeps what each came to."""

    def __init__(self, stage: Stage, say: Callable[[str], None]) -> None:
        self.stage = stage
        self.say = say
        self.rows: list[tuple[str, str, float]] = []
        self._begun = time.monotonic()

    def act(self, title: str, do: Callable[[], Answer]) -> Answer:
        """One act, under its title."""
        elapsed = time.monotonic() - self._begun
        self.say(f"\n[{elapsed:5.1f} s] {len(self.rows) + 1}. {title}")
        begun = time.monotonic()
        answer = do()
        shown = ", ".join(f"{k.replace('_', ' ')} {v}" for k, v in answer.items())
        self.rows.append((title, shown[:160], time.monotonic() - begun))
        return answer


def main(product: Path, *, stay: bool, seed: int = SEED, keep: Path | None = None) -> int:
    """Perform the demonstration of a product's folder. Returns the exit status."""
    folder = keep or Path(tempfile.mkdtemp(prefix="surefoot-demo-"))
    stage = Stage(folder, product, _say)
    play = Play(stage, _say)
    try:
        _first_half(play)
        _second_half(play, seed)
        _show(play)
        if stay:
            _stay(stage)
        return 0
    except Unexpected as unexpected:
        _say(f"\nnot as promised: {unexpected}")
        _say(f"logs: {stage.logs}\n{stage.tail('server')}")
        return 1
    finally:
        stage.close()
        if keep is None and sys.exc_info()[0] is None:
            stage.remove()


def _say(line: str) -> None:
    print(line, flush=True)


def _first_half(play: Play) -> None:
    stage = play.stage
    play.act("an installation with two founders, and devices", lambda: _install(stage))
    play.act("release 1.0.0: built once, and once more to compare", lambda: _first(stage))
    play.act("1.0.0 to dev, staging and production", lambda: _to_production(stage, "1.0.0"))
    stage.moment = now()
    time.sleep(0.01)
    acts.start_clients(stage, "production")
    play.act("release 1.1.0 under load: expand, new API, waves, contract", lambda: _next(stage))
    play.act("release 1.2.0: firmware that fails its own health check", lambda: _stopped(stage))
    play.act("the rollback verdict, executed", lambda: proof.verdict_true(stage))


def _install(stage: Stage) -> Answer:
    return {**acts.install(stage), **acts.enrol_devices(stage)}


def _first(stage: Stage) -> Answer:
    cut = acts.cut(stage, "1.0.0")
    stage.follow("olga", "release", "rebuild", "1.0.0")
    stage.say("built again from the same commit: identical, byte by byte")
    return {"digest": cut["digest"][7:19], "rebuilt": "identical"}


def _to_production(stage: Stage, version: str) -> Answer:
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
    figures = shown.get("figures", {})
    return {"deployment": number, **{k: figures[k] for k in figures if k != "verdict"}}


def _next(stage: Stage) -> Answer:
    acts.commit_release(stage, "1.1.0")
    acts.cut(stage, "1.1.0")
    return _to_production(stage, "1.1.0")


def _stopped(stage: Stage) -> Answer:
    acts.commit_release(stage, "1.2.0")
    acts.cut(stage, "1.2.0")
    acts.deploy(stage, "dev", "1.2.0")
    acts.deploy(stage, "staging", "1.2.0")
    shown = acts.deploy(stage, "production", "1.2.0", _APPROVERS, "stopped")
    state = stage.run("olga", "environment", "show", "production")
    stage.say(f"  production: service {state['components']['api']['version']}, "
              f"firmware {state['components']['firmware']['version']}")  # fmt: skip
    return {"status": shown["status"], "cause": shown["cause"][:120]}


def _second_half(play: Play, seed: int) -> None:
    stage = play.stage
    play.act("what is refused, and why", lambda: _refused(stage))
    play.act("drift: found, shown, reverted", lambda: recovery.drift(stage))
    play.act("SIGKILL in the middle, and the rest of it", lambda: _killed(stage, seed))
    play.act("release 1.2.1, with the value that was changed by hand", lambda: _adopted(stage))
    stage.stop("clients")
    play.act("staging destroyed and rebuilt", lambda: recovery.rebuild(stage))
    play.act("production cloned to another region", lambda: recovery.clone(stage))
    play.act("questions about any moment", lambda: proof.questions(stage, stage.moment))
    play.act("the administrator as attacker", lambda: proof.attack(stage))
    play.act("a stranger verifies the export", lambda: proof.export(stage))
    play.act("the books, by an outside checker", lambda: proof.books(stage))


def _refused(stage: Stage) -> Answer:
    done = [
        refusals.moved_plan(stage, "1.1.0"),
        refusals.changed_artifact(stage, "1.2.0"),
        refusals.secret_in_history(stage),
        refusals.unsigned_commit(stage),
        refusals.frozen(stage, "1.1.0"),
        refusals.bad_migration(stage),
    ]
    return {"refused": len(done) + 1}


def _killed(stage: Stage, seed: int) -> Answer:
    recovery.adopt(stage, "1.2.1")
    acts.cut(stage, "1.2.1")
    return recovery.kill(stage, "dev", "1.2.1", seed)


def _adopted(stage: Stage) -> Answer:
    acts.deploy(stage, "staging", "1.2.1")
    acts.deploy(stage, "production", "1.2.1", _APPROVERS)
    found = stage.run("olga", "drift", "check", "production")
    return {"drift": len(found["differences"])}


def _show(play: Play) -> None:
    total = sum(row[2] for row in play.rows)
    if sys.stdout.isatty():
        from rich.console import Console  # noqa: PLC0415
        from rich.table import Table  # noqa: PLC0415

        table = Table(title=f"What happened, in {total:.0f} seconds", show_lines=False)
        for name in ("", "act", "came to", "seconds"):
            table.add_column(name, justify="right" if name in ("", "seconds") else "left")
        for number, (title, came, seconds) in enumerate(play.rows, 1):
            table.add_row(str(number), title, came, f"{seconds:.1f}")
        Console().print(table)
        return
    _say(f"\nwhat happened, in {total:.0f} seconds")
    for number, (title, came, seconds) in enumerate(play.rows, 1):
        _say(f"{number:2}. {title:60} {seconds:6.1f} s  {came}")


def _stay(stage: Stage) -> None:
    """Keep everything up until Ctrl-C; the pages open by a one-time link."""
    link = stage.run("olga", "login")
    _say(f"\nthe pages: {link.get('link', stage.address)}")
    _say("press Ctrl-C to end it all")
    try:
        signal.pause()
    except KeyboardInterrupt:
        _say(f"ending processes of {os.getpid()}")
