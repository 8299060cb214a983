"""A server and two witnesses, each a process of its own, as people run them."""

from __future__ import annotations

import json
import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from surefoot.compose.rooting import draft as root_payload
from surefoot.testing.control_plane import ControlPlane, wait_for
from surefoot.testing.witness import WitnessProcess
from surefoot.trust.cosignature import ML_DSA_44, CosignerKey, cosignatures
from surefoot.trust.note import VerifierKey, open_checkpoint
from surefoot.trust.quorum import parse_policy

pytestmark = pytest.mark.timeout(600)


@pytest.fixture
def witnesses(tmp_path: Path) -> Iterator[list[WitnessProcess]]:
    found = [WitnessProcess(tmp_path / name, f"w.example/{name}") for name in ("north", "south")]
    for witness in found:
        witness.start()
    yield found
    for witness in found:
        witness.stop()


@pytest.fixture
def plane(tmp_path: Path) -> Iterator[ControlPlane]:
    found = ControlPlane(tmp_path / "s", tmp_path)
    yield found
    found.close()


def install(plane: ControlPlane, policy: Path) -> Any:
    """Two founders and an empty repository are enough to have a journal."""
    plane.keys.mkdir(parents=True)
    for who in ("ann", "bob"):
        plane.ask("", "key", "generate", str(plane.keys / who))
    subprocess.run(["git", "init", "--quiet", str(plane.repository)], check=True)
    founders = [w for n in ("ann", "bob") for w in ("--founder", f"{n}={plane.keys / n}.pub")]
    named = ("--repository", str(plane.repository), "--product", "lamp")
    watched = ("--witness-policy", str(policy), "--anchors")
    return plane.ask("", "init", str(plane.data), *founders, *named, *watched)


def test_a_quorum_of_two_a_death_a_file_and_an_export(
    plane: ControlPlane, witnesses: list[WitnessProcess], tmp_path: Path
) -> None:
    far = WitnessProcess(tmp_path / "far", "w.example/far")
    text = "".join(f"witness {w.folder.name} {w.vkey} {w.url}\n" for w in witnesses)
    text += f"witness far {far.vkey}\ngroup near all north south\nquorum near\n"
    policy, file = parse_policy(text), tmp_path / "policy"
    file.write_text(text)
    vkey = str(install(plane, file)["log_key"])
    for witness in (*witnesses, far):
        witness.trust(vkey)
    plane.serve()
    witness_keys = [w.key for w in policy.witnesses.values()]

    def shown() -> dict[str, Any]:
        return plane.ask("ann", "installation", "show")

    def cosigned(*names: str) -> bool:
        answer = shown()
        sizes = {w["name"]: w["size"] for w in answer["witnesses"]}
        return all(sizes[name] == answer["size"] for name in names)

    wait_for("a quorum", lambda: cosigned("north", "south"))
    anchored = plane.ask("ann", "journal", "anchor")
    assert anchored["size"] == shown()["size"]
    anchor = CosignerKey.parse(shown()["anchor_key"])
    assert (anchor.name, anchor.kind) == (VerifierKey.parse(vkey).name, ML_DSA_44)

    # By file, to where no network reaches.
    asked, answer = str(tmp_path / "asked"), str(tmp_path / "answer")
    plane.ask("ann", "journal", "request", asked, "--old", "0")
    far.ask("witness", "sign", str(far.folder), asked, answer)
    assert plane.ask("bob", "journal", "cosign", answer)["size"] == anchored["size"]
    assert cosigned("far")

    export = tmp_path / "export"
    plane.ask("", "journal", "export", str(export), "--data", str(plane.data))
    note = (export / "checkpoint").read_text()
    assert open_checkpoint(note, VerifierKey.parse(vkey)).size == anchored["size"]
    found = cosignatures(note, [*witness_keys, anchor])
    names = {c.name for c in found}
    assert names == {"w.example/north", "w.example/south", "w.example/far", anchor.name}
    assert policy.quorum_time(found) is not None
    verified = ("--offline", str(export), "--log-key", vkey)
    assert plane.ask("", "journal", "verify", *verified)["ok"]

    drafted = json.loads(root_payload(plane.data))
    assert [log["anchor"] for log in drafted["logs"]] == [anchor.text()]
    assert {w["name"] for w in drafted["witnesses"]} == {"north", "south", "far"}

    witnesses[0].stop(9)
    plane.ask("", "key", "generate", str(plane.keys / "cyn"))
    plane.ask("ann", "person", "enrol", "cyn", "--new-key", str(plane.keys / "cyn"))
    wait_for("the other alone", lambda: cosigned("south"))
    wait_for("an error", lambda: shown()["witnesses"][0]["error"])
    assert not cosigned("north")
    plane.stop()
    plane.serve()  # a witness that cannot be reached stops no start
    assert "alarm" not in shown() and "witness_alarm" not in shown()
    plane.ask("ann", "journal", "anchor")


def test_a_folder_put_back_whole_is_told_by_the_witness(
    plane: ControlPlane, witnesses: list[WitnessProcess], tmp_path: Path
) -> None:
    """Database and checkpoint file are of the same age: nothing on this machine knows better."""
    file = tmp_path / "policy"
    file.write_text(f"witness north {witnesses[0].vkey} {witnesses[0].url}\nquorum north\n")
    witnesses[0].trust(str(install(plane, file)["log_key"]))

    def shown() -> dict[str, Any]:
        return plane.ask("ann", "installation", "show")

    shutil.copytree(plane.data, tmp_path / "copy")
    plane.serve()
    plane.ask("", "key", "generate", str(plane.keys / "cyn"))
    plane.ask("ann", "person", "enrol", "cyn", "--new-key", str(plane.keys / "cyn"))
    lost = shown()["size"]
    wait_for("a cosignature", lambda: shown()["witnesses"][0]["size"] >= lost)
    plane.stop()

    shutil.rmtree(plane.data)
    shutil.copytree(tmp_path / "copy", plane.data)
    before = (plane.data / "checkpoint" / "last").read_bytes()
    plane.serve()
    assert shown()["alarm"]["code"] == "journal.witness.ahead"
    refused = plane.start("ann", "person", "enrol", "cyn", "--new-key", str(plane.keys / "cyn"))
    assert refused.returncode == 5 and "journal.witness.ahead" in refused.stderr
    assert (plane.data / "checkpoint" / "last").read_bytes() == before


def test_a_wrong_policy_refuses_the_installation(plane: ControlPlane, tmp_path: Path) -> None:
    file = tmp_path / "policy"
    file.write_text("quorum nobody\n")
    with pytest.raises(AssertionError, match=r"journal\.policy\.input"):
        install(plane, file)
