"""The process target: services on this machine, each behind a keeper of its own.

Keeps: a step looks before it acts, so it may be repeated at any point; nothing is started, changed
or stopped outside `folder`; a secret's value goes from the opener to the keeper's memory and is
never written. New beside old: start, check, switch, drain; requests under way finish on the old.
Does not: decide what to do next, nor undo by itself.
"""

from __future__ import annotations

import contextlib
import json
import shutil
from collections.abc import Callable, Mapping
from pathlib import Path

from surefoot.core.errors import Failed, Refused
from surefoot.core.interlock import Interlock
from surefoot.core.target import (
    Blobs,
    Capabilities,
    Observation,
    Opener,
    Outcome,
    Plain,
    Step,
    Token,
)
from surefoot.store.durable import sync_folder
from surefoot.targets import process_look as looking
from surefoot.targets.keeper import control
from surefoot.targets.keeper.counts import Totals, read_totals
from surefoot.targets.keeper.keeper import live_of, read_state
from surefoot.targets.keeper.proc import end as end_process
from surefoot.targets.process_check import answers
from surefoot.targets.process_files import Place, prune
from surefoot.targets.process_keeper import (
    KEEPER_SECONDS,
    STOP_SECONDS,
    end_all,
    foreign_listener,
    is_kept,
    start_keeper,
)
from surefoot.targets.process_words import (
    TARGET,
    Check,
    Remove,
    Start,
    Stop,
    Switch,
    artifact_of,
    check_component,
    make_plan,
    read_arguments,
)
from surefoot.targets.words import Receipts
from surefoot.trust import canonical

CAPABILITIES = Capabilities(
    name=TARGET,
    actions=("start", "check", "switch", "drain", "stop", "revert", "restart", "remove"),
    can_roll_back=True,
    can_extract=True,
)


class ProcessTarget:
    """All services of one environment below one folder. See the contract in `core.target`."""

    def __init__(
        self,
        folder: Path,
        environment: str,
        blobs: Blobs,
        opener: Opener,
        now_ms: Callable[[], int],
        *,
        interlock: Interlock,
    ) -> None:
        self._folder = folder
        self._environment = environment
        self._blobs = blobs
        self._opener = opener
        self._now_ms = now_ms
        self._interlock = interlock
        self._receipts = Receipts(folder / "receipts.json")

    @property
    def capabilities(self) -> Capabilities:
        """Constant."""
        return CAPABILITIES

    def observe(self) -> Observation:
        """Look at every component's files, process and keeper, changing nothing."""
        stable: Plain = {}
        volatile: Plain = {"observed_at_ms": self._now_ms()}
        for name in looking.components(self._folder):
            kept, moving = looking.look(self._folder / name)
            stable |= kept
            volatile |= moving
        return Observation(target=TARGET, stable=stable, volatile=volatile)

    def plan(
        self, desired: Mapping[str, canonical.JSON], observed: Observation
    ) -> tuple[Step, ...]:
        """Steps from observed to desired; see `process_words.Service` for the shape."""
        return make_plan(desired, observed)

    def apply(self, step: Step, token: Token) -> Outcome:
        """Act, or answer from the receipt. See the contract."""
        self._interlock.check(step, token)
        act = self._act(step)
        with self._receipts.admit(step, token) as receipt:
            if receipt is not None:
                return receipt
            # A crash from here on leaves no receipt; every act begins by looking.
            return self._receipts.record(step, token, act())

    def availability(self, component: str, since_ms: int, until_ms: int) -> Totals:
        """Requests counted by the keeper in the seconds that begin in [since, until).

        `failed` are the keeper's own failures, `service` are 5xx answers of the service.
        """
        folder = self._folder / check_component(component)
        with contextlib.suppress(Failed):
            # No keeper, so nothing is waiting to be written either.
            control.ask(folder, {"do": "flush"})
        return read_totals(folder / "counts", since_ms, until_ms)

    def events(self) -> dict[str, list[tuple[int, str, str]]]:
        """What each component's keeper did on its own: (time in ms, event, generation), in order.

        Cheap: reads the end of a file, looks at nothing else.
        """
        return {
            name: [
                (int(str(e["at_ms"])), str(e["event"]), str(e.get("generation", "")))
                for e in looking.last_events(self._folder / name)
            ]
            for name in looking.components(self._folder)
        }

    def address(self, component: str) -> str:
        """The public address `host:port` of a component, empty before its first start."""
        state = read_state(self._folder / check_component(component))
        return state.address if state is not None else ""

    def pids(self, component: str) -> tuple[int, ...]:
        """The processes that serve a component now: its keeper, and the live generation's."""
        folder = self._folder / check_component(component)
        state, live = read_state(folder), live_of(folder)
        record = looking.read_record(Place(folder, live).folder) if live else None
        known = (state.identity if state else None, record.identity if record else None)
        return tuple(one.pid for one in known if one is not None)

    # -- steps -------------------------------------------------------------------------------

    def _act(self, step: Step) -> Callable[[], Outcome]:
        """The act with its arguments read: what is malformed is refused before any change."""
        if step.action == "remove":
            read_arguments(step, Remove)
            return lambda: self._remove(step.component)
        folder = self._folder / check_component(step.component)
        if step.action in ("start", "restart"):
            start = read_arguments(step, Start)
            act = self._start if step.action == "start" else self._restart
            return lambda: act(folder, start)
        if step.action == "check":
            check = read_arguments(step, Check)
            return lambda: answers(folder, check)
        if step.action in ("switch", "revert"):
            switch = read_arguments(step, Switch)
            turn = self._switch if step.action == "switch" else self._revert
            return lambda: turn(folder, switch)
        if step.action in ("drain", "stop"):
            stop = _read_stop(step)
            return lambda: self._drain(folder, stop)
        raise Refused(
            "target.action.input",
            f"step {step.id}",
            expected=", ".join(CAPABILITIES.actions),
            found=step.action[:80],
            remedy="make a new plan",
        )

    def _start(self, folder: Path, start: Start) -> Outcome:
        place = Place(folder, start.generation)
        made = place.read()
        if made is not None and made != start:
            raise Refused(
                "target.generation.moved",
                f"generation {start.generation} of {folder.name}",
                expected="the arguments it was made from",
                found="others",
                remedy="make a new plan: a generation's name stands for its content",
            )
        archive = Path(self._blobs.path(artifact_of(start)))
        secrets = self._open(start)
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        sync_folder(self._folder)
        place.make(start, archive)
        self._keeper(folder, start.listener)
        return self._run(folder, start, secrets)

    def _run(self, folder: Path, start: Start, secrets: str) -> Outcome:
        spec = {
            "generation": start.generation,
            "command": list(start.command),
            "listen": start.listen,
            "memory_mib": start.memory_mib,
            "open_files": start.open_files,
            "secret_names": sorted(start.secrets),
        }
        try:
            answer = control.ask(
                folder, {"do": "start", "spec": spec, "secrets": secrets}, KEEPER_SECONDS
            )
        except Failed as failed:
            if failed.code != "target.command.failed":
                raise
            return Outcome(status="failed", reason=str(failed))
        return Outcome(status="done", figures={"pid": int(answer["pid"])})

    def _open(self, start: Start) -> str:
        """The secrets as JSON text: opened here, held by the keeper, written nowhere."""
        values: dict[str, str] = {}
        for name, version in start.secrets.items():
            try:
                values[name] = self._opener.open(self._environment, name, version).decode()
            except UnicodeDecodeError:
                raise Refused(
                    "target.secret.input",
                    f"secret {name}",
                    expected="text in UTF-8",
                    found="other bytes",
                    remedy="store it base64-encoded and decode it in the service",
                ) from None
        return json.dumps(values)

    def _switch(self, folder: Path, switch: Switch) -> Outcome:
        self._keeper_again(folder)
        answer = control.ask(folder, {"do": "switch", "generation": switch.generation})
        return Outcome(status="done", figures={"previous": str(answer["previous"])})

    def _drain(self, folder: Path, stop: Stop) -> Outcome:
        place = Place(folder, stop.generation)
        if not place.folder.exists():
            return Outcome(status="done", reason="it is not there any more")
        if live_of(folder) == stop.generation:
            raise Refused(
                "target.generation.live",
                f"generation {stop.generation} of {folder.name}",
                expected="a generation that is not live",
                found="the live one",
                remedy="switch or revert first",
            )
        self._keeper_again(folder)
        foreign = foreign_listener(place)
        answer = control.ask(
            folder,
            {
                "do": "drain",
                "generation": stop.generation,
                "seconds": stop.drain_seconds,
                "grace": STOP_SECONDS,
            },
            stop.drain_seconds + STOP_SECONDS + KEEPER_SECONDS,
        )
        if foreign is not None:
            end_process(foreign, STOP_SECONDS)
        prune(folder, live_of(folder))
        return Outcome(
            status="done", figures={"waited_ms": answer["waited_ms"], "cut": answer["cut"]}
        )

    def _revert(self, folder: Path, switch: Switch) -> Outcome:
        """Back to `previous`, started again when it has stopped; what `switch` chose drains."""
        if switch.previous:
            back = self._bring_back(folder, switch.previous)
            if back.status == "failed":
                return back
        elif live_of(folder) == switch.generation:
            # It was the first generation: without it nothing is live.
            self._keeper_again(folder)
            control.ask(folder, {"do": "unlink"})
        return self._drain(
            folder, Stop(generation=switch.generation, drain_seconds=switch.drain_seconds)
        )

    def _bring_back(self, folder: Path, generation: str) -> Outcome:
        start = Place(folder, generation).read()
        if start is None:
            raise Refused(
                "target.generation.unknown",
                f"generation {generation} of {folder.name}",
                expected="a generation that is still kept",
                found="none of that name",
                remedy="deploy the earlier release anew",
            )
        return self._bring(folder, start)

    def _bring(self, folder: Path, start: Start) -> Outcome:
        """Start, check and switch, as far as it goes."""
        outcome = self._start(folder, start)
        if outcome.status == "done":
            check = Check(generation=start.generation, health=start.health)
            outcome = answers(folder, check)
        if outcome.status == "done":
            outcome = self._switch(folder, Switch(generation=start.generation))
        return outcome

    def _restart(self, folder: Path, start: Start) -> Outcome:
        """The whole replacement in one step: what drifted is left behind with the old one."""
        old = live_of(folder)
        outcome = self._bring(folder, start)
        if outcome.status == "done" and old not in ("", start.generation):
            outcome = self._drain(folder, Stop(generation=old, drain_seconds=start.drain_seconds))
        return outcome

    def _remove(self, component: str) -> Outcome:
        """Stop and delete one component, or all of them when none is named."""
        names = [check_component(component)] if component else looking.components(self._folder)
        for name in names:
            folder = self._folder / name
            if folder.exists():
                end_all(folder)
                shutil.rmtree(folder)
        if self._folder.exists():
            sync_folder(self._folder)
        return Outcome(status="done", figures={"removed": len(names)})

    # -- the keeper --------------------------------------------------------------------------

    def _keeper_again(self, folder: Path) -> None:
        """Bring a killed keeper back on the address it had."""
        state = read_state(folder)
        if state is None:
            raise Refused(
                "target.keeper.unknown",
                f"keeper of {folder.name}",
                expected="a component that was started",
                found="none",
                remedy="start it first",
            )
        self._keeper(folder, state.declared)

    def _keeper(self, folder: Path, listener: str) -> None:
        """Make sure a keeper runs and listens where declared. Raises `Failed`."""
        if is_kept(folder):
            control.ask(folder, {"do": "listen", "declared": listener}, KEEPER_SECONDS)
            return
        (folder / "generations").mkdir(mode=0o700, exist_ok=True)
        foreign = foreign_listener(Place(folder, live_of(folder) or "none"))
        if foreign is not None:
            # The keeper would start the live generation on this very socket.
            end_process(foreign, STOP_SECONDS)
        start_keeper(folder, listener)
        self._give_secrets(folder)

    def _give_secrets(self, folder: Path) -> None:
        """A new keeper holds no secrets: give it those of what still runs, for its restarts."""
        for name in control.ask(folder, {"do": "status"})["generations"]:
            start = Place(folder, name).read()
            if start is not None and start.secrets:
                secrets = self._open(start)
                control.ask(folder, {"do": "secrets", "generation": name, "secrets": secrets})


def _read_stop(step: Step) -> Stop:
    """`stop` also takes the arguments of the `start` that it undoes."""
    if step.action == "stop" and "artifact" in step.arguments:
        start = read_arguments(step, Start)
        return Stop(generation=start.generation, drain_seconds=start.drain_seconds)
    return read_arguments(step, Stop)
