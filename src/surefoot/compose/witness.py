"""A witness's folder: made, told which logs to trust, and run as a program of its own.

It holds `settings.json` (name and kind of key), `seed` (0600), `logs` (one key of a log a line,
read at each request) and `store/` (what was cosigned). Does not: need an installation.
"""

from __future__ import annotations

import os
import secrets as randomness
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import msgspec

from surefoot.app.moment import shown
from surefoot.compose.folder import private_file
from surefoot.core.errors import Refused
from surefoot.core.target import Plain
from surefoot.doors.serve import Listener, bind_tcp, serve
from surefoot.doors.witness.application import witness_app
from surefoot.engine.clock import SystemClock
from surefoot.journal.witness import Answer, Witness
from surefoot.store.durable import write_durably
from surefoot.store.witness import WitnessRows
from surefoot.testing.kill import kill_point
from surefoot.trust.cosignature import ED25519, ML_DSA_44, SEED_BYTES, CosignerSigner
from surefoot.trust.note import NotANote, VerifierKey, verifiers

_LOGS_BYTES_MAX = 1024 * 1024
_CONNECTIONS_MAX = 256


class WitnessSettings(msgspec.Struct, frozen=True, kw_only=True):
    """Under which name, and with which kind of key, a witness cosigns."""

    name: str
    kind: int


def make(folder: Path, name: str, *, ml_dsa: bool) -> Plain:
    """Make a witness's folder and key; its public line. Raises `Refused`."""
    if (folder / "settings.json").exists():
        raise Refused(
            "witness.exists",
            str(folder),
            expected="an empty folder",
            found="a witness or an installation",
            remedy="choose another folder",
        )
    kept, seed = WitnessSettings(name=name, kind=ML_DSA_44 if ml_dsa else ED25519), _new_seed()
    try:
        key = CosignerSigner(name, seed, kept.kind).key
    except NotANote as error:
        raise Refused(
            "witness.name.input",
            f"witness {name[:80]!r}",
            expected="a name like witness.example.com/north, without spaces or a plus",
            found=str(error)[:200],
            remedy="correct --name",
        ) from None
    folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    private_file(folder / "seed", seed)
    private_file(folder / "settings.json", msgspec.json.encode(kept))
    return {"folder": str(folder), "vkey": key.text()}


def trust(folder: Path, vkey: str) -> Plain:
    """Take checkpoints signed by this log's key from now on. Raises `Refused`."""
    signer = _signer(folder)
    try:
        key = VerifierKey.parse(vkey.strip())
    except NotANote as error:
        raise Refused(
            "witness.log.input",
            "log key",
            expected="a log's key, name+hash+base64, as `surefoot installation show` prints it",
            found=str(error)[:200],
            remedy="take it from the log's owner",
        ) from None
    known = {log.text(): log for log in _logs(folder)} | {key.text(): key}
    write_durably(folder / "logs", "".join(f"{line}\n" for line in known).encode(), 0o600)
    return {"origin": key.name, "logs": len(known), "vkey": signer.key.text()}


def show(folder: Path) -> Plain:
    """The witness's key, the logs it trusts, and what it cosigned last of each."""
    signer, seen = _signer(folder), {}
    if (folder / "store").is_dir():
        rows = WitnessRows(folder / "store", read_only=True)
        try:
            seen = rows.every()
        finally:
            rows.close()
    trusted = {log.name for log in _logs(folder)}
    return {
        "name": signer.key.name,
        "vkey": signer.key.text(),
        "logs": [
            {
                "origin": origin,
                "trusted": origin in trusted,
                "size": seen[origin].size if origin in seen else 0,
                "root": seen[origin].root.hex() if origin in seen else "",
                "at": shown(seen[origin].time_s * 1000) if origin in seen else "",
            }
            for origin in sorted(trusted | set(seen))
        ],
    }


def sign(folder: Path, request: bytes) -> Answer:
    """Answer a request that came as a file. Raises `Refused` while the witness is running."""
    with _opened(folder) as witness:
        return witness.add_checkpoint(request)


def run(folder: Path, listen: str, on_ready: Callable[[str, str], None]) -> None:
    """Serve until SIGTERM or SIGINT; `on_ready` gets the address and the witness's key."""
    with _opened(folder) as witness:
        bound, address = bind_tcp(listen)
        listener = Listener(
            "witness",
            witness_app(witness.add_checkpoint),
            bound,
            address,
            connections_max=_CONNECTIONS_MAX,
        )
        serve((listener,), lambda: on_ready(address, _signer(folder).key.text()))


@contextmanager
def _opened(folder: Path) -> Iterator[Witness]:
    signer, clock = _signer(folder), SystemClock()
    rows = WitnessRows(folder / "store")
    try:
        yield Witness(
            signer,
            rows,
            lambda: _logs(folder),
            lambda: clock.now_ms() // 1000,
            kill_point(os.environ.get("SUREFOOT_KILL_AT", "")),
        )
    finally:
        rows.close()


def _new_seed() -> bytes:
    return randomness.token_bytes(SEED_BYTES)


def _signer(folder: Path) -> CosignerSigner:
    try:
        kept = msgspec.json.decode((folder / "settings.json").read_bytes(), type=WitnessSettings)
        return CosignerSigner(kept.name, (folder / "seed").read_bytes(), kept.kind)
    except (OSError, msgspec.DecodeError, NotANote) as error:
        raise Refused(
            "witness.missing",
            str(folder),
            expected="a folder made by surefoot witness init",
            found=getattr(error, "strerror", None) or "files that are not a witness's",
            remedy="make one: surefoot witness init FOLDER --name NAME",
        ) from None


def _logs(folder: Path) -> tuple[VerifierKey, ...]:
    try:
        with (folder / "logs").open("rb") as file:
            content = file.read(_LOGS_BYTES_MAX)
    except FileNotFoundError:
        return ()
    return verifiers(content.decode()) if content.strip() else ()
