"""Journals and honest proof bundles that the adversarial suite starts from, always the same bytes.

Three journals: the true one; a fork of it, signed by the same key, as a restored backup makes one
when it goes on; and one of another owner. Does not: manipulate.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from surefoot.journal.checkpoint import CheckpointSigner
from surefoot.journal.log import Log
from surefoot.journal.proof import Prover
from surefoot.store.sqlite import SqliteDatabase
from surefoot.testing.journal import KEY
from surefoot.trust import canonical, envelope, keys, short_bundle
from surefoot.trust.digest import Digest, digest_of
from surefoot.trust.entry import Actor, Draft, Entry, Plain, time_of_text
from surefoot.trust.evidence import APPROVAL_TYPE
from surefoot.trust.form import joined
from surefoot.trust.note import SignerKey

VKEY = KEY.verifier.text()
ANN, BOB, CID = (keys.private_key(bytes([n]) * 32) for n in (1, 2, 3))
OTHER = SignerKey("other.example/journal", b"another seed of thirty-two bytes")
TOOL = "surefoot 0"
RELEASES = tuple(f"sha256:{digit * 64}" for digit in "123")

_ACTORS = {
    "ann": Actor(type="person", id="ann", auth="SHA256:ann"),
    "bob": Actor(type="person", id="bob", auth="SHA256:bob"),
    "runner": Actor(type="machine", id="runner", auth="process"),
}
_Batch = tuple[str, str, Sequence[tuple[str, str, Plain]]]


def moment(text: str) -> int:
    """Milliseconds of a time of that day, like 10:00:30."""
    return time_of_text(f"2026-11-17T{text}.000Z")


def running(place: int) -> Plain:
    """What an environment's state says when a release runs in it."""
    release, version = RELEASES[place], f"{place + 1}.0.0"
    parts: Plain = {"api": {"release": release, "version": version}}
    return {"release": release, "release_version": version, "components": parts}


def approval(deployment: int) -> bytes:
    """bob's own signature under the plan of a deployment, in its envelope."""
    said: Plain = {"deployment": deployment, "environment": "production", "verdict": "approve"}
    return envelope.seal(APPROVAL_TYPE, canonical.encode({**said, "plan": RELEASES[0]}), [BOB])


def _approved(deployment: int) -> Plain:
    said: Plain = {"deployment": deployment, "environment": "production", "verdict": "approve"}
    key, digest = BOB.public.fingerprint, digest_of(approval(deployment))
    return {**said, "plan": RELEASES[0], "person": "bob", "key": key, "envelope": digest}


_PREFIX: tuple[_Batch, ...] = (
    (
        "09:00:00",
        "ann",
        (
            ("people", "PersonEnrolled", {"person": "bob", "key": BOB.public.line()}),
            ("env/production", "EnvironmentDeclared", {"name": "production"}),
            ("env/staging", "EnvironmentDeclared", {"name": "staging"}),
        ),
    ),
    ("09:10:00", "ann", (("deployment/1", "DeploymentRequested", {"plan": "one"}),)),
    ("09:12:00", "bob", (("deployment/1", "ApprovalGiven", _approved(1)),)),
    ("09:15:00", "runner", (("env/production", "SettingsChanged", running(0)),)),
    ("09:30:00", "runner", (("env/staging", "SettingsChanged", running(1)),)),
    ("09:40:00", "", ()),
    ("09:50:00", "", ()),
)
_TAIL: tuple[_Batch, ...] = (
    (
        "10:00:30",
        "runner",
        (
            ("env/production", "DriftObserved", {"drift": 1}),
            ("env/production", "DriftObserved", {"drift": 0}),
            ("env/production", "SettingsChanged", running(2)),
            ("env/production", "SecretRead", {"secret_reads": 1}),
        ),
    ),
    ("10:10:00", "ann", (("deployment/2", "DeploymentRequested", {"plan": "two"}),)),
    ("10:12:00", "bob", (("deployment/2", "ApprovalGiven", _approved(2)),)),
    ("10:20:00", "runner", (("env/staging", "SettingsChanged", running(2)),)),
    ("10:30:00", "", ()),
)
_FORKED: tuple[_Batch, ...] = (
    ("10:00:20", "runner", (("env/production", "SettingsChanged", running(1)),)),
    ("10:10:00", "ann", (("deployment/2", "DeploymentRequested", {"plan": "evil"}),)),
    ("10:20:00", "runner", (("env/staging", "DriftObserved", {"drift": 1}),)),
    ("10:25:00", "runner", (("env/staging", "DriftObserved", {"drift": 2}),)),
    ("10:30:00", "", ()),
)


class MergingWorld:
    """The state of a stream is all its bodies, the later over the earlier."""

    def __init__(self) -> None:
        self.streams: dict[str, Plain] = {}

    def apply(self, entry: Entry) -> None:
        """Fold one entry."""
        self.streams[entry.stream] = {**self.streams.get(entry.stream, {}), **entry.body}

    def state(self, stream: str) -> Plain:
        """The complete state of the stream."""
        return self.streams[stream]


class Written:
    """A journal that was written batch by batch, at the times that the batches name."""

    def __init__(self, folder: Path, key: SignerKey, batches: Sequence[_Batch]) -> None:
        self.database = SqliteDatabase(folder / "store")
        self._now = 0
        signer = CheckpointSigner(key, folder / "checkpoint")
        self.log: Log[Any] = Log(
            self.database, signer, MergingWorld, lambda: self._now, free_bytes_min=1
        )
        self.prover = Prover(self.log, self.database, key.verifier.text(), TOOL)
        for batch in batches:
            self._write(*batch)

    def _write(self, text: str, actor: str, entries: Sequence[tuple[str, str, Plain]]) -> None:
        self._now = moment(text)
        drafts = [
            Draft(
                stream=s,
                kind=k,
                body=b,
                evidence=tuple(Digest(str(v)) for v in [b.get("envelope")] if v),
            )
            for s, k, b in entries
        ]
        if drafts:
            self.log.transact(lambda world: drafts, _ACTORS[actor], f"request {text}")
        else:
            self.log.heartbeat()

    def exhibit(self, stream: str, n: int, size: int, texts: Sequence[bytes]) -> Plain:
        """The stream's n-th entry, proved in the tree of that size, beside these texts."""
        entry = self.log.stream_entries(stream, n, 1)[0]
        proof = self.log.prove(lambda chain: chain.tree.inclusion(entry.index, size))
        shown: Plain = {"i": entry.index, "raw": entry.raw.decode(), "proof": joined(proof)}
        return {**shown, "texts": [text.decode() for text in texts]}

    def entries(self, stream: str) -> list[str]:
        """The stream's entries, as a home-made audit table would keep them."""
        return [e.raw.decode() for e in self.log.stream_entries(stream, 0, 1000)]


def whole(content: bytes) -> bytes:
    """A bundle of format 2 in format 1."""
    bundle = canonical.parse(content)
    assert isinstance(bundle, dict)
    return canonical.encode(short_bundle.expanded(bundle))


class Scene:
    """The three journals in a folder, and the honest bundles by name, in format 1; those of format
    2 are called short."""

    def __init__(self, folder: Path) -> None:
        self.true = Written(folder / "true", KEY, (*_PREFIX, *_TAIL))
        self.forked = Written(folder / "forked", KEY, (*_PREFIX, *_FORKED))
        self.other = Written(folder / "other", OTHER, (*_PREFIX, *_TAIL))
        production = "env/production"
        prove, never = self.true.prover.state, self.true.prover.never
        window = (moment("09:05:00"), moment("10:20:00"))
        short = {
            "moved": prove(production, moment("10:00:00")),
            "moved since": prove(production, moment("10:05:00")),
            "quiet": prove(production, moment("09:45:00")),
            "staging": prove("env/staging", moment("09:45:00")),
            "deployment": prove("deployment/1", moment("09:11:00")),
            "absent": prove("env/nowhere", moment("09:45:00")),
            "not yet": prove(production, moment("08:00:00")),
            "newest": prove(production, moment("11:00:00")),
            "never": never(production, *window, RELEASES[1]),
            "fork at five": self.forked.prover.state(production, moment("10:05:00")),
            "fork later": self.forked.prover.state(production, moment("10:22:00")),
            "stranger": self.other.prover.state(production, moment("10:00:00")),
        }
        self.bundles = {f"short {name}": content for name, content in short.items()}
        self.bundles |= {name: whole(content) for name, content in short.items()}

    def close(self) -> None:
        """Give the databases up."""
        for journal in (self.true, self.forked, self.other):
            journal.database.close()
