"""What an adversary does to cosignatures, roots and evidence, when the verifier has pinned a root.

Keeps and does not: as `manipulations`, whose list these join when this module is imported. The
adversary has no witness's key; what a witness or founder is said to have signed, they signed for
something else.
"""

from __future__ import annotations

import base64
from collections.abc import Callable, Sequence

from surefoot.testing import root_scene as roots
from surefoot.testing.manipulations import (
    CASES,
    Bundle,
    Change,
    case,
)
from surefoot.testing.proof_scene import ANN, BOB, CID, Scene, moment
from surefoot.testing.root_scene import ANCHOR, AUDITOR, FIRST, W1, W2, W3
from surefoot.trust.cosignature import ED25519, CosignerSigner, with_lines
from surefoot.trust.note import Checkpoint, SignerKey, split_note
from surefoot.trust.root import Root

__all__ = ["CASES"]

_T = "10:00:40"
_FUTURE_S = 4_102_444_800
_SIZE_SEVEN = (7).to_bytes(8, "big")


def pinned(*given: Root) -> Callable[[Scene], list[bytes]]:
    """These roots, signed as they must be."""
    return lambda scene: [roots.sealed(root, ANN, BOB, CID) for root in given]


def resigned(bundle: Bundle, signers: Sequence[CosignerSigner], clock: str = _T) -> Bundle:
    """The later checkpoint with these cosignatures alone."""
    roots.bare({"after": bundle["after"]})
    note = bundle["after"]["checkpoint"]
    bundle["after"]["checkpoint"] = with_lines(note, roots.lines(note, clock, signers))
    return bundle


def with_line(bundle: Bundle, name: str, content: bytes) -> Bundle:
    """The later checkpoint with one more signature line."""
    line = f"— {name} {base64.b64encode(content).decode()}\n"
    bundle["after"]["checkpoint"] += line
    return bundle


def witnessed(title: str, naive: None = None, of: str = "witnessed") -> Callable[[Change], Change]:
    """A manipulation of a bundle for somebody who pinned the first root."""
    return case(title, of, naive, pinned(FIRST))


# -- cosignatures ----------------------------------------------------------------------------------


@witnessed("move cosignatures to another checkpoint")
def _move_cosignatures(scene: Scene, b: Bundle) -> Bundle:
    lines = [f"{line}\n" for line in split_note(b["before"]["checkpoint"])[1][1:]]
    roots.bare({"after": b["after"]})
    b["after"]["checkpoint"] = with_lines(b["after"]["checkpoint"], lines)
    return b


def _changed(signer: CosignerSigner, start: int, content: bytes) -> Change:
    def change(scene: Scene, b: Bundle) -> Bundle:
        note = resigned(b, [])["after"]["checkpoint"]
        others = [s for s in (W1, W2) if s is not signer]
        b["after"]["checkpoint"] = with_lines(note, roots.lines(note, _T, others))
        line = roots.lines(note, _T, [signer])[0]
        made = bytearray(base64.b64decode(line.split(" ")[2]))
        made[start : start + len(content)] = content
        return with_line(b, signer.key.name, bytes(made))

    return change


_EARLIER = (moment("10:00:31") // 1000).to_bytes(8, "big")
witnessed("change the time of a cosignature")(_changed(W1, 4, _EARLIER))
witnessed("change the time of a post-quantum cosignature")(_changed(W2, 4, _EARLIER))
witnessed("let a cosignature have a time beyond all times")(_changed(W1, 4, b"\xff" * 8))
witnessed("turn bits of a post-quantum cosignature")(_changed(W2, 2000, b"\0\0\0\0"))


@witnessed("take one cosignature away: the quorum is one short")
def _one_short(scene: Scene, b: Bundle) -> Bundle:
    return resigned(b, [W1, AUDITOR, ANCHOR])


@witnessed("take all cosignatures away")
def _unwitnessed(scene: Scene, b: Bundle) -> Bundle:
    return roots.bare(b)


@witnessed("take the cosignatures of the earlier checkpoint away")
def _earlier_unwitnessed(scene: Scene, b: Bundle) -> Bundle:
    roots.bare({"before": b["before"]})
    return b


@witnessed("write one witness's line twice")
def _line_twice(scene: Scene, b: Bundle) -> Bundle:
    resigned(b, [W1])
    line = roots.lines(b["after"]["checkpoint"], _T, [W1])[0]
    b["after"]["checkpoint"] += line
    return b


@witnessed("let one witness sign at two times")
def _two_times(scene: Scene, b: Bundle) -> Bundle:
    resigned(b, [W1])
    line = roots.lines(b["after"]["checkpoint"], "10:00:50", [W1])[0]
    b["after"]["checkpoint"] += line
    return b


@witnessed("let one witness sign under two names")
def _two_names(scene: Scene, b: Bundle) -> Bundle:
    return resigned(b, [W1, CosignerSigner(W3.key.name, b"w1" * 16, ED25519)])


@witnessed("write a witness's name in letters that look the same")
def _look_alike(scene: Scene, b: Bundle) -> Bundle:
    return resigned(b, [W1, CosignerSigner("w\uff13.example", b"w3" * 16, ED25519)])


@witnessed("let an unknown witness sign")
def _unknown(scene: Scene, b: Bundle) -> Bundle:
    return resigned(b, [W1, roots.STRANGER])


@witnessed("let the auditor pass for a witness")
def _auditor_as_witness(scene: Scene, b: Bundle) -> Bundle:
    return resigned(b, [W1, AUDITOR])


@witnessed("let the log's own anchor pass for a witness")
def _anchor_as_witness(scene: Scene, b: Bundle) -> Bundle:
    return resigned(b, [W1, ANCHOR])


@witnessed("give a witness's plain signature, without a time")
def _plain_signature(scene: Scene, b: Bundle) -> Bundle:
    resigned(b, [W1])
    text = split_note(b["after"]["checkpoint"])[0]
    line = SignerKey(W3.key.name, b"w3" * 16).sign(text).split("\n\n")[1]
    b["after"]["checkpoint"] += line
    return b


def _own_tree(message: Callable[[Checkpoint, bytes], bytes]) -> Change:
    """What the post-quantum witness signed for another range of the tree, or another log."""

    def change(scene: Scene, b: Bundle) -> Bundle:
        resigned(b, [W1])
        stamp = (moment(_T) // 1000).to_bytes(8, "big")
        signed = message(roots.tree_of(b["after"]["checkpoint"]), stamp)
        private = W2._key  # the test signs what a true witness never would
        return with_line(b, W2.key.name, W2.key.id + stamp + private.sign(signed))

    return change


def _subtree(origin: str, start: bytes, end: bytes, root: bytes, stamp: bytes) -> bytes:
    names = [bytes([len(name)]) + name.encode() for name in (W2.key.name, origin)]
    return b"subtree/v1\n\0" + names[0] + stamp + names[1] + start + end + root


witnessed("use a cosignature of a subtree that does not start at 0")(
    _own_tree(
        lambda tree, stamp: _subtree(
            tree.origin, _SIZE_SEVEN, tree.size.to_bytes(8, "big"), tree.root, stamp
        )
    )
)
witnessed("use a cosignature of a smaller tree")(
    _own_tree(lambda tree, stamp: _subtree(tree.origin, bytes(8), _SIZE_SEVEN, tree.root, stamp))
)
witnessed("use a cosignature for another log")(
    _own_tree(
        lambda tree, stamp: _subtree(
            "other.example/journal", bytes(8), tree.size.to_bytes(8, "big"), tree.root, stamp
        )
    )
)


@witnessed("let witnesses have signed in the future")
def _future(scene: Scene, b: Bundle) -> Bundle:
    note = resigned(b, [])["after"]["checkpoint"]
    text = split_note(note)[0]
    made = [signer.cosign(text, _FUTURE_S) for signer in (W1, W2)]
    b["after"]["checkpoint"] = with_lines(note, made)
    return b


@witnessed("let the auditor have signed in the future")
def _future_auditor(scene: Scene, b: Bundle) -> Bundle:
    note = resigned(b, [W1, W2])["after"]["checkpoint"]
    made = AUDITOR.cosign(split_note(note)[0], _FUTURE_S)
    b["after"]["checkpoint"] = with_lines(note, [made])
    return b


@witnessed("let witnesses have signed before they were witnesses")
def _before_their_time(scene: Scene, b: Bundle) -> Bundle:
    roots.bare({"before": b["before"]})
    note = b["before"]["checkpoint"]
    b["before"]["checkpoint"] = with_lines(note, roots.lines(note, "07:00:00", [W1, W2]))
    return b


@witnessed("backdate: the witnesses saw the earlier checkpoint only after the time")
def _late_before(scene: Scene, b: Bundle) -> Bundle:
    return roots.cosigned(roots.bare(b), before="10:00:20")


@witnessed("show a later checkpoint that the witnesses had seen before the time")
def _early_after(scene: Scene, b: Bundle) -> Bundle:
    return roots.cosigned(roots.bare(b), after="09:59:50")


@witnessed("add a hundred signatures of nobody")
def _many_lines(scene: Scene, b: Bundle) -> Bundle:
    for n in range(100):
        with_line(b, f"n{n}.example", bytes(80))
    return b


@witnessed("write a cosignature in base64 with bits that mean nothing")
def _loose_base64(scene: Scene, b: Bundle) -> Bundle:
    resigned(b, [W1])
    line = roots.lines(b["after"]["checkpoint"], _T, [W3])[0]
    b["after"]["checkpoint"] += line.rstrip("=\n") + "\n"
    return b
