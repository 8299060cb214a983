"""Full verification of a data folder asks for people's own signatures, not for the journal's."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import msgspec

from surefoot.compose import folder as folders
from surefoot.compose import offline
from surefoot.core import facts as f
from surefoot.core.manifest import Manifest
from surefoot.engine.effects import draft
from surefoot.store.blobs import FileBlobs
from surefoot.testing import simulator_product as product
from surefoot.trust import envelope, keys
from surefoot.trust.digest import Digest, digest_of
from surefoot.trust.entry import Actor

KEYS = {name: keys.private_key(digest_of(name.encode())[7:39].encode()) for name in ("ann", "bob")}
TYPE = "application/vnd.surefoot.release+json"


def written(data: Path, signer: str) -> dict[str, Any]:
    """A release cut by ann is written with the journal's own key, under somebody's signature."""
    settings = folders.Settings(installation="here", product="thing", repository="")
    founders = tuple(
        folders.FounderKey(person=name, key=key.public.line()) for name, key in KEYS.items()
    )
    folders.initialise(data, settings, founders)
    manifest = msgspec.structs.replace(product.manifest_of("1.0.0"), cutter="ann")
    sealed = envelope.seal(TYPE, manifest.encode(), [KEYS[signer]])
    _append(data, settings, manifest, FileBlobs(data / "blobs").put(sealed))
    return offline.verify_folder(data, lambda done, total: None)


def _append(data: Path, settings: folders.Settings, manifest: Manifest, sealed: Digest) -> None:
    fact = f.ReleaseRegistered(
        release=manifest.digest(),
        version=manifest.version,
        commit=manifest.commit,
        components=(),
        compatibility={},
        definition=manifest.definition,
        governance=manifest.governance,
        contributors=manifest.contributors,
        cutter=manifest.cutter,
    )
    log, database = folders.open_log(data, settings)
    ann = Actor(type="person", id="ann", auth="forged")
    log.transact(lambda world: [draft(fact, (sealed,))], ann, "forged")
    database.close()


def test_a_release_under_its_cutters_signature_is_intact(tmp_path: Path) -> None:
    report = written(tmp_path / "data", "ann")
    assert (report["ok"], report["signatures"]) == (True, 1)


def test_the_journals_key_makes_nobodys_act(tmp_path: Path) -> None:
    """Entry, seal and checkpoint are all good: the person never signed."""
    report = written(tmp_path / "data", "bob")
    assert not report["ok"]
    (problem,) = report["problems"]
    assert problem["code"] == "journal.act.signature"
    assert "not signed by ann" in str(problem["found"])


def test_a_signature_that_was_taken_away_is_missed(tmp_path: Path) -> None:
    written(tmp_path / "data", "ann")
    for blob in (tmp_path / "data" / "blobs" / "sha256").rglob("*"):
        if blob.is_file() and TYPE.encode() in blob.read_bytes():
            blob.unlink()
    report = offline.verify_folder(tmp_path / "data", lambda done, total: None)
    assert [p["code"] for p in report["problems"]] == ["journal.act.signature"]
