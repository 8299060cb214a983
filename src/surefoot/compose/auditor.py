"""An auditor's folder: made, and run as a program of its own, on a machine that is not the log's.

It holds `settings.json` (name, source), `trust` (the log's key or root.json, as pinned), `seed` and
perhaps `seed-ml-dsa` (0600), `mirror/` (all that was read of the log), `cosigned` (the newest
checkpoint that was signed here, with the signature), `violations` (a record a line) and `lock`.
Keeps: a checkpoint is cosigned only after every leaf was read, the heads maps computed again, all
entries folded and compared with the rules and people's signatures, and only when it continues the
one cosigned before. Does not: need an installation, or see what the server does not tell.
"""

from __future__ import annotations

import json
import os
import secrets as randomness
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import msgspec

from surefoot.app.moment import shown
from surefoot.compose.folder import private_file
from surefoot.compose.signed import ruled_acts, signed_acts
from surefoot.core import facts as f
from surefoot.core.errors import Corrupt, Refused
from surefoot.core.fold import new_world
from surefoot.core.target import Plain
from surefoot.engine.clock import SystemClock
from surefoot.journal.fetch import fetch_from
from surefoot.journal.mirror import Mirror, Progress
from surefoot.journal.source import ExportSource
from surefoot.journal.trusted import Trust, Trusted
from surefoot.journal.verify import verify_export
from surefoot.store.durable import lock_folder, write_durably
from surefoot.trust.cosignature import ED25519, ML_DSA_44, SEED_BYTES, CosignerSigner, with_lines
from surefoot.trust.digest import Digest
from surefoot.trust.entry import Entry
from surefoot.trust.merkle import Tree, leaf_hash
from surefoot.trust.note import NotANote, split_note
from surefoot.trust.root import read_root

_KINDS = {"seed": ED25519, "seed-ml-dsa": ML_DSA_44}
_VIOLATIONS_BYTES_MAX = 1024 * 1024


class AuditorSettings(msgspec.Struct, frozen=True, kw_only=True):
    """Under which name an auditor signs, where the log's export is, and whether people's
    signatures are demanded."""

    name: str
    source: str
    evidence: bool = True


def make(
    folder: Path, kept: AuditorSettings, trust: bytes, *, ml_dsa: bool = False
) -> dict[str, Any]:
    """Make an auditor's folder and keys; their public lines. Raises `Refused`."""
    if folder.exists() and any(folder.iterdir()):
        found = "files that are there"
        raise _refused("auditor.exists", str(folder), "an empty folder", found)
    try:
        Trusted(_trust_of(trust))
    except ValueError as error:
        expected = "the log's key, name+hash+base64, or its root.json"
        raise _refused("journal.key.input", "log key", expected, str(error)) from None
    if "://" not in kept.source:
        kept = msgspec.structs.replace(kept, source=str(Path(kept.source).absolute()))
    fetch_from(kept.source)
    name = kept.name if kept.name.startswith("auditor/") else f"auditor/{kept.name}"
    seeds = {file: randomness.token_bytes(SEED_BYTES) for file in _KINDS}
    if not ml_dsa:
        del seeds["seed-ml-dsa"]
    try:
        lines = [CosignerSigner(name, s, _KINDS[file]).key.text() for file, s in seeds.items()]
    except NotANote as error:
        expected = "a name like north, without spaces or a plus"
        raise _refused(
            "auditor.name.input", f"auditor {name[:80]!r}", expected, str(error)
        ) from None
    folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    for file, seed in seeds.items():
        private_file(folder / file, seed)
    write_durably(folder / "trust", trust)
    content = msgspec.json.encode(msgspec.structs.replace(kept, name=name))
    private_file(folder / "settings.json", content)
    return {"folder": str(folder), "name": name, "vkeys": lines}


def audit(folder: Path, progress: Progress = lambda done, total: None) -> Plain:
    """Follow the log to its newest checkpoint, verify all of it, and cosign.

    Raises `Corrupt` for a violation, which is written down and not signed; `Failed` when the
    export cannot be read or is not whole; `Refused("auditor.locked")` beside another one, with
    which it could sign two trees.
    """
    with _alone(folder):
        return _audit(folder, progress)


def _audit(folder: Path, progress: Progress) -> Plain:
    auditor = _Auditor(folder)
    try:
        return auditor.run(progress)
    except Corrupt as error:
        auditor.note(error)
        raise


@contextmanager
def _alone(folder: Path) -> Iterator[None]:
    """Hold the folder; what is no auditor's folder is left as it is."""
    _Auditor(folder)
    handle = lock_folder(folder, "auditor.locked", "auditor's folder")
    try:
        yield
    finally:
        os.close(handle)


def run(
    folder: Path,
    interval_seconds: int,
    on_audit: Callable[[Plain], None],
    progress: Progress = lambda done, total: None,
) -> None:
    """Audit, again and again, until somebody ends it or something is wrong."""
    clock = SystemClock()
    with _alone(folder):
        while True:
            on_audit(_audit(folder, progress))
            clock.sleep(interval_seconds)


class _Auditor:
    """One look at the log."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        try:
            content = (folder / "settings.json").read_bytes()
            self._kept = msgspec.json.decode(content, type=AuditorSettings)
            self._trust = _trust_of((folder / "trust").read_bytes())
            self._trusted = Trusted(self._trust)
            self._signers = [
                CosignerSigner(self._kept.name, (folder / file).read_bytes(), kind)
                for file, kind in _KINDS.items()
                if (folder / file).is_file()
            ]
        except (OSError, ValueError) as error:
            found = getattr(error, "strerror", None) or "files that are not an auditor's"
            expected = "a folder made by surefoot auditor init"
            raise _refused("auditor.missing", str(folder), expected, found) from None
        self._note = ""

    def run(self, progress: Progress) -> Plain:
        """See `audit`."""
        mirror_folder, last = self._folder / "mirror", self._last()
        mirror = Mirror(fetch_from(self._kept.source), mirror_folder, self._wanted)
        self._note, checkpoint = mirror.newest(self._trusted)
        said: Plain = {
            "origin": checkpoint.origin,
            "size": checkpoint.size,
            "root": checkpoint.root.hex(),
        }
        if last and split_note(last)[0] == split_note(self._note)[0]:
            return {**said, "cosigned": str(self._folder / "cosigned"), "new": False}
        mirror.update(self._note, checkpoint.size, progress)
        find = ExportSource(mirror_folder).blob
        report = verify_export(
            mirror_folder,
            self._trust,
            pinned=last or None,
            make_world=new_world,
            progress=lambda done: progress(done, checkpoint.size),
            signed=signed_acts(find) if self._kept.evidence else None,
            rules=ruled_acts(find),
        )
        error = report.error()
        if error is not None:
            error.remedy = "nothing was signed; keep the mirror, and ask who holds the log's key"
            raise error
        self._compare_refused(ExportSource(mirror_folder))
        self._cosign()
        counts: Plain = {"entries": report.entries, "signatures": report.signatures}
        return {**said, **counts, "cosigned": str(self._folder / "cosigned"), "new": True}

    def note(self, error: Corrupt) -> None:
        """Write a violation down, with the checkpoint that the log's key signed over it."""
        place = self._folder / "violations"
        before = place.read_bytes() if place.is_file() else b""
        now = shown(SystemClock().now_ms())
        record = {**error.record(), "at": now, "checkpoint": self._note}
        line = json.dumps(record, ensure_ascii=False, sort_keys=True).encode() + b"\n"
        if len(before) + len(line) <= _VIOLATIONS_BYTES_MAX:
            write_durably(place, before + line)

    def _compare_refused(self, source: ExportSource) -> None:
        """A tree that was refused here was signed all the same: another one beside it is a fork."""
        noted = self.violations()
        tree = Tree(leaf_hash(row.raw) for row in source.rows()) if noted else Tree()
        for record in noted:
            try:
                refused = self._trusted.opened(str(record.get("checkpoint", "")))
            except NotANote:
                continue
            if refused.size > tree.size or tree.root(refused.size) != refused.root:
                raise Corrupt(
                    "journal.root.differs",
                    f"tree of {refused.size} leaves that was refused here on {record.get('at')}",
                    expected=f"root {refused.root.hex()}, which the log's key signed",
                    found="another tree, signed as well",
                    remedy="nothing was signed; the log shows two trees: keep both checkpoints",
                )

    def violations(self) -> list[dict[str, Any]]:
        """What was noted, oldest first."""
        place = self._folder / "violations"
        content = place.read_bytes() if place.is_file() else b""
        return [json.loads(line) for line in content.splitlines()]

    def _cosign(self) -> None:
        """On disk before anybody gets it: the next one must continue this one."""
        time_s = SystemClock().now_ms() // 1000
        text = split_note(self._note)[0]
        note = with_lines(self._note, [each.cosign(text, time_s) for each in self._signers])
        write_durably(self._folder / "cosigned", note.encode(), 0o644)

    def _last(self) -> str:
        try:
            return (self._folder / "cosigned").read_text("utf-8")
        except FileNotFoundError:
            return ""

    def _wanted(self, entry: Entry) -> Iterator[Digest]:
        """What people signed, and plans."""
        if not self._kept.evidence:
            return
        try:
            fact = f.fact_of(entry.kind, entry.body)
        except ValueError:
            return
        if isinstance(fact, f.ApprovalGiven):
            yield fact.envelope
        elif isinstance(fact, f.DeploymentRequested):
            yield fact.plan
        elif isinstance(fact, f.ReleaseRegistered):
            yield from entry.evidence[:1]
        elif isinstance(fact, f.RootPublished):
            yield fact.digest
        elif isinstance(fact, f.EpochOpened) and fact.root:
            yield fact.root


def show(folder: Path) -> Plain:
    """The auditor's keys, its source, what it cosigned last, and how many violations it noted."""
    auditor = _Auditor(folder)
    last = auditor._last()
    return {
        "name": auditor._kept.name,
        "vkeys": [signer.key.text() for signer in auditor._signers],
        "source": auditor._kept.source,
        "cosigned": int(split_note(last)[0].splitlines()[1]) if last else 0,
        "violations": len(auditor.violations()),
    }


def _trust_of(content: bytes) -> Trust:
    """A root.json or a key. Raises `ValueError`."""
    if content.lstrip().startswith(b"{"):
        return read_root(content)
    return content.decode().strip()


def _refused(code: str, subject: str, expected: str, found: str) -> Refused:
    return Refused(
        code,
        subject,
        expected=expected,
        found=found[:200],
        remedy="make one: surefoot auditor init FOLDER --name NAME --source DIR --log-key VKEY",
    )
