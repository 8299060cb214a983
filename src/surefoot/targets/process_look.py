"""What a component looks like now: files, process and keeper, seen from outside.

Keeps: what can be seen is looked at, not asked: files are hashed again, the command line and the
limits come from the kernel, and who listens on the service's socket is asked of the kernel too.
A keeper that does not answer is reported as absent, not as an error.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import msgspec

from surefoot.core.errors import Failed
from surefoot.core.target import Plain
from surefoot.targets.keeper import control, proc
from surefoot.targets.keeper.generation import Record
from surefoot.targets.keeper.keeper import live_of, read_state
from surefoot.targets.process_files import Place
from surefoot.targets.process_words import Start, configuration_keys, declared_digest

EVENTS_SHOWN = 20


def components(folder: Path) -> list[str]:
    """Names of the components that have a folder."""
    if not folder.exists():
        return []
    return sorted(p.name for p in folder.iterdir() if (p / "generations").is_dir())


def look(folder: Path) -> tuple[Plain, Plain]:
    """Stable and volatile keys of the component in a folder."""
    status = _ask(folder)
    live = live_of(folder)
    stable = _keeper(folder, status)
    volatile = _moving(folder, status, live)
    if live:
        place = Place(folder, live)
        start = place.read()
        if start is not None:
            volatile[f"{folder.name}/declared"] = declared_digest(start)
            stable |= _files(folder.name, place, start)
            stable |= _process(folder.name, place, start, volatile)
    return stable, volatile


def _ask(folder: Path) -> dict[str, Any] | None:
    try:
        return control.ask(folder, {"do": "status"})
    except Failed:
        # Killed, or not yet started: that is what there is to see.
        return None


def _keeper(folder: Path, status: dict[str, Any] | None) -> Plain:
    name, state = folder.name, read_state(folder)
    keys: Plain = {f"{name}/keeper/version": str(status["version"]) if status else "absent"}
    if state is not None:
        keys[f"{name}/listener/declared"] = state.declared
        keys[f"{name}/listener/address"] = state.address if status else "absent"
    return keys


def _moving(folder: Path, status: dict[str, Any] | None, live: str) -> Plain:
    name = folder.name
    generations = sorted(p.name for p in (folder / "generations").iterdir())
    keys: Plain = {
        f"{name}/generation": live,
        f"{name}/generations": list(generations),
        f"{name}/events": list(last_events(folder)),
    }
    if status:
        keys[f"{name}/clients"] = int(status["clients"])
        keys[f"{name}/totals"] = status["totals"]
        now = status["generations"].get(live, {})
        keys[f"{name}/process/restarts"] = int(now.get("restarts", 0))
    return keys


def last_events(folder: Path) -> list[Plain]:
    """The last crashes, restarts and adoptions the keeper wrote down."""
    try:
        lines = (folder / "events.jsonl").read_text().splitlines()
    except FileNotFoundError:
        return []
    return [json.loads(line) for line in lines[-EVENTS_SHOWN:] if line.endswith("}")]


def _files(name: str, place: Place, start: Start) -> Plain:
    changed = place.changed()
    artifact: str = start.artifact
    if changed:
        shown = ", ".join(changed[:5]) + (", ..." if len(changed) > 5 else "")
        artifact = f"{artifact}, changed by hand: {shown}"
    try:
        content = place.configuration.read_bytes()
    except FileNotFoundError:
        content = b""
    keys = configuration_keys(name, content)
    keys[f"{name}/artifact"] = artifact
    return keys | {f"{name}/secrets/{key}": version for key, version in start.secrets.items()}


def _process(name: str, place: Place, start: Start, volatile: Plain) -> Plain:
    keys: Plain = {f"{name}/limits/memory_mib": start.memory_mib}
    record = read_record(place.folder)
    pid = record.identity.pid if record is not None and proc.is_alive(record.identity) else 0
    listening = _listening(place, record)
    session = proc.session_of(listening) if listening else -1
    if record is not None and session not in (-1, record.identity.pid):
        # Somebody else listens in our folder: that one answers the requests.
        pid = listening
    if not pid:
        return keys | {f"{name}/process/state": "missing"}
    volatile[f"{name}/process/pid"] = pid
    keys[f"{name}/process/state"] = "running" if listening else "not listening"
    keys[f"{name}/process/command"] = _command(start, record, pid)
    keys[f"{name}/limits/open_files"] = proc.open_files_limit(pid) if start.open_files else 0
    return keys


def read_record(folder: Path) -> Record | None:
    """The keeper's record of a generation's process, None when there is none."""
    try:
        return msgspec.json.decode((folder / "process.json").read_bytes(), type=Record)
    except FileNotFoundError:
        return None


def _listening(place: Place, record: Record | None) -> int:
    """The pid that listens at the generation's address; -1 for a port, which has no owner."""
    if record is None or record.address.startswith("unix:"):
        return proc.listener_pid(place.folder, "service.sock")
    return record.identity.pid


def _command(start: Start, record: Record | None, pid: int) -> list[Any]:
    """The declared command when the process is as it was at the switch, else what is seen."""
    found = proc.command_of(pid)
    if record is None:
        return list(found)
    if found == list(record.seen) and pid == record.identity.pid:
        return list(start.command)
    return [_without_words(word, record.words) for word in found]


def _without_words(word: str, words: dict[str, str]) -> str:
    for placeholder, text in sorted(words.items(), key=lambda pair: -len(pair[1])):
        word = word.replace(text, placeholder)
    return word
