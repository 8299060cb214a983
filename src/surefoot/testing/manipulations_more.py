"""More of what an adversary does to a proof bundle: trees, times, claims and bytes.

Keeps and does not: as `manipulations`, whose list these join when this module is imported.
"""

from __future__ import annotations

import base64
import json

from surefoot.testing.manipulations import (
    CASES,
    Bundle,
    case,
    edited,
    flipped,
    json_replaced,
    other,
    release,
    replaced,
    respaced,
    rewritten,
    signed_by_other,
    tail_dropped,
)
from surefoot.testing.proof_scene import OTHER, Scene
from surefoot.trust import canonical, merkle

__all__ = ["CASES"]

_JOINED_MAX = 64 * 32

# -- heads and seals -------------------------------------------------------------------------------


@case("show the old head in the newer map (stale map)", "moved", tail_dropped)
def _stale_map(scene: Scene, b: Bundle) -> Bundle:
    b["after"] |= {"head": b["before"]["head"], "map": b["before"]["map"]}
    b["chain"] = b["chain"][:1]
    return b


@case("show another stream's head", "quiet", replaced)
def _foreign_head(scene: Scene, b: Bundle) -> Bundle:
    strange = other(scene, "staging")
    for side in ("before", "after"):
        b[side] |= {"head": strange[side]["head"], "map": strange[side]["map"]}
    return b | {"chain": strange["chain"], "state": strange["state"]}


@case("say another environment's name", "quiet", replaced)
def _other_name(scene: Scene, b: Bundle) -> Bundle:
    return b | {"stream": "env/staging"}


@case("say that an environment did not exist, with its own neighbours", "quiet")
def _deny(scene: Scene, b: Bundle) -> Bundle:
    strange = other(scene, "absent")
    for side in ("before", "after"):
        del b[side]["head"]
        b[side]["map"] = strange[side]["map"]
    del b["state"]
    return b | {"chain": []}


@case("say that an environment did not exist, with one neighbour", "absent")
def _deny_with_one(scene: Scene, b: Bundle) -> Bundle:
    del b["before"]["map"]["above"]
    return b


@case("say that an environment did not exist, with no neighbour", "absent")
def _deny_with_none(scene: Scene, b: Bundle) -> Bundle:
    b["before"]["map"] = {}
    return b


@case("let neighbours stand at other places", "absent")
def _move_neighbour(scene: Scene, b: Bundle) -> Bundle:
    b["before"]["map"]["below"]["index"] += 1
    return b


@case("put in the seal of another batch", "moved")
def _wrong_seal(scene: Scene, b: Bundle) -> Bundle:
    b["before"]["seal"] = b["after"]["seal"]
    return b


@case("edit the heads map's root in a seal", "moved")
def _edit_seal(scene: Scene, b: Bundle) -> Bundle:
    seal = json.loads(b["before"]["seal"]) | {"heads": "0" * 64}
    b["before"]["seal"] = canonical.encode(seal).decode()
    return b


@case("edit a seal's time", "moved")
def _edit_seal_time(scene: Scene, b: Bundle) -> Bundle:
    b["after"]["seal"] = b["after"]["seal"].replace("T10:00:30", "T11:00:30")
    return b


@case("put an entry in the place of a seal", "moved")
def _entry_as_seal(scene: Scene, b: Bundle) -> Bundle:
    b["after"]["seal"] = b["chain"][-1]["raw"]
    return b


# -- trees and checkpoints -------------------------------------------------------------------------


@case("fork: a second tree, signed by the same key", "moved", rewritten)
def _fork(scene: Scene, b: Bundle) -> Bundle:
    strange = other(scene, "fork later")
    return b | {"after": strange["after"], "chain": strange["chain"]}


@case("fork, with the fork's own consistency proof", "moved since", rewritten)
def _fork_with_proof(scene: Scene, b: Bundle) -> Bundle:
    strange = other(scene, "fork later")
    return strange | {"before": b["before"], "at": b["at"]}


@case("restored backup: the log went on from an older state", "moved since", tail_dropped)
def _restored(scene: Scene, b: Bundle) -> Bundle:
    strange = other(scene, "fork at five")
    return b | {"after": strange["after"], "chain": strange["chain"]}


@case("reuse an older checkpoint as the later one", "moved", tail_dropped)
def _older_checkpoint(scene: Scene, b: Bundle) -> Bundle:
    b["after"] = b["before"]
    return b | {"chain": b["chain"][:1]}


@case("swap the two checkpoints", "quiet")
def _swap_sides(scene: Scene, b: Bundle) -> Bundle:
    return b | {"before": b["after"], "after": b["before"]}


@case("mix origins: one side from another log", "moved", replaced)
def _mixed_origins(scene: Scene, b: Bundle) -> Bundle:
    return b | {"after": other(scene, "stranger")["after"]}


@case("another log's whole bundle under this log's key", "moved", replaced)
def _strange_log(scene: Scene, b: Bundle) -> Bundle:
    return other(scene, "stranger") | {"keys": b["keys"]}


@case("another log's whole bundle, with its own key", "moved", replaced)
def _strange_bundle(scene: Scene, b: Bundle) -> Bundle:
    return other(scene, "stranger")


@case("sign a checkpoint with another key", "moved")
def _other_signature(scene: Scene, b: Bundle) -> Bundle:
    b["after"]["checkpoint"] = signed_by_other(b["after"]["checkpoint"])
    return b


@case("turn one bit of a signature", "moved")
def _bad_signature(scene: Scene, b: Bundle) -> Bundle:
    head, _, last = b["after"]["checkpoint"].rstrip("\n").rpartition(" ")
    b["after"]["checkpoint"] = f"{head} {flipped(last, 20)}\n"
    return b


@case("take the signature away", "moved")
def _no_signature(scene: Scene, b: Bundle) -> Bundle:
    b["after"]["checkpoint"] = b["after"]["checkpoint"].partition("\n\n")[0] + "\n\n"
    return b


@case("edit a checkpoint's root", "moved")
def _edit_root(scene: Scene, b: Bundle) -> Bundle:
    lines = b["after"]["checkpoint"].split("\n")
    lines[2] = flipped(lines[2])
    b["after"]["checkpoint"] = "\n".join(lines)
    return b


@case("edit a checkpoint's size", "moved")
def _edit_size(scene: Scene, b: Bundle) -> Bundle:
    lines = b["after"]["checkpoint"].split("\n")
    lines[1] = str(int(lines[1]) + 1)
    b["after"]["checkpoint"] = "\n".join(lines)
    return b


@case("name another key in the bundle", "moved")
def _other_key(scene: Scene, b: Bundle) -> Bundle:
    return b | {"keys": {"log": OTHER.verifier.text()}}


# -- proofs ----------------------------------------------------------------------------------------


@case("add a hash to an inclusion proof", "moved")
def _longer_proof(scene: Scene, b: Bundle) -> Bundle:
    proof = base64.b64decode(b["chain"][1]["proof"]) + merkle.EMPTY_ROOT
    b["chain"][1]["proof"] = base64.b64encode(proof).decode()
    return b


@case("give an oversized proof", "moved")
def _oversized_proof(scene: Scene, b: Bundle) -> Bundle:
    b["consistency"] = base64.b64encode(b"\0" * (_JOINED_MAX + 32)).decode()
    return b


@case("cut an inclusion proof short", "moved")
def _shorter_proof(scene: Scene, b: Bundle) -> Bundle:
    proof = base64.b64decode(b["chain"][1]["proof"])[:-32]
    b["chain"][1]["proof"] = base64.b64encode(proof).decode()
    return b


@case("leave a hash out of the later path in the heads map", "fork later")
def _shorter_path(scene: Scene, b: Bundle) -> Bundle:
    path = base64.b64decode(b["after"]["map"]["proof"])
    b["after"]["map"]["proof"] = base64.b64encode(path[:32] + path[64:]).decode()
    return b


@case("leave the consistency proof out", "moved")
def _no_consistency(scene: Scene, b: Bundle) -> Bundle:
    del b["consistency"]
    return b


@case("turn one bit of the consistency proof", "moved")
def _bad_consistency(scene: Scene, b: Bundle) -> Bundle:
    return b | {"consistency": flipped(b["consistency"])}


@case("write base64 with bits that mean nothing", "quiet")
def _loose_base64(scene: Scene, b: Bundle) -> Bundle:
    proof = b["before"]["map"]["proof"]
    assert proof.endswith("=")
    last = chr(ord(proof.rstrip("=")[-1]) + 1)
    b["before"]["map"]["proof"] = proof.rstrip("=")[:-1] + last + "=" * proof.count("=")
    return b


# -- times -----------------------------------------------------------------------------------------


@case("ask about a later time than is shown", "quiet", tail_dropped)
def _later(scene: Scene, b: Bundle) -> Bundle:
    return b | {"at": "2026-11-17T10:05:00.000Z"}


@case("ask about an earlier time than is shown", "quiet")
def _earlier(scene: Scene, b: Bundle) -> Bundle:
    return b | {"at": "2026-11-17T09:10:00.000Z"}


@case("ask about the future", "newest", tail_dropped)
def _future(scene: Scene, b: Bundle) -> Bundle:
    return b | {"at": "2027-01-01T00:00:00.000Z"}


@case("cut off everything after the time", "moved", tail_dropped)
def _cut_after(scene: Scene, b: Bundle) -> Bundle:
    del b["after"], b["consistency"]
    return b | {"chain": [{k: v for k, v in b["chain"][0].items() if k != "proof"}]}


@case("cut off everything before the time", "moved")
def _cut_before(scene: Scene, b: Bundle) -> Bundle:
    del b["before"], b["consistency"]
    return b


@case("write the time in other digits", "quiet")
def _other_digits(scene: Scene, b: Bundle) -> Bundle:
    return b | {"at": b["at"].replace("4", "\uff14")}


# -- claims ----------------------------------------------------------------------------------------


@case("say that a release was never there that was", "never", tail_dropped)
def _false_never(scene: Scene, b: Bundle) -> Bundle:
    return b | {"release": release(2)}


@case("leave out the state in which a release was there", "never", edited)
def _hide_state(scene: Scene, b: Bundle) -> Bundle:
    kept = [state for state in b["states"] if release(2) not in state]
    return b | {"release": release(2), "states": kept}


@case("leave out the entries by which a release came", "never", tail_dropped)
def _hide_entries(scene: Scene, b: Bundle) -> Bundle:
    return _hide_state(scene, b) | {"chain": b["chain"][:-2]}  # type: ignore[operator]


@case("stretch the time in which a release was never there", "never", tail_dropped)
def _stretch(scene: Scene, b: Bundle) -> Bundle:
    return b | {"until": "2026-12-24T00:00:00.000Z"}


@case("let the time end before it begins", "never")
def _backwards(scene: Scene, b: Bundle) -> Bundle:
    return b | {"from": b["until"], "until": b["from"]}


# -- bytes -----------------------------------------------------------------------------------------


@case("write the bundle with spaces (not canonical)", "quiet", respaced)
def _spaced(scene: Scene, b: Bundle) -> bytes:
    return json.dumps(b, sort_keys=True, ensure_ascii=False).encode()


@case("write a member twice", "quiet")
def _twice(scene: Scene, b: Bundle) -> bytes:
    return canonical.encode(b).replace(b',"format":', b',"format":"other","format":', 1)


@case("order members otherwise", "quiet")
def _unsorted(scene: Scene, b: Bundle) -> bytes:
    return json.dumps(dict(reversed(b.items())), separators=(",", ":"), ensure_ascii=False).encode()


@case("add a member that nobody reads", "quiet")
def _unknown_member(scene: Scene, b: Bundle) -> Bundle:
    return b | {"note": "approved by the auditor"}


@case("write a number as a fraction", "quiet")
def _fraction(scene: Scene, b: Bundle) -> bytes:
    place = f'"index":{b["before"]["map"]["index"]}'.encode()
    return canonical.encode(b).replace(place, place + b".0", 1)


@case("write true for 1", "quiet")
def _true_for_one(scene: Scene, b: Bundle) -> Bundle:
    assert b["before"]["head"]["n"] == 1
    b["before"]["head"]["n"] = True
    return b


@case("write null for nothing", "newest")
def _null(scene: Scene, b: Bundle) -> bytes:
    return json.dumps(b | {"after": None}, sort_keys=True, separators=(",", ":")).encode()


@case("write an entry with spaces (not canonical)", "quiet", respaced)
def _spaced_entry(scene: Scene, b: Bundle) -> Bundle:
    b["chain"][0]["raw"] = b["chain"][0]["raw"].replace(",", ", ")
    return b


@case("write the name in letters that look the same", "quiet", replaced)
def _look_alike_name(scene: Scene, b: Bundle) -> Bundle:
    return json_replaced(b, "env/production", "env/pr\u043eduction")


@case("write text in another Unicode form", "quiet")
def _decomposed_text(scene: Scene, b: Bundle) -> bytes:
    b["tool"] = "surefo\u0308ot"
    return json.dumps(b, sort_keys=True, separators=(",", ":"), ensure_ascii=False).encode()


@case("begin with a byte order mark", "quiet")
def _byte_order_mark(scene: Scene, b: Bundle) -> bytes:
    return b"\xef\xbb\xbf" + canonical.encode(b)


@case("hide half a character", "quiet")
def _half_character(scene: Scene, b: Bundle) -> bytes:
    return canonical.encode(b).replace(b'"surefoot 0"', b'"surefoot \\ud800"')


@case("nest without end", "quiet")
def _nested(scene: Scene, b: Bundle) -> bytes:
    return b'{"at":' + b"[" * 100_000


@case("cut the file in half", "quiet", tail_dropped)
def _cut_file(scene: Scene, b: Bundle) -> bytes:
    content = canonical.encode(b)
    return content[: len(content) // 2]


@case("call it another format", "quiet")
def _other_format(scene: Scene, b: Bundle) -> Bundle:
    return b | {"format": "surefoot-proof/2"}
