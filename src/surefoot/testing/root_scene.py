"""People, witnesses and an auditor beside the journals of `proof_scene`; roots that name them.

Keeps: seeds are fixed, so the bytes are always the same. Two founders sign each root; two of three
witnesses are the quorum. Does not: manipulate.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import msgspec

from surefoot.testing.journal import KEY
from surefoot.testing.proof_scene import ANN, BOB, CID, Scene, approval, moment
from surefoot.trust import canonical, envelope
from surefoot.trust.cosignature import ED25519, ML_DSA_44, CosignerSigner, with_lines
from surefoot.trust.entry import Entry, Plain
from surefoot.trust.note import Checkpoint, SignerKey, parse_checkpoint, split_note
from surefoot.trust.root import PAYLOAD_TYPE, CosignerEntry, LogKey, Root, payload_of

W1 = CosignerSigner("w1.example", b"w1" * 16, ED25519)
W2 = CosignerSigner("w2.example", b"w2" * 16, ML_DSA_44)
W3 = CosignerSigner("w3.example", b"w3" * 16, ED25519)
AUDITOR = CosignerSigner("auditor.example", b"au" * 16, ED25519)
ANCHOR = CosignerSigner(KEY.verifier.name, b"an" * 16, ML_DSA_44)
STRANGER = CosignerSigner("stranger.example", b"st" * 16, ED25519)
NEXT = SignerKey("surefoot.example/journal-2", b"the next seed of thirty-two byte")
NOW_MS = moment("12:00:00")
START_MS = moment("08:00:00")

Bundle = dict[str, Any]


def _entry(name: str, signer: CosignerSigner) -> CosignerEntry:
    return CosignerEntry(name=name, vkey=signer.key.text(), from_ms=START_MS)


FIRST = Root(
    version=1,
    installation="example",
    threshold=2,
    signers={"ann": ANN.public.line(), "bob": BOB.public.line()},
    logs=(LogKey(vkey=KEY.verifier.text(), from_ms=START_MS, anchor=ANCHOR.key.text()),),
    witnesses=(_entry("w1", W1), _entry("w2", W2), _entry("w3", W3)),
    auditors=(_entry("auditor", AUDITOR),),
    quorum="group most 2 w1 w2 w3\nquorum most\n",
)
SECOND = msgspec.structs.replace(
    FIRST, version=2, signers={"ann": ANN.public.line(), "cid": CID.public.line()}
)


def sealed(root: Root, *signers: envelope.Signer) -> bytes:
    """The root in its envelope; by ann and bob when nobody is named."""
    return envelope.seal(PAYLOAD_TYPE, payload_of(root), signers or (ANN, BOB))


def stolen(bundle: Bundle, *, whole: bool = False, **changed: Any) -> Root:
    """A root that says the log's key was stolen after the bundle's earlier tree (or its later)."""
    tree = tree_of(bundle["after" if whole else "before"]["checkpoint"])
    log = LogKey(
        vkey=KEY.verifier.text(),
        from_ms=START_MS,
        until_ms=moment("11:00:00"),
        ended="compromised",
        last_size=tree.size,
        last_root=tree.root.hex(),
    )
    fresh = LogKey(vkey=NEXT.verifier.text(), from_ms=moment("11:00:00"))
    return msgspec.structs.replace(FIRST, logs=(log, fresh), **changed)


def tree_of(note: str) -> Checkpoint:
    """The checkpoint in a note."""
    return parse_checkpoint(split_note(note)[0])


def lines(note: str, clock: str, signers: Sequence[CosignerSigner]) -> list[str]:
    """Cosignature lines for a checkpoint, all of one time of that day."""
    text = split_note(note)[0]
    return [signer.cosign(text, moment(clock) // 1000) for signer in signers]


def cosigned(
    bundle: Bundle,
    before: str = "09:50:10",
    after: str = "10:00:40",
    signers: Sequence[CosignerSigner] = (W1, W2, AUDITOR, ANCHOR),
) -> Bundle:
    """The bundle with cosignatures under both checkpoints."""
    for side, clock in (("before", before), ("after", after)):
        if side in bundle:
            note = bundle[side]["checkpoint"]
            bundle[side]["checkpoint"] = with_lines(note, lines(note, clock, signers))
    return bundle


def bare(bundle: Bundle) -> Bundle:
    """The bundle without any cosignature."""
    for side in ("before", "after"):
        if side in bundle:
            text, signatures = split_note(bundle[side]["checkpoint"])
            own = [line for line in signatures if line.startswith(f"— {_origin(text)} ")][:1]
            bundle[side]["checkpoint"] = f"{text}\n" + "".join(f"{line}\n" for line in own)
    return bundle


def _origin(text: str) -> str:
    return text.partition("\n")[0]


def approved(scene: Scene, bundle: Bundle, deployment: int = 1) -> Bundle:
    """The bundle with the approval of a deployment, and the entry that enrolled its signer."""
    size = tree_of(bundle["after"]["checkpoint"]).size
    given = scene.true.exhibit(f"deployment/{deployment}", 1, size, [approval(deployment)])
    return bundle | {"evidence": [scene.true.exhibit("people", 0, size, []), given]}


class RootScene(Scene):
    """The scene with honest bundles that a root with a quorum takes, and evidence in one."""

    def __init__(self, folder: Path) -> None:
        super().__init__(folder)
        for form in ("", "short "):
            moved, newest, never = (
                json.loads(self.bundles[form + name]) for name in ("moved", "newest", "never")
            )
            made = {
                "witnessed": cosigned(moved),
                "witnessed newest": cosigned(newest, before="10:30:20", signers=(W1, W3)),
                "witnessed never": cosigned(never, "09:00:10", "10:30:10"),
            }
            self.bundles |= {form + name: canonical.encode(b) for name, b in made.items()}
        shown = json.loads(
            self.true.prover.state("env/production", moment("10:00:00"), self._beside)
        )
        self.bundles["short evidence"] = canonical.encode(cosigned(shown))
        whole = approved(self, cosigned(json.loads(self.bundles["moved"])))
        self.bundles["evidence"] = canonical.encode(whole)

    def _beside(self, state: Plain) -> list[tuple[Entry, list[str]]]:
        """The approval of the first deployment, and the entry that enrolled its signer."""
        entry = self.true.log.stream_entries
        given = (entry("deployment/1", 1, 1)[0], [approval(1).decode()])
        return [(entry("people", 0, 1)[0], []), given]
