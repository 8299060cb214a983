"""The command line against a real server process, as a person would use it."""

from __future__ import annotations

import json
import os
import signal
import socket
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from http.client import HTTPConnection
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import pytest

from surefoot.doors.cli import compose
from surefoot.trust import keys, sshsig


class Home:
    """A folder with an installation, its server, and the keys of three people."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.server: subprocess.Popen[str] | None = None
        self.addresses: dict[str, str] = {}
        self.environment = {
            **{k: v for k, v in os.environ.items() if not k.startswith("SUREFOOT_")},
            "SUREFOOT_CONFIG": str(folder / "config.json"),
        }

    def run(self, *words: str, key: str = "", typed: str = "") -> subprocess.CompletedProcess[str]:
        named = ["--key", key] if key else []
        return subprocess.run(
            [sys.executable, "-m", "surefoot.doors.cli.main", *words, *named],
            cwd=self.folder,
            env=self.environment,
            input=typed,
            capture_output=True,
            text=True,
            timeout=300,
            check=False,
        )

    def ask(self, *words: str, key: str = "", typed: str = "") -> Any:
        done = self.run(*words, "-o", "json", key=key, typed=typed)
        assert done.returncode == 0, done.stderr
        return json.loads(done.stdout)

    def refused(self, status: int, *words: str, key: str = "") -> dict[str, str]:
        done = self.run(*words, "-o", "json", key=key)
        assert done.returncode == status, done.stderr
        record: dict[str, str] = json.loads(done.stderr.splitlines()[-1])
        return record

    def start(self) -> None:
        words = ["server", "run", "--data", "data", "-o", "json"]
        ports = ["--listen", "127.0.0.1:0", "--devices", "127.0.0.1:0"]
        self.server = subprocess.Popen(
            [sys.executable, "-m", "surefoot.doors.cli.main", *words, *ports],
            cwd=self.folder,
            env=self.environment,
            stdout=subprocess.PIPE,
            text=True,
        )
        assert self.server.stdout is not None
        self.addresses = json.loads(self.server.stdout.readline())

    def stop(self) -> int:
        assert self.server is not None
        self.server.send_signal(signal.SIGTERM)
        status = self.server.wait(300)
        assert self.server.stdout is not None
        self.server.stdout.close()
        return status


@pytest.fixture(scope="module")
def home() -> Iterator[Home]:
    # A short path: a Unix socket's may have 107 bytes only.
    with tempfile.TemporaryDirectory(prefix="surefoot-") as name:
        made = Home(Path(name))
        for person in ("ann", "bob", "eve"):
            made.ask("key", "generate", person)
        subprocess.run(["git", "init", "-q", "repository"], cwd=name, check=True)
        founders = ["--founder", "ann=ann.pub,ann@example.org", "--founder", "bob=bob.pub"]
        named = ["--repository", "repository", "--product", "thermostat"]
        made.ask("init", "data", *founders, *named)
        made.start()
        made.ask("use", "--server", made.addresses["socket"], key="ann")
        yield made
        assert made.stop() == 0


def test_the_socket_and_the_keys_are_the_owners_alone(home: Home) -> None:
    path = Path(home.addresses["socket"].removeprefix("unix:"))
    assert path.stat().st_mode & 0o077 == 0
    assert (home.folder / "ann").stat().st_mode & 0o077 == 0


def test_a_question_over_both_listeners(home: Home) -> None:
    over_socket = home.ask("person", "list")
    over_tcp = home.ask("person", "list", "--server", home.addresses["api"])
    assert over_socket == over_tcp
    assert [p["id"] for p in over_socket["people"]] == ["ann", "bob"]


def test_text_is_for_people(home: Home) -> None:
    done = home.run("person", "list")
    assert done.stdout.splitlines()[0].split() == ["person", "roles", "founder", "keys"]


def test_a_person_is_enrolled_by_request_and_used_at_once(home: Home) -> None:
    assert home.refused(3, "person", "list", key="eve")["code"] == "request.key.unauthenticated"
    home.ask(
        "person", "request", "eve", "--request", "eve.json", "--identity", "e@e.org", key="eve"
    )
    answer = home.ask("person", "enrol", "--request", "eve.json")
    assert answer["person"] == "eve"
    assert "eve" in [p["id"] for p in home.ask("person", "list", key="eve")["people"]]
    line = json.loads((home.folder / "eve.json").read_text())
    line["person"] = "mallory"
    (home.folder / "forged.json").write_text(json.dumps(line))
    record = home.refused(3, "person", "enrol", "--request", "forged.json")
    assert record["code"] == "person.proof.signature"
    fingerprint = answer["fingerprint"]
    home.ask("person", "revoke-key", "eve", fingerprint)
    assert home.refused(3, "person", "list", key="eve")["code"] == "request.key.unauthenticated"


def test_who_can_takes_two_words_or_one(home: Home) -> None:
    assert home.run("who-can", "role", "grant").stdout.split() == ["ann", "bob"]
    assert home.run("who-can", "role.grant").stdout.split() == ["ann", "bob"]


def test_errors_keep_their_kind_across_the_door(home: Home) -> None:
    assert home.refused(3, "release", "show", "9.9.9")["code"] == "release.unknown"
    assert home.refused(3, "environment", "show", "moon")["code"] == "environment.unknown"
    assert home.refused(4, "person", "list", "--server", "http://127.0.0.1:9")["kind"] == "failed"
    assert home.refused(3, "person", "list", "--server", "ftp://x")["kind"] == "refused"


def test_a_second_server_is_refused(home: Home) -> None:
    record = home.refused(3, "server", "run", "--data", "data")
    assert record["code"] == "store.directory.locked"


def test_a_port_in_use_is_named(home: Home, tmp_path: Path) -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        address = f"127.0.0.1:{taken.getsockname()[1]}"
        founders = ["--founder", "ann=ann.pub", "--founder", "bob=bob.pub"]
        named = ["--repository", "repository", "--product", "other"]
        home.ask("init", "other", *founders, *named)
        record = home.refused(4, "server", "run", "--data", "other", "--listen", address)
    assert record["code"] == "server.listen.taken"
    assert address in record["subject"]


def test_the_journal_is_verified_by_server_folder_and_export(home: Home) -> None:
    log_key = home.ask("installation", "show")["log_key"]
    assert home.ask("journal", "verify")["ok"]
    assert home.ask("journal", "verify", "--data", "data")["ok"]
    home.ask("journal", "export", "tiles", "--data", "data")
    (home.folder / "pinned").write_text(log_key + "\n")
    assert home.ask("journal", "verify", "--offline", "tiles", "--log-key", "pinned")["ok"]
    other = log_key.replace("thermostat", "thermometer")
    done = home.run("journal", "verify", "--offline", "tiles", "--log-key", other)
    assert done.returncode == 3


def test_a_data_folder_is_absolute_from_the_start(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    assert compose.data_folder("data") == tmp_path / "data"


def test_login_opens_a_session_once(home: Home) -> None:
    link = home.ask("login")["link"]
    first, cookie = _get(link)
    assert first == 303
    assert "HttpOnly" in cookie
    assert "SameSite=Strict" in cookie
    assert _get(link)[0] == 401


def _get(url: str) -> tuple[int, str]:
    parts = urlsplit(url)
    connection = HTTPConnection(parts.hostname or "", parts.port, timeout=90)
    connection.request("GET", parts.path)
    response = connection.getresponse()
    response.read()
    connection.close()
    return response.status, response.headers.get("set-cookie", "")


def test_every_answer_has_the_security_headers(home: Home) -> None:
    parts = urlsplit(home.addresses["api"])
    for path in ("/v1/installation", "/v1/nowhere", "/"):
        connection = HTTPConnection(parts.hostname or "", parts.port, timeout=90)
        connection.request("GET", path)
        response = connection.getresponse()
        response.read()
        connection.close()
        assert response.headers["x-content-type-options"] == "nosniff"
        assert response.headers["x-frame-options"] == "DENY"
        assert "default-src 'none'" in response.headers["content-security-policy"]


def test_a_key_file_that_others_can_read_is_refused(home: Home) -> None:
    (home.folder / "loose").write_bytes((home.folder / "ann").read_bytes())
    (home.folder / "loose").chmod(0o644)
    assert home.refused(3, "person", "list", key="loose")["code"] == "key.file.permission"


def test_a_key_is_never_overwritten(home: Home) -> None:
    assert home.refused(3, "key", "generate", "ann")["code"] == "file.new.exists"


def test_ssh_keygen_reads_what_key_generate_writes(home: Home) -> None:
    shown = subprocess.run(
        ["ssh-keygen", "-y", "-f", "ann"], cwd=home.folder, capture_output=True, check=True
    )
    ours = (home.folder / "ann.pub").read_text().split()[:2]
    assert shown.stdout.decode().split()[:2] == ours


def test_a_key_inside_ssh_agent_signs(home: Home) -> None:
    address = str(home.folder / "agent")
    agent = subprocess.Popen(["ssh-agent", "-D", "-a", address], stdout=subprocess.DEVNULL)
    try:
        while not os.path.exists(address):
            assert agent.poll() is None
        added = {**home.environment, "SSH_AUTH_SOCK": address}
        subprocess.run(
            ["ssh-add", "-q", "ann"], cwd=home.folder, env=added, check=True, capture_output=True
        )
        home.environment["SSH_AUTH_SOCK"] = address
        assert home.ask("person", "list", key="ann.pub")["people"]
        record = home.refused(4, "person", "list", key="bob.pub")
        assert record["code"] == "key.agent.failed"
    finally:
        home.environment.pop("SSH_AUTH_SOCK", None)
        agent.terminate()
        agent.wait(300)


def test_a_request_proof_is_an_ssh_signature(home: Home) -> None:
    made = home.ask("person", "request", "zoe", key="bob")
    message = json.dumps(
        {"installation": "thermostat", "key": made["key"], "person": "zoe"},
        separators=(",", ":"),
    ).encode()
    signer = sshsig.verify(made["proof"].encode(), message, "surefoot-enrol")
    assert signer == keys.parse_public_line(made["key"])[0]


def test_the_example_is_copied(home: Home) -> None:
    home.ask("init", "--example", "mine")
    assert (home.folder / "mine" / "surefoot.yaml").is_file()
    assert home.refused(3, "init", "--example", "mine")["code"] == "file.new.exists"


def test_a_proof_is_asked_for_and_verified_offline(home: Home) -> None:
    key = home.ask("installation", "show")["log_key"]
    made = home.ask("environment", "show", "production", "--prove", "absent.json")
    assert (made["proved"], made["exists"], made["stream"]) == (True, False, "env/production")
    again = home.ask("journal", "prove", "production", "again.json")
    assert again["key"] == key
    assert home.refused(3, "journal", "prove", "production", "again.json")["code"] == (
        "file.new.exists"
    )
    shown = home.run("verify", "absent.json", "--log-key", key)
    assert shown.returncode == 0, shown.stderr
    for words in ("There was no env/production at", "self-timestamped", "what this does not prove"):
        assert words in shown.stdout
    assert "which you pinned" in shown.stdout


def test_a_proof_without_a_pinned_key_or_changed_by_hand_is_not_taken(home: Home) -> None:
    home.ask("journal", "prove", "staging", "proof.json")
    key = home.ask("installation", "show")["log_key"]
    assert home.refused(3, "verify", "proof.json")["code"] == "proof.key.unpinned"
    (home.folder / "log.vkey").write_text(key + "\n")
    assert home.ask("verify", "proof.json", "--log-key", "log.vkey")["pinned"]
    text = (home.folder / "proof.json").read_text()
    (home.folder / "proof.json").write_text(text.replace('"at":"2', '"at":"3'))
    record = home.refused(5, "verify", "proof.json", "--log-key", key)
    assert record["code"].startswith("proof.")


def test_an_entry_is_proved_as_text_that_others_read(home: Home) -> None:
    key = home.ask("installation", "show")["log_key"]
    made = home.ask("journal", "prove-entry", "0", "entry.tlog-proof")
    assert made["bytes"] == len((home.folder / "entry.tlog-proof").read_bytes())
    shown = home.run("verify", "entry.tlog-proof", "--log-key", key)
    assert shown.returncode == 0 and "entry 0 of" in shown.stdout, shown.stderr
    assert home.ask("verify", "entry.tlog-proof", "--log-key", key)["entry"]["n"] == 0
    assert home.refused(3, "verify", "entry.tlog-proof")["code"] == "proof.key.unpinned"
    missing = home.refused(3, "journal", "prove-entry", "999999", "none")
    assert missing["code"] == "proof.entry.missing"


def test_evidence_is_asked_for(home: Home) -> None:
    made = home.ask("environment", "show", "staging", "--prove", "shown.json", "--evidence")
    bundle = json.loads((home.folder / "shown.json").read_text())
    assert bundle.get("evidence", []) == [] and made["proved"]


def test_nothing_is_proved_about_the_future_or_an_unknown_release(home: Home) -> None:
    future = ("journal", "prove", "staging", "f.json", "--at", "2999-01-01T00:00Z")
    assert home.refused(3, *future)["code"] == "proof.time.input"
    never = ("release", "never", "9.9.9", "staging", "--from", "2020-01-01T00:00Z")
    assert home.refused(3, *never)["code"] == "request.argument.input"
    assert home.refused(3, *never, "--prove", "n.json")["code"] == "release.unknown"
