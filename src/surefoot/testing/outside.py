"""The outside verifier: compares the journal's rows with the targets' own files, trusting neither.

It reads the store with sqlite3, leaves and plans with json, and imports nothing of Surefoot, so
that a mistake in the engine cannot hide itself. It checks, for a folder of the simulator: nothing
a target did was done twice, without a claim, or before its claim was in a signed checkpoint;
every claim has a result or is the open one; no promised approval is lost; what is recorded as
done was done, and the live service is the recorded one. Does not: verify hashes or signatures.
"""

from __future__ import annotations

import base64
import hashlib
import json
import sqlite3
from collections import Counter
from pathlib import Path
from typing import Any

_CHANGES = ("start", "switch", "backup", "migrate", "wave", "return_devices", "revert")

Record = dict[str, Any]


def problems_of(folder: Path) -> list[str]:
    """Everything that does not fit, in words; empty when all is well."""
    entries = read_entries(folder / "store" / "surefoot.db")
    effects = [e for path in _worlds(folder) for e in json.loads(path.read_bytes())["effects"]]
    signed = _signed_size(folder)
    return [
        *_effects(entries, effects, signed),
        *_claims(entries),
        *_results(entries, effects, folder),
        *_promises(entries, folder),
        *_service(entries, folder),
    ]


def read_entries(database: Path) -> list[Record]:
    """All entries in order, with their `index`; seals are left out."""
    connection = sqlite3.connect(f"{database.absolute().as_uri()}?mode=ro", uri=True)
    try:
        rows = connection.execute(
            "SELECT idx, raw FROM entries WHERE stream IS NOT NULL ORDER BY idx"
        ).fetchall()
    finally:
        connection.close()
    return [{**json.loads(raw), "index": index} for index, raw in rows]


def _worlds(folder: Path) -> list[Path]:
    found = sorted((folder / "targets").glob("*.json"))
    return [path for path in found if not path.name.endswith(".receipts.json")]


def _signed_size(folder: Path) -> int:
    note = (folder / "outside" / "last-checkpoint").read_text().splitlines()
    base64.b64decode(note[2], validate=True)
    return int(note[1])


def _operation(body: Record) -> str:
    return f"{body['deployment']}/{body['step']}{'-undo' if body.get('undo') else ''}"


def _of(entries: list[Record], kind: str) -> list[Record]:
    return [entry for entry in entries if entry["kind"] == kind]


def _effects(entries: list[Record], effects: list[list[Any]], signed: int) -> list[str]:
    claims = {entry["index"]: _operation(entry["body"]) for entry in _of(entries, "StepClaimed")}
    found = []
    for operation, count in Counter(effect[0] for effect in effects).items():
        if count > 1:
            found.append(f"{operation} was done {count} times")
    for operation, action, _component, fence in effects:
        if claims.get(fence) != operation:
            found.append(f"{operation} ({action}) has no claim at entry {fence}")
        if fence >= signed:
            found.append(f"{operation} ({action}) came before its claim {fence} was signed")
    return found


def _claims(entries: list[Record]) -> list[str]:
    """Walk each deployment: one claim is open at a time, and only a takeover may replace it."""
    found: list[str] = []
    opened: dict[int, str] = {}
    ended: dict[int, str] = {}
    done: Counter[str] = Counter()
    for entry in entries:
        kind, body = entry["kind"], entry["body"]
        if kind not in ("StepClaimed", "StepFinished", "DeploymentFinished"):
            continue
        number = body["deployment"]
        if number in ended:
            found.append(f"{kind} at {entry['index']} after the end of deployment {number}")
        if kind == "DeploymentFinished":
            ended[number] = body["status"]
            if number in opened:
                found.append(f"deployment {number} ended with {opened[number]} open")
            continue
        operation = _operation(body)
        if kind == "StepClaimed":
            if number in opened and (opened[number] != operation or not body.get("takeover")):
                found.append(f"{operation} was claimed while {opened[number]} was open")
            opened[number] = operation
            continue
        done[operation] += 1
        if opened.pop(number, operation) != operation:
            found.append(f"{operation} finished while another was open")
    found += [f"{operation} has {n} results" for operation, n in done.items() if n > 1]
    return found


def _results(entries: list[Record], effects: list[list[Any]], folder: Path) -> list[str]:
    """What is recorded as done must have been done, by the plan that was asked for."""
    acted = {effect[0] for effect in effects}
    found = []
    for requested in _of(entries, "DeploymentRequested"):
        plan = _plan(folder, requested["body"]["plan"])
        actions = {p["step"]["id"]: p["step"]["action"] for p in plan["steps"]}
        undos = {p["step"]["id"]: p["undo"]["action"] for p in plan["steps"] if "undo" in p}
        for entry in _of(entries, "StepFinished"):
            body = entry["body"]
            if body["deployment"] != requested["body"]["deployment"] or body["status"] != "done":
                continue
            action = (undos if body.get("undo") else actions)[body["step"]]
            if action in _CHANGES and _operation(body) not in acted:
                found.append(f"{_operation(body)} is recorded as done and was not")
    return found


def _plan(folder: Path, digest: str) -> Record:
    name = digest.removeprefix("sha256:")
    content = (folder / "blobs" / "sha256" / name[:2] / name[2:]).read_bytes()
    if hashlib.sha256(content).hexdigest() != name:
        raise ValueError(f"plan {digest} differs from its digest")
    plan: Record = json.loads(content)
    return plan


def _promises(entries: list[Record], folder: Path) -> list[str]:
    promised = (folder / "promises").read_text().splitlines()
    given = {
        f"{entry['body']['deployment']} {entry['body']['person']}"
        for entry in _of(entries, "ApprovalGiven")
    }
    return [f"approval {promise} is lost" for promise in promised if promise not in given]


def _service(entries: list[Record], folder: Path) -> list[str]:
    """Between deployments, what runs is what the record says runs."""
    numbers = {entry["body"]["deployment"] for entry in _of(entries, "DeploymentRequested")}
    ended = {entry["body"]["deployment"] for entry in _of(entries, "DeploymentFinished")}
    if numbers - ended:
        return []
    recorded = ""
    for entry in entries:
        if entry["body"].get("component") == "api":
            recorded = entry["body"].get("artifact", "")
    world = json.loads((folder / "targets" / "process.json").read_bytes())
    service = world["components"]["api"]
    running = service["generations"].get(service["live"], {}).get("artifact", "")
    return [] if running == recorded else [f"api runs {running}, recorded is {recorded}"]
