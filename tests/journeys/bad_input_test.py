"""Bad input at every door: command line, API and device door, against one real server.

Each is answered with code, subject, expected, found and remedy, with the status its kind has, and
the journal is as it was, or longer by the recorded refusal alone.
"""

from __future__ import annotations

import base64
import http.client
import json
import os
import shutil
import socket
import sqlite3
import subprocess
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager, suppress
from pathlib import Path
from typing import Any, NamedTuple

import pytest

from surefoot.core.errors import Corrupt, Failed, Refused
from surefoot.doors import words
from surefoot.doors.cli import signer
from surefoot.testing.control_plane import ControlPlane
from surefoot.testing.waiting import until
from surefoot.trust import envelope
from surefoot.trust.keys import private_key

pytestmark = [pytest.mark.xdist_group("bad-input"), pytest.mark.timeout(600)]

EXAMPLE = Path(__file__).resolve().parents[2] / "examples" / "thermostat"
DEVICE = "thermostat-1"
JSON = {"content-type": "application/json"}
EXIT = {kind.kind: kind.exit_status for kind in (Refused, Failed, Corrupt)}
LOW_BYTES = 32 * 1024 * 1024
MOUNTED_BYTES = 256 * 1024 * 1024


class Answer(NamedTuple):
    """What a door said."""

    status: int
    content: bytes

    @property
    def record(self) -> dict[str, str]:
        found: dict[str, str] = json.loads(self.content)
        return found


class Place:
    """An installation with a release, deployed to dev; its data folder may be a small disk."""

    def __init__(self, folder: Path) -> None:
        self.stage = ControlPlane(folder, EXAMPLE)
        self.mounted = self._mount()
        self.token = ""

    def set_up(self) -> None:
        """People, a release, dev, and a device."""
        self.stage.install()
        self.stage.ask("olga", "release", "create", "1.0.0")
        self.stage.deploy("dev", "1.0.0")
        self.token = self.stage.enrol("dev", DEVICE)
        self.signers = {who: signer.load(self.stage.keys / who) for who in ("bob", "olga")}

    def _mount(self) -> bool:
        """A disk of its own, where that is allowed: root may, a laptop's user may not."""
        self.stage.data.mkdir(mode=0o700)
        done = subprocess.run(
            ["mount", "-t", "tmpfs", "-o", f"size={MOUNTED_BYTES},mode=700", "tmpfs",
             str(self.stage.data)],
            capture_output=True, check=False,
        ) if os.geteuid() == 0 and shutil.which("mount") else None  # fmt: skip
        return done is not None and done.returncode == 0

    def close(self) -> None:
        self.stage.close()
        if self.mounted:
            subprocess.run(["umount", "--lazy", str(self.stage.data)], check=True)

    # -- doors ------------------------------------------------------------------------------------

    def api(
        self,
        method: str,
        target: str,
        body: bytes = b"",
        who: str = "olga",
        changed: dict[str, str] | None = None,
    ) -> Answer:
        """A signed request, with some of its headers changed afterwards."""
        now, nonce = int(time.time() * 1000), os.urandom(16).hex()
        message = words.request_bytes(
            method, target, body, time_ms=now, nonce=nonce, installation="demo"
        )
        key = self.signers[who]
        headers = {
            words.KEY_HEADER: key.keyid,
            words.TIME_HEADER: str(now),
            words.NONCE_HEADER: nonce,
            words.SIGNATURE_HEADER: base64.b64encode(key.sign(message)).decode(),
        }
        return _exchange(self.stage.address, method, target, body, headers | JSON | (changed or {}))

    def post(self, target: str, values: dict[str, Any], who: str = "olga") -> Answer:
        return self.api("POST", target, json.dumps(values).encode(), who)

    def size(self) -> int:
        found = json.loads(self.api("GET", "/v1/installation").content)
        return int(found["size"])

    def added(self, size: int) -> list[str]:
        """Kinds of the entries since a size."""
        listed = json.loads(self.api("GET", "/v1/journal?limit=500").content)
        return [row["kind"] for row in listed["entries"] if row["index"] >= size]

    def cli(self, who: str, *said: str, stdin: str = "") -> tuple[int, dict[str, str]]:
        done = self.stage.start(who, *said, stdin=stdin)
        assert done.returncode, done.stdout
        found: dict[str, str] = json.loads(done.stderr.strip().splitlines()[-1])
        return done.returncode, found

    # -- the disk ---------------------------------------------------------------------------------

    @contextmanager
    def full_disk(self) -> Iterator[None]:
        """Less than the server wants to keep free is left; afterwards it is there again."""
        filler = self.stage.data / "filler"
        free = shutil.disk_usage(self.stage.data).free
        with filler.open("wb") as file:
            os.posix_fallocate(file.fileno(), 0, free - LOW_BYTES)
        try:
            yield
        finally:
            filler.unlink()


def _exchange(
    address: str, method: str, target: str, body: bytes, headers: dict[str, str]
) -> Answer:
    host, _, port = address.removeprefix("http://").partition(":")
    with closing(http.client.HTTPConnection(host, int(port), timeout=90)) as connection:
        connection.request(method, target, body or None, headers)
        response = connection.getresponse()
        return Answer(response.status, response.read())


@pytest.fixture(scope="module")
def place() -> Iterator[Place]:
    # A short path: a Unix socket's may have 107 bytes only.
    with tempfile.TemporaryDirectory(prefix="sf-", ignore_cleanup_errors=True) as name:
        made = Place(Path(name))
        try:
            made.set_up()
            yield made
        finally:
            made.close()


@pytest.fixture
def unchanged(place: Place) -> Iterator[None]:
    """Nothing was written but refusals."""
    before = place.size()
    yield
    assert set(place.added(before)) <= {"RequestRefused"}


def _whole(record: dict[str, str], code: str) -> None:
    """All five parts are there, and say something."""
    assert record["code"] == code, record
    for part in ("subject", "expected", "found", "remedy"):
        assert record[part], record


def _said(place: Place, code: str, who: str, *said: str) -> dict[str, str]:
    """The command line refuses with this code and the exit status of its kind."""
    status, record = place.cli(who, *said)
    _whole(record, code)
    assert status == EXIT[record["kind"]], record
    return record


def _answered(answer: Answer, status: int, code: str) -> dict[str, str]:
    """The API refuses with this code and status."""
    assert answer.status == status, answer
    _whole(answer.record, code)
    return answer.record


# -- the definition -------------------------------------------------------------------------------


def _definition(place: Place, change: Callable[[str], str]) -> dict[str, str]:
    """What accepting a changed definition is refused with; the commit is taken back."""
    stage = place.stage
    file = stage.repository / "surefoot.yaml"
    file.write_text(change(file.read_text()))
    stage.commit("ann", "Change the definition")
    try:
        record = _said(place, "product.definition.input", "bob", "definition", "accept", "HEAD")
        answer = place.post("/v1/definition", {"commit": "HEAD"}, "bob")
        assert _answered(answer, 422, "product.definition.input")["subject"] == record["subject"]
    finally:
        stage.git("ann", "reset", "--quiet", "--hard", "HEAD~1")
    return record


@pytest.mark.usefixtures("unchanged")
@pytest.mark.parametrize(
    ("old", "new", "place_in_file", "found"),
    [
        ("roles:", "roles: [", r"surefoot.yaml:62:3", "expected ','"),
        ("\ntools:\n", "\ntols:\n", "surefoot.yaml:65:1", "tols"),
        ("database: main", "database: nope", "surefoot.yaml:23:7", "nope"),
    ],
    ids=["broken YAML", "unknown key", "unknown component"],
)
def test_a_definition_says_file_line_and_column(
    place: Place, old: str, new: str, place_in_file: str, found: str
) -> None:
    record = _definition(place, lambda text: text.replace(old, new, 1))
    assert record["subject"].startswith(place_in_file), record
    assert found in record["found"], record


# -- names, numbers, moments ----------------------------------------------------------------------

UNKNOWN = [
    ("environment.unknown", 404, "GET", "/environments/moon", "environment show moon"),
    ("environment.unknown", 404, "GET", "/environments/d%C3%A9v", "environment show dév"),
    ("environment.unknown", 404, "GET", "/environments/dev%2F..", "environment show dev/.."),
    ("environment.unknown", 404, "POST", "/environments/moon/drift", "drift check moon"),
    ("release.unknown", 404, "GET", "/releases/9.9.9", "release show 9.9.9"),
    ("deployment.unknown", 404, "GET", "/deployments/99", "deployment show 99"),
    ("deployment.unknown", 404, "POST", "/deployments/99/pause", "deployment pause 99"),
    ("deployment.ended", 409, "POST", "/deployments/1/pause", "deployment pause 1"),
    ("deployment.ended", 409, "POST", "/deployments/1/cancel", "deployment cancel 1"),
    ("deployment.review.nothing", 409, "POST", "/deployments/1/review", "deployment review 1"),
    ("rollback.nothing", 409, "POST", "/deployments/1/rollback", "deployment rollback 1"),
    ("request.argument.input", 422, "GET", "/deployments/0", "deployment show 0"),
    ("request.argument.input", 422, "GET", "/deployments/-1", "deployment show -1"),
    ("request.argument.input", 422, "GET", f"/journal/{2**63}", f"journal entry {2**63}"),
    ("journal.entry.unknown", 404, "GET", "/journal/99999", "journal entry 99999"),
    ("drift.none", 409, "POST", "/environments/dev/drift/revert", "drift revert dev"),
    ("backup.missing", 409, "POST", "/environments/dev/rebuild", "environment rebuild dev"),
    ("environment.empty", 409, "POST", "/environments/production/destroy",
     "environment destroy production"),
    ("device.name.unknown", 404, "GET", "/environments/dev/devices/no", "device show dev no"),
    ("job.unknown", 404, "GET", "/jobs/..%2f..", ""),
    ("policy.permission.unknown", 404, "GET", "/who-can?permission=deploy.moon",
     "who-can deploy moon"),
    ("time.form.input", 422, "GET", "/environments/dev?at=soon", "environment show dev --at soon"),
    ("time.range.input", 422, "GET", "/environments/dev?at=0001-01-01T00:00%2B14:00",
     "environment show dev --at 0001-01-01T00:00+14:00"),
    ("time.range.input", 422, "GET", "/environments/dev?at=9999-12-31T23:59-14:00",
     "environment show dev --at 9999-12-31T23:59-14:00"),
    ("request.path.unknown", 404, "GET", "/environments/dev/../dev", ""),
    ("request.path.unknown", 404, "PATCH", "/environments/dev", ""),
    ("request.path.unknown", 404, "DELETE", "/deployments/1", ""),
]  # fmt: skip


@pytest.mark.usefixtures("unchanged")
@pytest.mark.parametrize(("code", "status", "method", "target", "said"), UNKNOWN)
def test_what_is_not_there(
    place: Place, code: str, status: int, method: str, target: str, said: str
) -> None:
    record = _answered(place.api(method, f"/v1{target}"), status, code)
    if said:
        assert _said(place, code, "olga", *said.split(" "))["subject"] == record["subject"]


def test_what_was_before_there_was_anything(place: Place) -> None:
    """A moment before an environment is an answer and no error."""
    found = place.stage.ask("olga", "environment", "show", "dev", "--at", "2001-01-01")
    assert found["exists"] is False
    found = place.stage.ask("olga", "deployment", "show", "1", "--at", "2001-01-01")
    assert found["status"] == "unknown at that time"


@pytest.mark.parametrize(
    ("said", "advice"),
    [
        ("deploymnt list", "did you mean deployment?"),
        ("deployment lst", "did you mean list?"),
        ("deployment list --enviroment dev", "did you mean --environment?"),
        ("deployment plan dev 1.0.0 --purpose rolback", "did you mean rollback?"),
    ],
)
def test_a_mistyped_word_gets_the_nearest(place: Place, said: str, advice: str) -> None:
    done = place.stage.start("olga", *said.split())
    assert done.returncode == 2
    assert advice in done.stderr


def test_an_empty_word_is_no_name(place: Place) -> None:
    """Left out of the path it would ask for something else."""
    _said(place, "request.argument.input", "olga", "environment", "show", "")
    _answered(place.api("GET", "/v1/environments/"), 404, "environment.unknown")


# -- bodies ---------------------------------------------------------------------------------------

BODIES = [
    (b"{", 422, "request.body.input"),
    (b"[]", 422, "request.body.input"),
    (b"\xff\xfe", 422, "request.body.input"),
    (b"[" * 100_000, 422, "request.body.input"),
    (b'{"environment":' + b"[" * 100_000, 422, "request.body.input"),
    (b'{"environment":"\\ud800"}', 422, "request.body.input"),
    (b'{"environment":"dev","environment":"dev"}', 422, "request.body.input"),
    (b'{"environment":"dev","release":' + b"9" * 9000 + b"}", 422, "request.body.input"),
    (b'{"environment":5}', 422, "request.argument.input"),
    (b'{"environment":null}', 422, "request.argument.input"),
    (b'{"environment":"dev","release":NaN}', 422, "request.argument.input"),
    (b'{"environmnt":"dev"}', 422, "request.argument.input"),
    (b"{}", 422, "request.argument.input"),
    (b'{"environment":"\\u0000dev"}', 404, "environment.unknown"),
    (b'{"environment":"dev","release":"' + b"9" * 90_000 + b'"}', 404, "release.unknown"),
    (b'{"environment":"dev"}', 404, "release.unknown"),
    (b"x" * (words.BODY_BYTES_MAX + 1), 413, "request.body.oversize"),
]


@pytest.mark.usefixtures("unchanged")
@pytest.mark.parametrize(
    ("body", "status", "code"), BODIES, ids=[body[:32].decode("latin-1") for body, _, _ in BODIES]
)
def test_a_body_that_is_none(place: Place, body: bytes, status: int, code: str) -> None:
    record = _answered(place.api("POST", "/v1/deployments", body), status, code)
    assert all(len(text) < 1000 for text in record.values())
    if b"environmnt" in body:
        assert record["remedy"] == "did you mean environment?"


@pytest.mark.usefixtures("unchanged")
def test_a_form_is_no_json(place: Place) -> None:
    kind = {"content-type": "application/x-www-form-urlencoded"}
    answer = place.api("POST", "/v1/deployments", b"environment=dev", changed=kind)
    _answered(answer, 422, "request.body.input")


# -- signatures -----------------------------------------------------------------------------------


@pytest.mark.usefixtures("unchanged")
@pytest.mark.parametrize(
    ("changed", "code"),
    [
        ({words.SIGNATURE_HEADER: base64.b64encode(bytes(64)).decode()}, "request.signature"),
        ({words.TIME_HEADER: "1"}, "request.time"),
        ({words.NONCE_HEADER: "short"}, "request.header"),
        ({words.KEY_HEADER: "SHA256:" + "A" * 43}, "request.key"),
        ({words.KEY_HEADER: ""}, "request.missing"),
    ],
    ids=["signature", "time", "nonce", "key", "none"],
)
def test_a_request_with_a_bad_signature(place: Place, changed: dict[str, str], code: str) -> None:
    answer = place.api("POST", "/v1/deployments", b"{}", changed=changed)
    _answered(answer, 401, f"{code}.unauthenticated")


def test_an_unknown_key_on_the_command_line(place: Place) -> None:
    place.stage.ask("", "key", "generate", str(place.stage.keys / "eve"))
    _said(place, "request.key.unauthenticated", "eve", "environment", "list")


@pytest.mark.usefixtures("unchanged")
def test_an_approval_and_a_release_that_nobody_enrolled_signed(place: Place) -> None:
    eve = private_key(os.urandom(32))
    payload = words.approval_bytes(1, "dev", "sha256:" + "0" * 64, "approve")
    forged = base64.b64encode(envelope.seal(words.APPROVAL_TYPE, payload, [eve])).decode()
    answer = place.post("/v1/deployments/1/approvals", {"envelope": forged}, "bob")
    _answered(answer, 403, "approval.envelope.signature")
    sealed = envelope.seal(words.RELEASE_TYPE, b"{}", [eve])
    answer = place.post("/v1/releases", {"envelope": base64.b64encode(sealed).decode()})
    _answered(answer, 403, "release.manifest.signature")
    for text in ("!!!", "e30="):
        answer = place.post("/v1/releases", {"envelope": text})
        _answered(answer, 403, "release.manifest.signature")


# -- releases, plans, purposes --------------------------------------------------------------------


@pytest.mark.usefixtures("unchanged")
def test_a_version_that_exists_with_other_content(place: Place) -> None:
    stage = place.stage
    (stage.repository / "service" / "extra.txt").write_text("more\n")
    stage.commit("ann", "More")
    try:
        record = _said(place, "release.version.taken", "olga", "release", "create", "1.0.0")
    finally:
        stage.git("ann", "reset", "--quiet", "--hard", "HEAD~1")
    assert record["expected"] != record["found"]


@pytest.mark.usefixtures("unchanged")
def test_an_unknown_commit_and_a_bad_version(place: Place) -> None:
    _said(place, "source.ref.unknown", "olga", "release", "create", "2.0.0", "--commit", "dead")
    _said(place, "release.version.input", "olga", "release", "create", "two")


def test_a_plan_that_moved(place: Place) -> None:
    answer = place.post(
        "/v1/deployments",
        {"environment": "dev", "release": "1.0.0", "digest": "sha256:" + "0" * 64},
    )
    _answered(answer, 409, "plan.parent.moved")
    said = ("deployment", "request", "dev", "1.0.0", "--digest", "sha256:" + "0" * 64)
    _said(place, "plan.parent.moved", "olga", *said)


def test_data_is_never_brought_back_over_data(place: Place) -> None:
    """A rebuild is for what is gone; a clone for what is new; a way back for what was there."""
    stage = place.stage
    stage.deploy("dev", "--purpose", "backup")
    before = place.size()
    _said(place, "environment.present", "olga", "environment", "rebuild", "dev")
    _answered(place.post("/v1/environments/dev/rebuild", {}), 409, "environment.present")
    _said(place, "environment.exists", "olga", "environment", "clone", "dev", "staging")
    _said(place, "name.form.input", "olga", "environment", "clone", "dev", "dév")
    said = ("deployment", "request", "dev", "--purpose", "clone")
    _said(place, "environment.source.missing", "olga", *said)
    said = ("deployment", "request", "staging", "1.0.0", "--purpose", "rollback")
    _said(place, "rollback.release.new", "olga", *said)
    _said(place, "deployment.order", "olga", "deployment", "request", "production", "1.0.0")
    assert set(place.added(before)) <= {"RequestRefused"}


def test_a_database_that_is_gone_is_not_replaced_by_an_empty_one(place: Place) -> None:
    file = place.stage.data / "targets" / "dev" / "data" / "main.sqlite"
    away = file.with_suffix(".away")
    before = place.size()
    file.rename(away)
    try:
        said = ("deployment", "request", "dev", "1.0.0")
        _said(place, "environment.database.gone", "olga", *said)
        answer = place.post("/v1/deployments", {"environment": "dev", "release": "1.0.0"})
        _answered(answer, 409, "environment.database.gone")
        rebuild = place.stage.ask("olga", "deployment", "plan", "dev", "--purpose", "rebuild")
        assert any(step["action"] == "restore" for step in rebuild["steps"])
    finally:
        away.rename(file)
    assert set(place.added(before)) <= {"RequestRefused"}


# -- devices --------------------------------------------------------------------------------------


@pytest.mark.usefixtures("unchanged")
@pytest.mark.parametrize(
    ("method", "path", "body", "status", "code"),
    [
        ("GET", "", b"", 401, "device.token.refused"),
        ("PUT", "/configData", b"{", 400, "device.body.input"),
        ("PUT", "/configData", b'{"data":{"a":5}}', 400, "device.body.input"),
        ("PUT", "/configData", b"[" * 60_000, 400, "device.body.input"),
        ("PUT", "/configData", b" " * 70_000, 413, "device.body.large"),
        ("GET", "/deploymentBase/999", b"", 404, "device.action.unknown"),
        ("GET", "/deploymentBase/-1", b"", 404, "device.action.unknown"),
        ("POST", "/deploymentBase/1/feedback", b'{"status":{}}', 400, "device.body.input"),
        ("GET", "/nowhere", b"", 404, "device.path.unknown"),
    ],
)
def test_the_device_door(
    place: Place, method: str, path: str, body: bytes, status: int, code: str
) -> None:
    token = place.token if code != "device.token.refused" else "nobody's"
    root = f"/dev/controller/v1/{DEVICE}"
    headers = {"authorization": f"TargetToken {token}"} | JSON
    logged = len(place.stage.log.read_text().splitlines())
    answer = _exchange(place.stage.devices_address, method, root + path, body, headers)
    assert answer.status == status, answer
    _whole(json.loads(answer.content)["info"], code)
    lines = place.stage.log.read_text().splitlines()[logged:]
    (line,) = [json.loads(each) for each in lines if "device" in each]
    assert code in str(line) and token not in str(line)


# -- the machine ----------------------------------------------------------------------------------


def test_a_port_in_use_and_a_second_server(place: Place, tmp_path: Path) -> None:
    stage = place.stage
    before = place.size()
    record = _said(
        place, "store.directory.locked", "", "server", "run", "--data", str(stage.data)
    )  # fmt: skip
    assert "process" in record["found"]
    other = tmp_path / "other"
    founders = [
        word for who in ("ann", "bob") for word in ("--founder", f"{who}={stage.keys / who}.pub")
    ]
    named = ("--repository", str(stage.repository), "--product", "other")
    stage.ask("", "init", str(other), *founders, *named)
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        address = f"127.0.0.1:{taken.getsockname()[1]}"
        words_ = ("server", "run", "--data", str(other), "--listen", address)
        record = _said(place, "server.listen.taken", "", *words_)
    assert address in record["subject"]
    assert place.size() == before, "the running server did not notice"


def _ended(place: Place, number: int) -> dict[str, Any]:
    found: dict[str, Any] = json.loads(place.api("GET", f"/v1/deployments/{number}").content)
    return found


def test_a_full_disk_stops_before_acting_and_it_goes_on_by_itself(place: Place) -> None:
    stage = place.stage
    if not place.mounted:
        _too_little_is_free(place)
        return
    answer = place.post("/v1/deployments", {"environment": "staging", "release": "1.0.0"})
    assert answer.status == 200, answer
    number = int(json.loads(answer.content)["deployment"])
    with place.full_disk():
        # The engine has met the full disk: what was under way is written down by now.
        until(lambda: "store.disk.full" in stage.log.read_text())
        size = place.size()
        begun = _ended(place, number)
        assert not begun["ended_at"], "it must be stopped half way"
        said = ("deployment", "request", "dev", "1.0.0")
        record = _said(place, "store.disk.full", "olga", *said)
        assert "free" in record["remedy"]
        answer = place.post("/v1/environments/dev/backups", {})
        _answered(answer, 502, "store.disk.full")
        secrets = place.stage.ask("olga", "secret", "list", "dev")
        value = base64.b64encode(b"new").decode()
        target = "/v1/environments/dev/secrets/session_key"
        answer = place.api("PUT", target, json.dumps({"value": value}).encode())
        _answered(answer, 502, "store.disk.full")
        assert place.stage.ask("olga", "secret", "list", "dev") == secrets
        time.sleep(1.5)
        assert place.size() == size, "nothing claimed, nothing recorded"
        assert _steps(_ended(place, number)) == _steps(begun)
        told = [line for line in stage.log.read_text().splitlines() if "store.disk.full" in line]
        assert 0 < len(told) < 20, "said, and not again and again"
    shown = stage.ended(number)
    assert all(step["claims"] <= 2 for step in shown["steps"])
    assert [s["status"] for s in shown["steps"]] == ["done"] * len(shown["steps"])


def _too_little_is_free(place: Place) -> None:
    """Without a disk of our own to fill: the server wants more kept free than there is."""
    stage, file = place.stage, place.stage.data / "settings.json"
    settings, before = file.read_text(), place.size()
    stage.stop()
    file.write_text(json.dumps({**json.loads(settings), "free_bytes_min": 2**62}))
    stage.serve()
    _said(place, "store.disk.full", "olga", "deployment", "request", "staging", "1.0.0")
    _answered(place.post("/v1/environments/dev/backups", {}), 502, "store.disk.full")
    assert place.size() == before
    stage.stop()
    file.write_text(settings)
    stage.serve()
    stage.deploy("staging", "1.0.0")


def _steps(shown: dict[str, Any]) -> list[tuple[str, str, int]]:
    return [(s["id"], s["status"], s["claims"]) for s in shown["steps"]]


def test_an_approval_after_the_plan_moved(place: Place) -> None:
    stage = place.stage
    shown = stage.ask("olga", "environment", "show", "staging")
    if shown["release_version"] != "1.0.0":
        stage.deploy("staging", "1.0.0")
    asked = stage.ask("olga", "deployment", "request", "production", "1.0.0")
    number = str(asked["deployment"])
    first = stage.ask("bob", "deployment", "approve", number, "--yes")
    before = place.size()
    assert stage.ask("bob", "deployment", "approve", number, "--yes") == first, "twice is once"
    _said(place, "policy.approver.role", "olga", "deployment", "approve", number, "--yes")
    assert set(place.added(before)) <= {"RequestRefused"}
    stage.set_secret("production")
    before = place.size()
    _said(place, "plan.parent.moved", "cyn", "deployment", "approve", number, "--yes")
    assert set(place.added(before)) <= {"RequestRefused", "DeploymentVoided"}
    stage.ask("olga", "deployment", "cancel", number)
    again = str(stage.ask("olga", "deployment", "request", "production", "1.0.0")["deployment"])
    assert stage.ask("cyn", "deployment", "reject", again, "--yes")["status"] == "rejected"
    _said(place, "deployment.not-waiting", "bob", "deployment", "approve", again, "--yes")
    _said(place, "deployment.ended", "olga", "deployment", "cancel", again)
    _said(place, "deployment.ended", "olga", "deployment", "pause", again)


def test_a_journal_with_one_changed_byte_is_read_only_with_an_alarm(place: Place) -> None:
    stage = place.stage
    size = place.size()
    stage.stop()
    file = stage.data / "store" / "surefoot.db"
    index, raw = _flip(file)
    try:
        stage.serve()
        _alarmed(place, index)
    finally:
        stage.stop()
        with closing(sqlite3.connect(file)) as database, database:
            database.execute("UPDATE entries SET raw = ? WHERE idx = ?", (raw, index))
        stage.serve()
    assert "alarm" not in stage.ask("olga", "installation", "show")
    assert place.size() >= size
    assert stage.ask("olga", "journal", "verify")["ok"]


def _flip(file: Path) -> tuple[int, bytes]:
    """One byte of an approval of the rules is changed; returns what it was."""
    with closing(sqlite3.connect(file)) as database, database:
        index, raw = database.execute(
            "SELECT idx, raw FROM entries WHERE kind = 'StepFinished' ORDER BY idx DESC LIMIT 1"
        ).fetchone()
        changed = bytes(raw).replace(b'"done"', b'"dome"', 1)
        assert changed != raw
        database.execute("UPDATE entries SET raw = ? WHERE idx = ?", (changed, index))
    return index, bytes(raw)


def _alarmed(place: Place, index: int) -> None:
    stage = place.stage
    alarm = stage.ask("olga", "installation", "show")["alarm"]
    assert alarm["kind"] == "corrupt"
    assert str(index) in alarm["subject"]
    for environment in ("dev", "staging", "production"):
        status, record = place.cli("olga", "deployment", "request", environment, "1.0.0")
        assert status == 5, record
        _whole(record, alarm["code"])
    answer = place.post("/v1/environments/dev/backups", {})
    _answered(answer, 500, alarm["code"])
    assert stage.ask("olga", "environment", "show", "dev")["release_version"] == "1.0.0"
    page = _page(place)
    assert "this server only reads" in page
    assert alarm["subject"] in page


def _page(place: Place) -> str:
    link = place.stage.ask("olga", "login")["link"]
    host, _, port = place.stage.address.removeprefix("http://").partition(":")
    with closing(http.client.HTTPConnection(host, int(port), timeout=90)) as connection:
        connection.request("GET", "/" + link.split("/", 3)[3])
        response = connection.getresponse()
        response.read()
        cookie = response.headers["set-cookie"].split(";")[0]
        with suppress(KeyError):
            connection.request("GET", "/", headers={"cookie": cookie})
        return connection.getresponse().read().decode()
