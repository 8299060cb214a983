"""Real abuse of real small services: the bare one fails, the same behind limits passes.

Bounds of time are wide, so that a slow machine changes nothing; what differs is what is refused.
"""

import http.server
import os
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from surefoot.core.gate import Evidence, judge
from surefoot.core.target import Plain
from surefoot.gates.active import Permit
from surefoot.gates.resilience import gate as gates
from surefoot.gates.resilience.gate import ResilienceGate, use_of
from surefoot.gates.tool import ToolRun
from surefoot.store.blobs import FileBlobs
from surefoot.testing.control_plane import wait_for
from surefoot.trust.digest import digest_of

SUBJECT = digest_of(b"a release")
WIDE = {"p99_ms": 100_000, "recovery_seconds": 60, "memory_mib": 10_000, "descriptors": 1_000}
SERVICE = """
import http.server, sys
class Answers(http.server.BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    def do_GET(self):
        self.send_response(200)
        self.send_header("Content-Length", "2")
        self.end_headers()
        self.wfile.write(b"ok")
    def log_message(self, *_):
        pass
class Server(http.server.ThreadingHTTPServer):
    request_queue_size = 512
server = Server(("127.0.0.1", 0), Answers)
print(server.server_address[1], flush=True)
server.serve_forever()
"""
NGINX = """
worker_processes 1; daemon off; master_process off; pid {folder}/pid; error_log {folder}/errors;
events {{ worker_connections 512; }}
http {{
  access_log off; client_body_temp_path {folder}/a; proxy_temp_path {folder}/b;
  fastcgi_temp_path {folder}/c; uwsgi_temp_path {folder}/d; scgi_temp_path {folder}/e;
  limit_conn_zone $binary_remote_addr zone=each:1m; limit_conn_status 429;
  limit_req_zone $binary_remote_addr zone=rate:1m rate=20r/s; limit_req_status 429;
  client_header_timeout 1s; client_body_timeout 1s; keepalive_timeout 2s;
  server {{
    listen unix:{folder}/unused; listen 127.0.0.1:{port};
    limit_conn each 50; limit_req zone=rate burst=100 nodelay; client_max_body_size 1m;
    location / {{ proxy_pass http://{endpoint}; }}
  }}
}}
"""
ABUSE = ("slow-headers", "slow-body", "connection-flood", "request-flood", "large-body")


@pytest.fixture
def bare() -> Iterator[tuple[str, int]]:
    """A service as it is written: no limit of any kind. Its address and its process."""
    words = [sys.executable, "-c", SERVICE]
    with subprocess.Popen(words, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        yield f"127.0.0.1:{process.stdout.readline().strip()}", process.pid
        process.kill()


@pytest.fixture
def limited(
    bare: tuple[str, int], tmp_path: Path, require_tool: Callable[[str], str]
) -> Iterator[tuple[str, int]]:
    """The same behind nginx with limits."""
    program = require_tool("nginx")
    with http.server.HTTPServer(("127.0.0.1", 0), http.server.BaseHTTPRequestHandler) as free:
        port = free.server_address[1]
    text = NGINX.format(folder=tmp_path, port=port, endpoint=bare[0])
    (tmp_path / "nginx.conf").write_text(text)
    words = [program, "-e", str(tmp_path / "errors"), "-c", str(tmp_path / "nginx.conf")]
    with subprocess.Popen(words, stderr=subprocess.DEVNULL) as process:
        wait_for("nginx", (tmp_path / "pid").exists)
        yield f"127.0.0.1:{port}", process.pid
        process.terminate()


def asked(service: tuple[str, int], *kinds: str, **changes: Any) -> Plain:
    return {
        "endpoint": service[0],
        "pids": [service[1]],
        "attacks": list(kinds),
        "seconds": 6,
        "connections": 60,
        "requests": 500,
        "look_seconds": 60.0,
        "lag_seconds": 60.0,
        "bounds": WIDE,
        **changes,
    }


def gate(tmp_path: Path, *endpoints: str, **changes: Any) -> ResilienceGate:
    leave = Permit(run="dev-1-resilience", environment="dev", endpoints=endpoints, **changes)
    return ResilienceGate(leave, FileBlobs(tmp_path / "blobs"), lambda: 1)


def verdict(evidence: Evidence) -> str:
    return judge(evidence, SUBJECT).verdict


def rows(evidence: Evidence) -> dict[str, Any]:
    found: Any = evidence.figures["attacks"]
    return {row["kind"]: row for row in found}


def test_the_bare_service_fails(bare: tuple[str, int], tmp_path: Path) -> None:
    evidence = gate(tmp_path, bare[0]).run(SUBJECT, asked(bare, "slow-headers", "request-flood"))
    assert verdict(evidence) == "fail", evidence
    assert [finding.rule for finding in evidence.findings] == ["resilience.refusal"] * 2
    assert rows(evidence)["slow-headers"]["refused"] == 0
    assert evidence.raw is not None


def test_the_same_behind_limits_passes(limited: tuple[str, int], tmp_path: Path) -> None:
    evidence = gate(tmp_path, limited[0]).run(SUBJECT, asked(limited, *ABUSE))
    assert verdict(evidence) == "pass", evidence
    assert [row["made"] for row in rows(evidence).values()] == [60, 60, 60, 500, 3]


def test_a_service_that_answers_one_at_a_time_is_not_there_for_others(tmp_path: Path) -> None:
    one_at_a_time = SERVICE.replace("http.server.ThreadingHTTPServer", "http.server.HTTPServer")
    words = [sys.executable, "-c", one_at_a_time]
    with subprocess.Popen(words, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        service = (f"127.0.0.1:{process.stdout.readline().strip()}", process.pid)
        wanted = asked(service, "slow-headers", seconds=3, look_seconds=1.0)
        evidence = gate(tmp_path, service[0]).run(SUBJECT, wanted)
        process.kill()
    assert "resilience.availability" in [finding.rule for finding in evidence.findings]


def test_only_endpoints_of_the_permit_are_tried(bare: tuple[str, int], tmp_path: Path) -> None:
    evidence = gate(tmp_path, "127.0.0.1:1").run(SUBJECT, asked(bare, "slow-headers"))
    assert verdict(evidence) == "error"
    assert "is not of dev" in evidence.trouble


def test_where_it_is_protected_nothing_is_tried(bare: tuple[str, int], tmp_path: Path) -> None:
    evidence = gate(tmp_path, bare[0], protected=True).run(SUBJECT, asked(bare, "large-headers"))
    assert verdict(evidence) == "error"
    assert "not marked safe" in evidence.trouble


def test_a_person_ends_it_and_that_is_no_pass(bare: tuple[str, int], tmp_path: Path) -> None:
    stop = tmp_path / "stop"
    stop.touch()
    stopped = gate(tmp_path, bare[0], stops=(str(stop),))
    evidence = stopped.run(SUBJECT, asked(bare, "large-headers"))
    assert verdict(evidence) == "inconclusive"
    assert "stopped by a person" in judge(evidence, SUBJECT).reason
    assert rows(evidence) == {}


def test_all_kinds_together_stay_in_the_budget(bare: tuple[str, int], tmp_path: Path) -> None:
    budget = {"requests": 400, "seconds": 60, "connections": 100}
    evidence = gate(tmp_path, bare[0]).run(
        SUBJECT, asked(bare, "request-flood", budget=budget, connections=20)
    )
    assert rows(evidence)["request-flood"]["made"] <= 200
    assert "the budget of 200 requests is used up" in evidence.gap


@pytest.mark.parametrize(
    "changes",
    [{"attacks": ["login"]}, {"attacks": ["unknown"]}, {"budget": {"connections": 50}}],
)
def test_what_cannot_be_asked_is_an_error(
    bare: tuple[str, int], tmp_path: Path, changes: dict[str, Any]
) -> None:
    wanted = asked(bare, "large-headers") | changes
    assert verdict(gate(tmp_path, bare[0]).run(SUBJECT, wanted)) == "error"


def test_processes_that_leave_no_record_are_an_error(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    ran = ToolRun(exit_status=0, output=b"", errors=b"", duration_ms=1)
    monkeypatch.setattr(gates, "run_tool", lambda *_, **__: ran)
    monkeypatch.setattr(gates, "_WAIT_SECONDS", 0)
    service = ("127.0.0.1:1", os.getpid())
    evidence = gate(tmp_path, service[0]).run(SUBJECT, asked(service, "large-headers"))
    assert verdict(evidence) == "error"
    assert "left no record" in evidence.trouble


def test_what_processes_hold_is_counted() -> None:
    mine = use_of((os.getpid(), 2**22 + 1))
    assert mine.processes == 1
    assert mine.memory_bytes > 1024**2
    assert mine.descriptors >= 3
