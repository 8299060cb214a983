"""Each gate passes the shipped conformance suite."""

import os
import socket
from collections.abc import Iterator
from typing import Any

import pytest

from surefoot.core.gate import Gate
from surefoot.core.target import Plain
from surefoot.gates import tests as tests_gate
from surefoot.gates.active import Permit
from surefoot.gates.load.assess import Tolerance
from surefoot.gates.load.gate import LoadGate
from surefoot.gates.provenance import PREDICATE_TYPE, ProvenanceGate
from surefoot.gates.resilience.gate import ResilienceGate
from surefoot.gates.smoke import SmokeGate
from surefoot.store.blobs import FileBlobs
from surefoot.supply.source import GitObject
from surefoot.testing.gate_conformance import GateConformance
from surefoot.trust import envelope
from surefoot.trust.digest import digest_of
from surefoot.trust.keys import PrivateKey

SUBJECT = digest_of(b"a release")
COMMIT = "c" * 40
GREEN = b'<testsuite tests="1"><testcase name="a"/></testsuite>'


class Case:
    """A gate with what it passes and what it does not."""

    subject = SUBJECT

    def __init__(self, gate: Gate, good: Plain, bad: Plain, bad_gate: Gate | None = None) -> None:
        self.gate = gate
        self.good = good
        self.bad = bad
        self.malformed: Plain = {"components": 1, "checks": 1, "commit": 1}
        self._bad_gate = bad_gate or gate

    def open_good(self) -> Gate:
        return self.gate

    def open_bad(self) -> Gate:
        return self._bad_gate


def now_ms() -> int:
    return 1_700_000_000_000


def components(blobs: FileBlobs, builder: PrivateKey) -> dict[str, Any]:
    artifact, report = blobs.put(b"artifact"), blobs.put(GREEN)
    predicate: Any = {
        "buildDefinition": {"resolvedDependencies": [{"digest": {"gitCommit": COMMIT}}]},
        "runDetails": {"byproducts": [{"digest": {"sha256": report.removeprefix("sha256:")}}]},
    }
    payload = envelope.statement([("api", artifact)], PREDICATE_TYPE, predicate)
    provenance = blobs.put(envelope.seal(envelope.IN_TOTO_TYPE, payload, [builder]))
    return {"name": "api", "artifact": artifact, "provenance": provenance, "tests": report}


class TestTests(GateConformance):
    @pytest.fixture
    def case(self, blobs: FileBlobs, builder: PrivateKey) -> Case:
        row = components(blobs, builder)
        gate = tests_gate.TestsGate(blobs, now_ms)
        return Case(gate, {"components": [row]}, {"components": [row | {"provenance": ""}]})


class TestProvenance(GateConformance):
    @pytest.fixture
    def case(self, blobs: FileBlobs, builder: PrivateKey) -> Case:
        row = {k: v for k, v in components(blobs, builder).items() if k != "tests"}
        gate = ProvenanceGate(blobs, [builder.public], now_ms)
        return Case(
            gate,
            {"commit": COMMIT, "components": [row]},
            {"commit": "d" * 40, "components": [row]},
        )


class TestSmoke(GateConformance):
    @pytest.fixture
    def case(self) -> Iterator[Case]:
        with socket.create_server(("127.0.0.1", 0)) as server:
            endpoint = f"127.0.0.1:{server.getsockname()[1]}"
            yield Case(
                SmokeGate(now_ms),
                {"checks": [{"name": "port", "tcp": endpoint}]},
                {"checks": []},
            )


class TestLoad(GateConformance):
    @pytest.fixture
    def case(self, blobs: FileBlobs, answering: str) -> Case:
        leave = Permit(run="r", environment="dev", endpoints=(answering,))
        patient = Tolerance(lag_p95_ms=60_000, cpu_percent=10_000)
        gate = LoadGate(leave, blobs, now_ms, tolerance=patient)

        def asked(status: int) -> Plain:
            step = {"path": "/", "status": status}
            scenario = {"name": "a", "rate": 5, "seconds": 1, "arrivals": "constant"}
            return {"endpoint": answering, "scenarios": [scenario | {"steps": [step]}]}

        return Case(gate, asked(200), asked(201))


class TestResilience(GateConformance):
    @pytest.fixture
    def case(self, blobs: FileBlobs, answering: str) -> Case:
        leave = Permit(run="r", environment="dev", endpoints=(answering,))
        wide = {"p99_ms": 100_000, "recovery_seconds": 60, "memory_mib": 9_999, "descriptors": 999}
        asked: dict[str, Any] = {
            "endpoint": answering,
            "pids": [os.getpid()],
            "bounds": wide,
            "look_seconds": 60.0,
            "lag_seconds": 60.0,
            "login": {"path": "/", "body": "{password}", "tries": 5},
        }
        gate = ResilienceGate(leave, blobs, now_ms)
        good, bad = ["large-headers"], ["large-headers", "login"]
        return Case(gate, asked | {"attacks": good}, asked | {"attacks": bad})


class TestSecrets(GateConformance):
    @pytest.fixture
    def case(self, tmp_path_factory: pytest.TempPathFactory) -> Case:
        module = pytest.importorskip(
            "surefoot.gates.secrets", reason="the extra `scan` is not installed"
        )
        cache = tmp_path_factory.getbasetemp() / "rules"
        cache.mkdir(mode=0o700, exist_ok=True)

        def gate(content: bytes) -> Gate:
            held = [
                GitObject(COMMIT, "commit", b"tree\n\nwork\n", 11),
                GitObject("a" * 40, "blob", content, len(content)),
            ]
            history = module.History(objects=lambda: iter(held), locate=lambda _: (), references=1)
            made: Gate = module.SecretsGate(history, key=b"k" * 32, cache=cache, now_ms=now_ms)
            return made

        key = b"-----BEGIN " + b"OPENSSH PRIVATE KEY-----\n" + b"b3BlbnNzaC1rZXktdjEAAAAABG5v\n" * 5
        leaked = key + b"-----END OPENSSH PRIVATE KEY-----\n"
        return Case(gate(b"print()\n"), {"commit": COMMIT}, {"commit": COMMIT}, gate(leaked))
