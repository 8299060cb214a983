"""Roots that nobody should make: the package and the single file refuse the same ones."""

from __future__ import annotations

import base64
import copy
import hashlib
import importlib.util
from collections.abc import Callable
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest

from surefoot.testing.proof_scene import ANN, BOB
from surefoot.testing.root_scene import FIRST, sealed
from surefoot.trust import canonical, envelope, root
from surefoot.trust.cosignature import CosignerKey, CosignerSigner
from surefoot.trust.keys import parse_public_line
from surefoot.trust.note import VerifierKey

TOOL = Path(__file__).resolve().parents[2] / "tools" / "surefoot_verify.py"
SMALL = b"\x01" + bytes(31)


def loaded() -> ModuleType:
    spec = importlib.util.spec_from_file_location("surefoot_verify_roots", TOOL)
    assert spec is not None and spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


SINGLE = loaded()
Plain = dict[str, Any]


def vkey(name: str, kind: int, public: bytes) -> str:
    """A key's line whatever the key is."""
    content = bytes([kind]) + public
    mark = hashlib.sha256(f"{name}\n".encode() + content).hexdigest()[:8]
    return f"{name}+{mark}+{base64.b64encode(content).decode()}"


def witness(said: Plain, key: str) -> None:
    """Only this one is asked."""
    said.pop("auditors", None)
    said |= {"witnesses": [{"name": "w9", "vkey": key, "from_ms": 0}], "quorum": "quorum w9\n"}


def log_as_witness(said: Plain) -> None:
    key = VerifierKey.parse(said["logs"][0]["vkey"])
    witness(said, CosignerKey("w9.example", 4, key.public).text())


def anchor_as_witness(said: Plain) -> None:
    anchor = CosignerSigner("w9.example", b"a" * 32, 6).key.text()
    said["logs"][0]["anchor"] = anchor
    witness(said, anchor)


def founder_as_witness(said: Plain) -> None:
    key = parse_public_line(next(iter(said["signers"].values())))[0]
    witness(said, CosignerKey("w9.example", 4, key.raw).text())


def one_key_twice(said: Plain) -> None:
    line = next(iter(said["signers"].values()))
    said |= {"signers": {"a": line, "b": f"{line} x"}, "threshold": 2}


def comment(said: Plain) -> None:
    said["quorum"] = "# who\n" + said["quorum"]


def small_witness(said: Plain) -> None:
    witness(said, vkey("w9.example", 4, SMALL))


def small_log(said: Plain) -> None:
    said["logs"] = [{"vkey": vkey("l.example", 1, SMALL), "from_ms": 0}]


def no_last_tree(said: Plain) -> None:
    said["logs"][0] |= {"ended": "compromised", "until_ms": 1}


def no_end(said: Plain) -> None:
    said["logs"][0] |= {"ended": "compromised", "last_size": 3, "last_root": "0" * 64}


def refused(content: bytes) -> tuple[bool, bool]:
    """By the package, and by the single file; neither may fail in another way."""
    found = []
    for read, faults in ((root.read_root, root.BadRoot), (SINGLE.Root, SINGLE.FAULTS)):
        try:
            read(content)
            found.append(False)
        except faults:
            found.append(True)
    return found[0], found[1]


def test_a_sound_root_is_read_by_both() -> None:
    assert refused(sealed(FIRST)) == (False, False)


@pytest.mark.parametrize(
    "change",
    [
        log_as_witness,
        anchor_as_witness,
        founder_as_witness,
        one_key_twice,
        comment,
        small_witness,
        small_log,
        no_last_tree,
        no_end,
    ],
)
def test_both_refuse(change: Callable[[Plain], None]) -> None:
    said: Plain = copy.deepcopy(canonical.parse(root.payload_of(FIRST)))  # type: ignore[assignment]
    change(said)
    payload = canonical.encode(said)
    assert refused(envelope.seal(root.PAYLOAD_TYPE, payload, [ANN, BOB])) == (True, True)


@pytest.mark.parametrize("member", ["sig", "payload"])
def test_both_refuse_letters_that_base64_has_not(member: str) -> None:
    said: Plain = canonical.parse(sealed(FIRST))  # type: ignore[assignment]
    place = said["signatures"][0] if member == "sig" else said
    place[member] = "\u00e9"
    assert refused(canonical.encode(said)) == (True, True)
