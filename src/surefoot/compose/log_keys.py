"""The keys of a data folder's log: which signs now, which ended, and where their seeds are.

Keeps: `log-keys.json` holds public keys and names of files; it is replaced whole, and only after
the journal says the same. A folder without it has the one key in `keys/log`. Does not: make keys.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path

import msgspec

from surefoot.core.errors import Refused
from surefoot.journal.checkpoint import CheckpointFile, CheckpointSigner
from surefoot.store.durable import write_durably
from surefoot.trust.note import SignerKey, VerifierKey
from surefoot.trust.root import Ended

FIRST_SEED = "log"
_FILE = "log-keys.json"
_FILE_BYTES_MAX = 1024 * 1024


class KeptKey(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """A key of the log: its seed's file below `keys/`, and from when until when it counts.

    Times are UTC milliseconds; a rotated key signs beside the next one until its end.
    """

    seed: str
    vkey: str
    from_ms: int = 0
    until_ms: int = 0
    ended: Ended = ""
    last_size: int = 0
    last_root: str = ""

    @property
    def verifier(self) -> VerifierKey:
        """The public key."""
        return VerifierKey.parse(self.vkey)


def origin_of(installation: str, epoch: int = 1) -> str:
    """The log's name: every epoch after the first has its number."""
    return f"surefoot/{installation}" + (f"@{epoch}" if epoch > 1 else "")


def kept_keys(folder: Path, installation: str) -> tuple[KeptKey, ...]:
    """The log's keys, oldest first; the last one is the present one. Raises `Refused`."""
    try:
        with (folder / _FILE).open("rb") as file:
            found = msgspec.json.decode(file.read(_FILE_BYTES_MAX), type=tuple[KeptKey, ...])
    except FileNotFoundError:
        key = SignerKey(origin_of(installation), read_seed(folder, FIRST_SEED))
        return (KeptKey(seed=FIRST_SEED, vkey=key.verifier.text()),)
    except msgspec.DecodeError as error:
        raise _refused(folder / _FILE, "the keys of the log", str(error)) from None
    if not found:
        raise _refused(folder / _FILE, "the keys of the log", "none")
    return found


def keep_keys(folder: Path, keys: Sequence[KeptKey]) -> None:
    """Replace the list; on return it survives a power cut."""
    write_durably(folder / _FILE, msgspec.json.format(msgspec.json.encode(keys), indent=1), 0o644)


def read_seed(folder: Path, name: str) -> bytes:
    """A log key's secret bytes. Raises `Refused("journal.key.missing")`."""
    try:
        return (folder / "keys" / name).read_bytes()
    except OSError as error:
        raise Refused(
            "journal.key.missing",
            f"key {folder / 'keys' / name}",
            expected="the log's signing key",
            found=error.strerror or str(error),
            remedy="put it back from its copy; when it is lost: surefoot journal new-epoch --lost",
        ) from None


def signer_of(folder: Path, key: KeptKey) -> SignerKey:
    """The signing key. Raises `Refused` when its seed is missing, or of another key."""
    found = SignerKey(key.verifier.name, read_seed(folder, key.seed))
    if found.verifier.text() != key.vkey:
        raise _refused(folder / "keys" / key.seed, key.vkey, found.verifier.text())
    return found


def keys_text(keys: Sequence[KeptKey]) -> str:
    """All public keys, one a line, the present one first."""
    return "\n".join(key.vkey for key in reversed(keys))


def reader_of(keys: Sequence[KeptKey], path: Path) -> CheckpointFile:
    """Reads the last checkpoint, and needs no secret."""
    present, *earlier = (key.verifier for key in reversed(keys))
    return CheckpointFile(present, path, earlier)


def checkpoint_signer(
    folder: Path, keys: Sequence[KeptKey], path: Path, now_ms: Callable[[], int]
) -> CheckpointSigner:
    """Signs with the present key, and with rotated ones of the same origin until they end."""
    present, *earlier = reversed(keys)
    own = signer_of(folder, present)
    beside = [
        (key.until_ms, signer_of(folder, key))
        for key in earlier
        if key.ended == "rotated"
        and key.verifier.name == present.verifier.name
        and key.until_ms > now_ms()
    ]
    return CheckpointSigner(
        own,
        path,
        [key.verifier for key in earlier],
        lambda: [signer for until_ms, signer in beside if until_ms > now_ms()],
    )


def _refused(place: Path, expected: str, found: str) -> Refused:
    return Refused(
        "journal.key.differs",
        f"file {place}",
        expected=expected,
        found=found[:200],
        remedy="put the folder's log-keys.json and keys back as they were together",
    )
