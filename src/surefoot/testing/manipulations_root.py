"""What an adversary does to logs' keys, roots and evidence, when the verifier has pinned a root.

Keeps and does not: as `manipulations`, whose list these join when this module is imported.
"""

from __future__ import annotations

import base64
import json
from collections.abc import Callable

import msgspec

from surefoot.testing import root_scene as roots
from surefoot.testing.journal import KEY
from surefoot.testing.manipulations import (
    CASES,
    Bundle,
    case,
    edited,
    other,
    replaced,
    rewritten,
    tail_dropped,
)
from surefoot.testing.manipulations_trust import pinned, witnessed
from surefoot.testing.proof_scene import ANN, BOB, CID, Scene, approval, moment
from surefoot.testing.root_scene import AUDITOR, FIRST, SECOND, W3
from surefoot.trust import canonical, envelope, sshsig
from surefoot.trust.cosignature import ED25519, CosignerSigner, with_lines
from surefoot.trust.note import split_note
from surefoot.trust.root import PAYLOAD_TYPE, LogKey, payload_of

__all__ = ["CASES"]

# -- logs ------------------------------------------------------------------------------------------


@case("fork, with the witnesses of the true log", "moved", rewritten, pinned(FIRST))
def _witnessed_fork(scene: Scene, b: Bundle) -> Bundle:
    strange = other(scene, "fork later")
    lines = [f"{line}\n" for line in split_note(roots.cosigned(b)["after"]["checkpoint"])[1][1:]]
    strange["after"]["checkpoint"] = with_lines(strange["after"]["checkpoint"], lines)
    return b | {"after": strange["after"], "chain": strange["chain"]}


@case("restored backup, seen by one witness of two", "fork at five", tail_dropped, pinned(FIRST))
def _half_restored(scene: Scene, b: Bundle) -> Bundle:
    return roots.cosigned(b, signers=[W3, AUDITOR])


@case("mix origins, with witnesses under both", "moved", replaced, pinned(FIRST))
def _mixed_witnessed(scene: Scene, b: Bundle) -> Bundle:
    return roots.cosigned(b | {"after": other(scene, "stranger")["after"]})


@case(
    "another log's bundle, with its own key and our witnesses", "stranger", replaced, pinned(FIRST)
)
def _strange_witnessed(scene: Scene, b: Bundle) -> Bundle:
    return roots.cosigned(b)


@witnessed("sign another log's name with this log's key")
def _wrong_origin(scene: Scene, b: Bundle) -> Bundle:
    tree = roots.tree_of(b["after"]["checkpoint"])
    text = msgspec.structs.replace(tree, origin="other.example/journal").text()
    b["after"]["checkpoint"] = KEY.sign(text)
    roots.cosigned({"after": b["after"]})
    return b


def _ended(scene: Scene) -> list[bytes]:
    log = LogKey(
        vkey=KEY.verifier.text(),
        from_ms=roots.START_MS,
        until_ms=moment("10:00:00"),
        ended="rotated",
    )
    return [roots.sealed(msgspec.structs.replace(FIRST, logs=(log,)))]


@case("use a log key after its end", "witnessed", None, _ended)
def _ended_key(scene: Scene, b: Bundle) -> Bundle:
    return b


def _stolen_early(scene: Scene) -> list[bytes]:
    return [roots.sealed(roots.stolen(json.loads(scene.bundles["moved"])))]


def _stolen_free(scene: Scene) -> list[bytes]:
    root = roots.stolen(other(scene, "moved since"), whole=True, quorum="quorum none\n")
    return [roots.sealed(root)]


@case("use a stolen log key beyond its last size", "witnessed", rewritten, _stolen_early)
def _stolen_key(scene: Scene, b: Bundle) -> Bundle:
    return b


@case(
    "forge, with a stolen log key, the last tree it is trusted for",
    "moved since",
    rewritten,
    _stolen_free,
)
def _forged_last(scene: Scene, b: Bundle) -> Bundle:
    tree = roots.tree_of(b["after"]["checkpoint"])
    b["after"]["checkpoint"] = KEY.sign(msgspec.structs.replace(tree, root=bytes(32)).text())
    return b


@case("forge, with a stolen log key, a smaller tree", "fork at five", rewritten, _stolen_free)
def _forged_smaller(scene: Scene, b: Bundle) -> Bundle:
    return b


@case("name a log key that the root does not", "witnessed", None, pinned(FIRST))
def _unnamed_key(scene: Scene, b: Bundle) -> Bundle:
    return b | {"keys": {"log": roots.NEXT.verifier.text()}}


# -- roots -----------------------------------------------------------------------------------------


def _same(scene: Scene, b: Bundle) -> Bundle:
    return b


def root_case(title: str, made: Callable[[Scene], list[bytes]]) -> None:
    """An honest bundle under a root that is none."""
    case(title, "witnessed", None, made)(_same)


def _opened(scene: Scene) -> list[bytes]:
    """A stranger's log key in an edited root, under the founders' signatures."""
    sealed = json.loads(roots.sealed(FIRST))
    root = msgspec.structs.replace(FIRST, quorum="quorum none\n")
    sealed["payload"] = base64.b64encode(payload_of(root)).decode()
    return [canonical.encode(sealed)]


def _one_twice(scene: Scene) -> list[bytes]:
    message = envelope.pae(PAYLOAD_TYPE, payload_of(FIRST))
    raw = (ANN.sign(message), sshsig.sign_raw(ANN, message, envelope.NAMESPACE))
    sealed = json.loads(roots.sealed(FIRST, ANN))
    sealed["signatures"] = [
        {"keyid": ANN.keyid, "sig": base64.b64encode(each).decode()} for each in raw
    ]
    return [canonical.encode(sealed)]


def _other_use(scene: Scene) -> list[bytes]:
    message = envelope.pae(PAYLOAD_TYPE, payload_of(FIRST))
    sealed = json.loads(roots.sealed(FIRST, ANN))
    signed = sshsig.sign_raw(BOB, message, "git")
    sealed["signatures"].append({"keyid": BOB.keyid, "sig": base64.b64encode(signed).decode()})
    return [canonical.encode(sealed)]


def _twice_in_root(scene: Scene) -> list[bytes]:
    """Written by hand: no writer of ours makes such a root."""
    twin = CosignerSigner("twin.example", b"w1" * 16, ED25519)
    said = json.loads(payload_of(FIRST))
    said["witnesses"][2]["vkey"] = twin.key.text()
    payload = canonical.encode(said)
    return [envelope.seal(PAYLOAD_TYPE, payload, [ANN, BOB])]


def _alone(scene: Scene) -> list[bytes]:
    return [roots.sealed(FIRST), roots.sealed(SECOND, ANN, CID)]


def _foreign(scene: Scene) -> list[bytes]:
    root = msgspec.structs.replace(SECOND, installation="elsewhere")
    return [roots.sealed(FIRST), roots.sealed(root, ANN, BOB, CID)]


_THIRD = msgspec.structs.replace(SECOND, version=3)
root_case("root: too few signatures", lambda scene: [roots.sealed(FIRST, ANN)])
root_case("root: one founder's signature in two forms", _one_twice)
root_case("root: a founder's signature made for another use", _other_use)
root_case("root: signed by people it does not name", lambda scene: [roots.sealed(FIRST, ANN, CID)])
root_case("root: take the quorum out, under the same signatures", _opened)
root_case("root: one witness's key under two names", _twice_in_root)
root_case("root: roll back to an older version", pinned(SECOND, FIRST))
root_case("root: the same version once more", pinned(FIRST, FIRST))
root_case("root: leave a version out", pinned(FIRST, _THIRD))
root_case("root: a next version that the founders before did not sign", _alone)
root_case("root: a next version of another installation", _foreign)


# -- evidence --------------------------------------------------------------------------------------


@witnessed("replay an approval's envelope under another approval", of="evidence")
def _replayed_envelope(scene: Scene, b: Bundle) -> Bundle:
    b["evidence"][1]["texts"] = [approval(2).decode()]
    return b


@witnessed("show an approval that is not in the tree yet", of="evidence")
def _later_approval(scene: Scene, b: Bundle) -> Bundle:
    size = roots.tree_of(other(scene, "newest")["before"]["checkpoint"]).size
    b["evidence"][1] = scene.true.exhibit("deployment/2", 1, size, [approval(2)])
    return b


@case("edit an approval's entry and envelope", "evidence", edited, pinned(FIRST))
def _edited_evidence(scene: Scene, b: Bundle) -> Bundle:
    b["evidence"][1]["raw"] = b["evidence"][1]["raw"].replace('"bob"', '"eve"')
    return b


@witnessed("give an approval's entry another place", of="evidence")
def _moved_evidence(scene: Scene, b: Bundle) -> Bundle:
    b["evidence"][1]["i"] += 1
    return b


@witnessed("give a seal as an entry with evidence", of="evidence")
def _seal_evidence(scene: Scene, b: Bundle) -> Bundle:
    b["evidence"][1] |= {"raw": b["before"]["seal"], "texts": []}
    return b


@witnessed("give more evidence than anybody reads", of="evidence")
def _much_evidence(scene: Scene, b: Bundle) -> Bundle:
    b["evidence"] *= 100
    return b
