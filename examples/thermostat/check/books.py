"""The books: counts from outside whether anything was lost, doubled or made up.

Imports nothing of Surefoot. Reads what the clients wrote down, the service's database, an export
of the journal (tiles, as any C2SP program reads them) and what the environment says of itself,
and compares them. Each line of the report is one comparison.

Usage: python3 books.py [--clients FOLDER] [--database FILE]... [--journal FOLDER]
       [--environment FILE] [--devices FILE]
`--environment` is the output of `surefoot environment show NAME -o json`; `--devices` a JSON list
of devices, each with its state. What is not given is not checked, and the report says so.

Exit status: 0 the books balance, 1 they do not, 2 something cannot be read.
"""

from __future__ import annotations

import argparse
import json
import sqlite3
import sys
from collections import Counter
from contextlib import closing
from pathlib import Path

import journal

SHOWN_MAX = 5
GOOD = (200, 201)


class Books:
    """The comparisons made so far."""

    def __init__(self) -> None:
        self.lines: list[dict[str, object]] = []

    def compare(self, what: str, expected: object, found: object, wrong: list[str]) -> None:
        """One comparison: balanced when both are equal and nothing is named as wrong."""
        line = {"what": what, "expected": expected, "found": found}
        line |= {"balanced": expected == found and not wrong, "wrong": wrong[:SHOWN_MAX]}
        self.lines.append(line)

    def balanced(self) -> bool:
        """Whether at least one comparison was made, and all balance."""
        return bool(self.lines) and all(line["balanced"] for line in self.lines)


class Requests:
    """What the clients wrote down."""

    def __init__(self, folder: Path) -> None:
        self.sent, self.answered, self.failed = 0, 0, 0
        self.rows: dict[tuple[str, int], float] = {}  # acknowledged
        self.tried: set[tuple[str, int]] = set()
        self.wrong: list[str] = []
        logs = sorted(folder.glob("*.jsonl"))
        if not logs:
            raise OSError(f"{folder}: no logs of clients")
        for log in logs:
            self._read(log)

    def _read(self, log: Path) -> None:
        open_requests: dict[int, dict] = {}
        sent, stopped = 0, None
        for line in log.read_text().splitlines():
            entry = json.loads(line)
            if entry["event"] == "sent":
                sent += 1
                self._sent(log, entry, open_requests)
            elif entry["event"] == "stopped":
                stopped = entry["sent"]
            else:
                self._result(log, entry, open_requests)
        self.sent += sent
        self.wrong += [f"{log.name}: request {number}: no result" for number in open_requests]
        if stopped != sent:
            self.wrong.append(f"{log.name}: ended with {stopped} sent, found {sent}")

    def _sent(self, log: Path, entry: dict, open_requests: dict[int, dict]) -> None:
        if entry["request"] in open_requests:
            self.wrong.append(f"{log.name}: request {entry['request']}: sent twice")
        open_requests[entry["request"]] = entry
        if "row" in entry:
            self.tried.add((entry["row"]["device"], entry["row"]["sequence"]))

    def _result(self, log: Path, entry: dict, open_requests: dict[int, dict]) -> None:
        request = open_requests.pop(entry["request"], None)
        if request is None:
            self.wrong.append(f"{log.name}: request {entry['request']}: a result too many")
        elif entry["event"] == "answered" and entry["status"] in GOOD:
            self.answered += 1
            if "row" in request:
                row = request["row"]
                self.rows[row["device"], row["sequence"]] = row["temperature"]
        else:
            self.failed += 1
            reason = entry.get("reason", entry.get("status"))
            self.wrong.append(f"{log.name}: request {entry['request']}: failed: {reason}")


def check_requests(books: Books, requests: Requests) -> None:
    """Every request sent has one result, and none failed."""
    done = requests.answered + requests.failed
    books.compare("requests sent and answered", requests.sent, done, requests.wrong)
    books.compare("requests failed", 0, requests.failed, [])


def check_rows(books: Books, requests: Requests, databases: list[Path]) -> None:
    """Every acknowledged row is there once, as it was sent; none is there that nobody sent."""
    found: Counter[tuple[str, int]] = Counter()
    wrong = []
    devices = {device for device, _ in requests.tried}
    for path in databases:
        address = path.absolute().as_uri() + "?mode=ro"
        with closing(sqlite3.connect(address, uri=True, timeout=10)) as connection:
            rows = connection.execute("SELECT device, sequence, temperature FROM telemetry")
            for device, sequence, temperature in rows:
                if device not in devices:
                    continue
                found[device, sequence] += 1
                if (device, sequence) not in requests.tried:
                    wrong.append(f"{device} {sequence}: in the database, never sent")
                elif requests.rows.get((device, sequence), temperature) != temperature:
                    wrong.append(f"{device} {sequence}: {temperature} is not what was sent")
    lost = [row for row in requests.rows if not found[row]]
    wrong += [f"{device} {sequence}: acknowledged and lost" for device, sequence in lost]
    wrong += [
        f"{row[0]} {row[1]}: there {count} times" for row, count in found.items() if count > 1
    ]
    present = sum(1 for row in requests.rows if found[row])
    books.compare("rows acknowledged and present", len(requests.rows), present, wrong)


def check_claims(books: Books, entries: list[dict]) -> None:
    """Every claim has one result, every result one claim; a takeover continues a claim."""
    open_claims: dict[tuple[int, str, bool], int] = {}
    claims, results, wrong = 0, 0, []
    for entry in entries:
        if entry["kind"] not in (journal.CLAIM, journal.RESULT):
            continue
        body = entry["body"]
        key = (body["deployment"], body["step"], body.get("undo", False))
        name = f"deployment {key[0]} step {key[1]}{' (undo)' if key[2] else ''}"
        if entry["kind"] == journal.CLAIM:
            claims += not body.get("takeover", False)
            if body.get("takeover", False) != (key in open_claims):
                wrong.append(f"{name}: {'claimed twice' if key in open_claims else 'taken over'}")
            open_claims[key] = entry["index"]
        elif key in open_claims:
            results += 1
            del open_claims[key]
        elif not body.get("judged", False):
            wrong.append(f"{name}: a result without a claim")
    for key, index in open_claims.items():
        wrong.append(f"deployment {key[0]} step {key[1]}: claimed at entry {index}, no result")
    books.compare("claims and results", claims, results, wrong)


def check_steps(books: Books, entries: list[dict]) -> None:
    """In a deployment that succeeded, every planned step was done exactly once."""
    planned: dict[int, list[str]] = {}
    done: Counter[tuple[int, str]] = Counter()
    succeeded = set()
    for entry in entries:
        body = entry["body"]
        if entry["kind"] == journal.REQUEST:
            planned[body["deployment"]] = body["steps"]
        elif entry["kind"] == journal.RESULT and not body.get("undo", False):
            done[body["deployment"], body["step"]] += body["status"] == "done"
        elif entry["kind"] == journal.END and body["status"] == "succeeded":
            succeeded.add(body["deployment"])
    expected = [(number, step) for number in succeeded for step in planned[number]]
    wrong = [
        f"deployment {n} step {s}: done {done[n, s]} times" for n, s in expected if done[n, s] != 1
    ]
    found = sum(1 for key in expected if done[key] == 1)
    books.compare("steps of deployments that succeeded, done once", len(expected), found, wrong)


def check_waves(books: Books, entries: list[dict]) -> None:
    """The newest sealed counters of each rollout: no device counted twice, none negative."""
    enrolled: Counter[str] = Counter()
    counters: dict[int, tuple[str, dict[str, dict[str, int]], int]] = {}
    succeeded = set()
    for entry in entries:
        body = entry["body"]
        if entry["kind"] == journal.ENROLLED:
            enrolled[body["environment"]] += body["count"]
        elif entry["kind"] == journal.BATCH and body.get("deployment", 0):
            place = body["environment"]
            counters[body["deployment"]] = (place, body.get("waves", {}), enrolled[place])
        elif entry["kind"] == journal.END and body["status"] == "succeeded":
            succeeded.add(body["deployment"])
    expected, found, wrong = 0, 0, []
    for number, (place, waves, registered) in sorted(counters.items()):
        counts = [n for wave, states in waves.items() if wave != "return" for n in states.values()]
        if any(count < 0 for count in counts) or sum(counts) > registered:
            wrong.append(f"deployment {number}: {sum(counts)} devices of {registered} in {place}")
        if number in succeeded:
            expected, found = expected + registered, found + sum(counts)
    books.compare("devices in the waves of rollouts that succeeded", expected, found, wrong)


def check_environment(books: Books, shown: dict, entries: list[dict] | None) -> None:
    """What the environment says of its devices agrees with the enrolments in the journal."""
    registered, shares = int(shown.get("devices", 0)), shown.get("firmware_shares", {})
    wrong = []
    if sum(shares.values()) > registered:
        wrong.append(f"{sum(shares.values())} devices with a verified firmware")
    expected = registered
    if entries is not None:
        counts = [
            entry["body"]["count"]
            for entry in entries
            if entry["kind"] == journal.ENROLLED and entry["body"]["environment"] == shown["name"]
        ]
        expected = sum(counts)
    books.compare(f"devices registered in {shown['name']}", expected, registered, wrong)


def check_devices(books: Books, listed: object, shown: dict | None) -> None:
    """The devices, counted by state, are as many as are registered, and each is there once."""
    if isinstance(listed, dict):
        listed = listed.get("devices", [])
    names = [str(device.get("device") or device.get("name")) for device in listed]
    states = Counter(str(device.get("state", "none")) for device in listed)
    registered = int(shown["devices"]) if shown is not None else len(set(names))
    wrong = [f"{name}: listed {count} times" for name, count in Counter(names).items() if count > 1]
    words = ", ".join(f"{count} {state}" for state, count in sorted(states.items()))
    books.compare(f"devices by state ({words})", registered, sum(states.values()), wrong)


def report(books: Books, missing: list[str], *, as_json: bool) -> str:
    """The comparisons as text."""
    if as_json:
        return json.dumps({"balanced": books.balanced(), "books": books.lines, "missing": missing})
    lines = []
    for line in books.lines:
        mark = "balanced    " if line["balanced"] else "NOT BALANCED"
        lines.append(f"{mark}  {line['what']}: expected {line['expected']}, found {line['found']}")
        lines += [f"              {reason}" for reason in line["wrong"]]
    lines += [f"not checked   {name} was not given" for name in missing]
    return "\n".join(lines)


def keep(words: argparse.Namespace) -> Books:
    """Make every comparison that the given files allow."""
    books = Books()
    entries = None if words.journal is None else journal.entries(words.journal)
    shown = None if words.environment is None else json.loads(words.environment.read_bytes())
    if words.clients is not None:
        requests = Requests(words.clients)
        check_requests(books, requests)
        if words.database:
            check_rows(books, requests, words.database)
    if entries is not None:
        check_claims(books, entries)
        check_steps(books, entries)
        check_waves(books, entries)
    if shown is not None:
        check_environment(books, shown, entries)
    if words.devices is not None:
        check_devices(books, json.loads(words.devices.read_bytes()), shown)
    return books


def main() -> int:
    """The command line."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    for name in ("clients", "journal", "environment", "devices"):
        parser.add_argument(f"--{name}", type=Path)
    parser.add_argument("--database", type=Path, action="append", default=[])
    parser.add_argument("-o", dest="form", choices=("text", "json"), default="text")
    words = parser.parse_args()
    try:
        books = keep(words)
    except (OSError, ValueError, KeyError, TypeError, AttributeError, sqlite3.Error) as error:
        print(f"books: cannot be read: {type(error).__name__}: {error}", file=sys.stderr)
        return 2
    given = vars(words)
    names = ("clients", "database", "journal", "environment", "devices")
    missing = [f"--{name}" for name in names if not given[name]]
    print(report(books, missing, as_json=words.form == "json"))
    return 0 if books.balanced() else 1


if __name__ == "__main__":
    sys.exit(main())
