"""A whole installation on disk-backed fakes, driven by one seed, that can die at any point.

The journal, its store, the rules, the planner and the engine are the real ones; targets and gates
are fakes that count their effects in files. A run is a folder; `Node` is one process's view of it,
opened from disk and closed as a kill would. Faults come through one hook, called at each append
(before, written, committed, signed, stored), claim, act and record.

Run as a program it drives one deployment until it is done or killed:
`python -m surefoot.testing.simulator FOLDER STORE WORKER SCENARIO KILL_AT`, where STORE is a
directory or a PostgreSQL address and KILL_AT the fault point (from 1, 0 for never) that kills. The
number in a worker's name is the minutes by which its clock is ahead.
"""

from __future__ import annotations

import copy
import json
import os
import random
import signal
import sys
from collections.abc import Callable, Sequence
from functools import partial
from pathlib import Path

from surefoot.core import deployment as deployments
from surefoot.core import facts as f
from surefoot.core.errors import Failed, Refused
from surefoot.core.fold import new_world
from surefoot.core.interlock import Interlock
from surefoot.core.progress import Next
from surefoot.core.rollout import RETURN_WAVE
from surefoot.core.target import Plain, Target
from surefoot.core.world import World
from surefoot.engine.effects import Effects, GateRun, draft
from surefoot.engine.gate_step import availability_step, gate_step
from surefoot.engine.loop import Engine
from surefoot.journal.checkpoint import CheckpointSigner
from surefoot.journal.log import Log
from surefoot.store.blobs import FileBlobs
from surefoot.store.database import Database
from surefoot.store.lease import Leases
from surefoot.testing import simulator_product as product
from surefoot.testing.fake_gate import FakeGate
from surefoot.testing.fake_marks import FakeMarks, read_marks
from surefoot.testing.fake_target import FakeTarget
from surefoot.testing.journal import KEY, open_database
from surefoot.trust.digest import digest_of
from surefoot.trust.entry import Actor

ENVIRONMENT = product.ENVIRONMENT
SCENARIOS = ("good", "unhealthy", "smoke", "devices", "contract", "empty")
_PERSON = Actor(type="person", id="simulated", auth="test")
_START_MS = 1_790_000_000_000
_SETTLED = ("succeeded", "returned", "stopped", "failed", "void", "rejected")


class Crash(BaseException):
    """The process ends here. Not an `Exception`: nothing may catch and outlive it."""


class SimulatedClock:
    """Time that moves one millisecond a look; sleeping costs nothing."""

    def __init__(self, start_ms: int = _START_MS) -> None:
        self.ms = start_ms

    def now_ms(self) -> int:
        """UTC milliseconds since 1970."""
        self.ms += 1
        return self.ms

    def sleep(self, seconds: float) -> None:
        """Move on."""
        self.ms += int(seconds * 1000)

    def token(self, size_bytes: int) -> bytes:
        """The same bytes every time."""
        return bytes(size_bytes)


class Node:
    """One process: everything opened from the folder, nothing remembered from before."""

    def __init__(
        self,
        folder: Path,
        worker: str,
        scenario: str = "good",
        *,
        store: str = "",
        fault: Callable[[str], None] = lambda place: None,
    ) -> None:
        self.folder = folder
        self.clock = SimulatedClock()
        self.scenario = scenario
        self.database: Database = open_database(store or str(folder / "store"))
        self.log = self._opened(fault, adopt=bool(store))
        self.blobs = FileBlobs(folder / "blobs")
        self._join(worker, fault)

    def _join(self, worker: str, fault: Callable[[str], None]) -> None:
        targets = _targets(self.folder / "targets", self.scenario, fault)
        self.worker, self.targets = worker, targets
        self.effects = Effects(
            self.log,
            self.blobs,
            lambda environment: targets,
            self._gates(),
            self.clock,
            worker,
            fault=fault,
        )

    def sibling(self, worker: str, fault: Callable[[str], None]) -> Node:
        """Another worker of the same process: the same journal, targets of its own."""
        other = copy.copy(self)
        other._join(worker, fault)
        return other

    def _opened(self, fault: Callable[[str], None], *, adopt: bool) -> Log[World]:
        try:
            return Log(
                self.database,
                CheckpointSigner(KEY, self.folder / "outside" / "last-checkpoint"),
                new_world,
                self.clock.now_ms,
                free_bytes_min=1,
                adopt=adopt,
                fault=fault,
            )
        except BaseException:
            self.database.close()
            raise

    def close(self) -> None:
        """End as a kill would: what was not committed is gone."""
        self.database.close()

    def _gates(self) -> dict[str, GateRun]:
        def fake(name: str, *, complete: bool = True) -> GateRun:
            gate = FakeGate(self.folder / "gates" / f"{name}.json", name=name, complete=complete)
            return gate_step(lambda plan: gate, self.blobs, lambda plan, step: step.arguments)

        return {
            "gate": fake("provenance"),
            "smoke": fake("smoke", complete=self.scenario != "smoke"),
            "availability": availability_step(lambda plan: (100, 0)),
        }

    # -- people -----------------------------------------------------------------------------------

    def command(self, rule: Callable[[World], Sequence[f.Fact]], request: str) -> None:
        """What a person asks for."""
        self.log.transact(lambda w: [draft(fact) for fact in rule(w)], _PERSON, request)

    def prepare(self) -> None:
        """People, rules, two releases; the first is deployed."""
        self.command(product.found_installation, "init")
        self.command(product.accept_rules, "accept")
        for name in product.ROLES:
            self.command(partial(product.enrol, name=name), f"enrol {name}")
            self.command(partial(product.grant, name=name), f"grant {name}")
        for version in ("1.0.0", "1.1.0"):
            manifest = product.manifest_of(version)
            self.blobs.put(manifest.encode())
            self.command(partial(product.register, manifest=manifest), f"register {version}")
        self.deploy("1.0.0")

    def deploy(self, version: str) -> str:
        """Request, approve twice, and carry out; from wherever a crash left it. The status."""
        number = 1 if version == "1.0.0" else 2
        self.request(number, version)
        for name in ("pia", "quin"):
            self.approve(number, name)
        return self.drive(number)

    def request(self, number: int, version: str) -> None:
        """Olga asks for it, once."""
        if self.log.read(lambda w: number in w.deployments):
            return
        before = product.manifest_of("1.0.0") if number > 1 else None
        plan = self.log.read(
            lambda w: product.plan_of(w, self.targets, product.manifest_of(version), before)
        )
        digest = self.blobs.put(plan.encode())
        self.command(
            lambda w: deployments.request(
                w, product.person("olga"), plan, digest, self.clock.now_ms()
            ),
            f"request {number}",
        )

    def approve(self, number: int, name: str) -> None:
        """Somebody approves; what was answered is remembered outside the journal."""
        if self.log.read(lambda w: w.deployments[number].status != "waiting"):
            return
        plan = self.log.read(lambda w: w.deployments[number].plan)
        fact = f.ApprovalGiven(
            deployment=number,
            environment=ENVIRONMENT,
            plan=plan,
            person=name,
            verdict="approve",
            envelope=digest_of(f"{name} {plan}".encode()),
        )
        content = self.effects.plan_of(self.log.read(lambda w: w.deployments[number]))
        self.command(
            lambda w: deployments.approve(
                w, product.person(name), content, fact, self.clock.now_ms()
            ),
            f"approve {number} {name}",
        )
        with open(self.folder / "promises", "a") as promises:
            promises.write(f"{number} {name}\n")

    # -- the engine -------------------------------------------------------------------------------

    def drive(self, number: int, turns_max: int = 400) -> str:
        """Advance until it has ended; seal device reports whenever it waits. The status."""
        for _ in range(turns_max):
            status = self.status(number)
            if status in _SETTLED:
                return status
            if self.advance(number).what == "wait" and not self.seal(number):
                raise AssertionError(f"deployment {number} waits for ever: {self.waits(number)}")
        raise AssertionError(f"deployment {number} does not end: {self.waits(number)}")

    def advance(self, number: int) -> Next:
        """One effect; a fault that is only reported is looked at again, as the loop does."""
        try:
            return self.effects.advance(number)
        except (Refused, Failed) as error:
            return Next(what="act", cause=str(error))

    def status(self, number: int) -> str:
        """Where the deployment stands."""
        return self.log.read(lambda w: w.deployments[number].status)

    def waits(self, number: int) -> Plain:
        """All of it, for the message of a failed run."""
        return self.log.read(lambda w: w.state(f"deployment/{number}"))

    def seal(self, number: int = 2) -> bool:
        """Seal what the devices report, when it is news."""
        marks = read_marks(self.folder / "targets" / "fleet.json")

        def rule(world: World) -> list[f.Fact]:
            books = world.devices.get(ENVIRONMENT)
            last = books.last_report if books else 0
            before = books.waves.get(str(number), {}) if books else {}
            waves = _counters([mark[:2] for mark in marks], self.scenario, before)
            if waves == before:
                return []
            return [
                f.DeviceBatchSealed(
                    environment=ENVIRONMENT,
                    batch=digest_of(json.dumps(waves).encode()),
                    root=digest_of(b"root"),
                    count=1,
                    first_report=last + 1,
                    last_report=last + 1,
                    deployment=number,
                    waves=waves,
                )
            ]

        size = self.log.size()
        self.command(rule, "seal devices")
        return self.log.size() > size


def _targets(folder: Path, scenario: str, fault: Callable[[str], None]) -> dict[str, Target]:
    lock = Interlock(ENVIRONMENT, (KEY.verifier,))
    unhealthy = frozenset({"api"} if scenario == "unhealthy" else ())
    broken = frozenset({"main.contract"} if scenario == "contract" else ())
    return {
        "process": FakeTarget(folder / "process.json", lock, fault=fault, unhealthy=unhealthy),
        "database:main": FakeMarks(
            folder / "database.json", lock, name="database:main", fault=fault, broken=broken
        ),
        "fleet": FakeMarks(folder / "fleet.json", lock, name="fleet", fault=fault),
    }


def _counters(marks: list[tuple[str, str]], scenario: str, before: Plain) -> Plain:
    """What the devices say: at first that they install, when asked again what came of it."""
    waves: Plain = {}
    for operation, action in marks:
        wave = RETURN_WAVE if action == "return_devices" else str(int(operation[-1]) - 1)
        number = 0 if scenario == "empty" else 5
        if wave not in before:
            count: Plain = {"installing": number}
        elif wave == RETURN_WAVE:
            count = {"returned": number}
        elif scenario == "devices":
            count = {"failed": number}
        else:
            count = {"verified": number - 1, "timed_out": 1} if number else {}
        waves[wave] = {state: n for state, n in count.items() if n}
    return waves


class Faults:
    """The hook. `choose` sees each fault point (its count from 1, its place) and may answer
    "crash" (the process ends), "fail" (done, but reported as failed) or "kill" (SIGKILL)."""

    def __init__(self, choose: Callable[[int, str], str]) -> None:
        self._choose = choose
        self.points = 0
        self.struck: list[str] = []

    def __call__(self, place: str) -> None:
        self.points += 1
        chosen = self._choose(self.points, place)
        if not chosen:
            return
        self.struck.append(f"{chosen} at {place}")
        if chosen == "kill":
            os.kill(os.getpid(), signal.SIGKILL)
        if chosen == "fail":
            raise Failed("simulated.fault", place, expected="no fault", found="reported as failed")
        raise Crash(place)


def run_to_the_end(
    folder: Path,
    scenario: str,
    faults: Faults,
    after_crash: Callable[[], None] = lambda: None,
    crashes_max: int = 2000,
) -> str:
    """Deploy 1.1.0, starting a new process after each crash. The status it ended with."""
    for number in range(crashes_max):
        try:
            return _lived(folder, f"worker-{number}", scenario, faults)
        except Crash:
            pass
        except Failed as failed:
            if failed.code != "simulated.fault":
                raise
        after_crash()
    raise AssertionError(f"{crashes_max} crashes and no end")


def _lived(folder: Path, worker: str, scenario: str, faults: Faults) -> str:
    node = Node(folder, worker, scenario, fault=faults)
    try:
        return node.deploy("1.1.0")
    finally:
        node.close()


def seeded(seed: int, percent: int = 10) -> Faults:
    """Faults at random points: the same seed, the same faults."""
    rng = random.Random(seed)  # noqa: S311 -- repeatable, not secret

    def choose(count: int, place: str) -> str:
        if rng.randrange(100) >= percent:
            return ""
        return rng.choice(("crash", "fail"))

    return Faults(choose)


def engine_until_done(node: Node, number: int, timeout_seconds: float = 60.0) -> str:
    """Run the real loop, with its lease, beside whoever else works on this store. The status."""
    engine = Engine(
        node.log,
        node.effects,
        Leases(node.database),
        node.clock,
        node.worker,
        seal_devices=lambda: node.seal(number),
    )
    engine.start()
    size = 0
    for _ in range(int(timeout_seconds * 10)):
        size = node.log.wait_for_change(size, 0.1)
        if node.status(number) in _SETTLED:
            break
    engine.stop()
    return node.status(number)


def main(arguments: list[str]) -> int:
    """See the module. Prints the status at the end."""
    folder, store, worker, scenario, kill_at = arguments
    faults = Faults(lambda count, place: "kill" if count == int(kill_at) else "")
    node = Node(Path(folder), worker, scenario, store=store, fault=faults)
    node.clock.ms += 60_000 * int("".join(c for c in worker if c.isdigit()) or 0)
    status = engine_until_done(node, 2) if "://" in store else node.deploy("1.1.0")
    node.close()
    print(status)  # the caller reads it
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
