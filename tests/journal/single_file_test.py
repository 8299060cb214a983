"""The single file reads the kept vectors as the package does: proofs, roots, SSH signatures."""

from __future__ import annotations

import base64
import importlib.util
import json
import sys
from pathlib import Path
from types import ModuleType
from typing import Any

import msgspec
import pytest

from surefoot.testing.proof_scene import ANN, BOB
from surefoot.testing.root_scene import FIRST, sealed
from surefoot.trust import canonical, envelope, sshsig
from surefoot.trust.root import PAYLOAD_TYPE, payload_of, read_root

ROOT = Path(__file__).resolve().parents[2]


def loaded(name: str) -> ModuleType:
    """A program of `tools` as a module."""
    spec = importlib.util.spec_from_file_location(name, ROOT / "tools" / f"{name}.py")
    assert spec is not None and spec.loader is not None
    module = sys.modules[name] = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


SINGLE = loaded("surefoot_verify")
FORMAT_1 = loaded("surefoot_verify_1")
PROOFS = json.loads((ROOT / "tests" / "vectors" / "proof.json").read_text())
ROOTS = json.loads((ROOT / "tests" / "vectors" / "root.json").read_text())
NOW_S = PROOFS["now_ms"] // 1000


def shown_by_file(bundle: str, trust: Any) -> dict[str, Any]:
    """What the program for the bundle's format says."""
    old = '"format":"surefoot-proof/1"' in bundle
    look = FORMAT_1.verify_whole if old else SINGLE.verify_bundle
    shown: dict[str, Any] = look(bundle.encode(), trust, NOW_S)
    return shown


def newest(roots: list[str]) -> Any:
    """The last root, each one following the one before."""
    root, *newer = (SINGLE.Root(each.encode()) for each in roots)
    for each in newer:
        root = root.follow(each)
    return root


@pytest.mark.parametrize("case", PROOFS["proved"], ids=lambda case: case["name"])
def test_kept_proofs_are_shown(case: dict[str, Any]) -> None:
    shown = shown_by_file(case["bundle"], PROOFS["key"])
    assert (shown["entry"], shown["state"], shown["changes"]) == (
        case["entry"],
        case["state"],
        case["changes"],
    )


@pytest.mark.parametrize("case", PROOFS["rooted"], ids=lambda case: case["name"])
def test_kept_proofs_show_who_stands_behind_them(case: dict[str, Any]) -> None:
    shown = shown_by_file(case["bundle"], newest(case["roots"]))
    assert [each["witnessed_s"] for each in shown["backing"]] == case["witnessed_s"]
    last = shown["backing"][-1]
    found = (last["witnesses"], last["auditors"], last["anchored"])
    assert found == (case["witnesses"], case["auditors"], case["anchored"])


@pytest.mark.parametrize("case", PROOFS["refused"], ids=lambda case: case["name"])
def test_kept_bad_proofs_are_refused(case: dict[str, Any]) -> None:
    with pytest.raises(SINGLE.FAULTS):
        shown_by_file(case["bundle"], PROOFS["key"])


@pytest.mark.parametrize("case", PROOFS["refused_rooted"], ids=lambda case: case["name"])
def test_kept_bad_proofs_are_refused_under_their_root(case: dict[str, Any]) -> None:
    root = newest(case["roots"])
    with pytest.raises(SINGLE.FAULTS):
        shown_by_file(case["bundle"], root)


def test_kept_roots_follow_each_other() -> None:
    kept = [each["envelope"] for each in ROOTS["roots"]]
    assert newest(kept).version == len(kept)
    for wrong in ([kept[1], kept[0]], [kept[0], kept[2]], [kept[0], kept[0]]):
        with pytest.raises(SINGLE.FAULTS):
            newest(wrong)


@pytest.mark.parametrize("hash_name", ["sha256", "sha512"])
def test_people_may_sign_a_root_with_ssh(hash_name: str) -> None:
    message = envelope.pae(PAYLOAD_TYPE, payload_of(FIRST))
    made = json.loads(sealed(FIRST))
    for each, key in zip(made["signatures"], (ANN, BOB), strict=True):
        raw = sshsig.sign_raw(key, message, envelope.NAMESPACE, hash_name)
        each["sig"] = base64.b64encode(raw).decode()
    content = canonical.encode(made)
    assert SINGLE.Root(content).version == read_root(content).version == 1
    for place in (0, 40, 90, -1):
        bad = bytearray(base64.b64decode(made["signatures"][0]["sig"]))
        bad[place] ^= 1
        changed = json.loads(content)
        changed["signatures"][0]["sig"] = base64.b64encode(bytes(bad)).decode()
        with pytest.raises(SINGLE.FAULTS):
            SINGLE.Root(canonical.encode(changed))


@pytest.mark.parametrize(
    ("quorum", "seen", "enough"),
    [
        ("quorum w1\n", {"w1"}, True),
        ("quorum w1\n", {"w2", "w3"}, False),
        ("group g all w1 w2 w3\nquorum g\n", {"w1", "w2"}, False),
        ("group g any w1 w2 w3\nquorum g\n", {"w3"}, True),
        ("group a any w1 w2\ngroup g 2 a w3\nquorum g\n", {"w1", "w2"}, False),
        ("group a any w1 w2\ngroup g 2 a w3\nquorum g\n", {"w2", "w3"}, True),
    ],
)
def test_a_quorum_counts_as_in_the_package(quorum: str, seen: set[str], enough: bool) -> None:
    root = SINGLE.Root(sealed(FIRST))
    root.read_quorum(quorum)
    assert root.enough(root.quorum, seen) is enough
    keys = {w.vkey for w in FIRST.witnesses if w.name in seen}
    assert msgspec.structs.replace(FIRST, quorum=quorum).policy().satisfied(keys) is enough


@pytest.mark.parametrize(
    "quorum",
    [
        "group g 4 w1 w2 w3\nquorum g\n",
        "group g 0 w1\nquorum g\n",
        "group g 01 w1\nquorum g\n",
        "group g all w1 w1\nquorum g\n",
        "group g all w1\ngroup h all w1 w2\nquorum h\n",
        "group g all w9\nquorum g\n",
        "group none all w1\nquorum none\n",
        "group w1 all w2\nquorum w1\n",
        "group g all none\nquorum g\n",
        "quorum g\n",
        "quorum w1\nquorum w2\n",
        "group g all w1\n",
    ],
)
def test_a_bad_quorum_is_refused(quorum: str) -> None:
    with pytest.raises(SINGLE.FAULTS):
        SINGLE.Root(sealed(FIRST)).read_quorum(quorum)
