"""root.json from the draft to the pinned file: who may publish it, and what the folder keeps."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from pathlib import Path

import msgspec
import pytest
from house import LAMP, AppHouse

from surefoot.compose import auditor, offline, rooting
from surefoot.core.errors import Refused
from surefoot.doors.cli.main import main
from surefoot.trust import envelope
from surefoot.trust.cosignature import CosignerSigner
from surefoot.trust.digest import digest_of
from surefoot.trust.root import PAYLOAD_TYPE, Root, follow, payload_of, read_payload, read_root

WITNESS = CosignerSigner("w.example", b"w" * 32, 4).key.text()
AUDITOR = CosignerSigner("a.example", b"a" * 32, 4).key.text()


@pytest.fixture
def home(house: Callable[[str], AppHouse]) -> Iterator[AppHouse]:
    yield house(LAMP)


def drafted(home: AppHouse, **changed: object) -> Root:
    root = read_payload(rooting.draft(home.folder / "data"))
    return msgspec.structs.replace(root, **changed)


def sealed(home: AppHouse, root: Root, *who: str) -> str:
    keys = [home.keys[name] for name in who]
    return envelope.seal(PAYLOAD_TYPE, payload_of(root), keys).decode()


def test_a_draft_says_what_the_folder_has(home: AppHouse) -> None:
    (home.folder / "data" / "witness.policy").write_text(
        f"# ours\nwitness w1 {WITNESS} https://w.example\ngroup some any w1\nquorum some\n"
    )
    root = read_payload(rooting.draft(home.folder / "data", [f"a1={AUDITOR}"]))
    assert (root.version, root.installation, root.threshold) == (1, "home", 2)
    assert root.signers == {name: key.public.line() for name, key in home.keys.items()}
    assert [log.vkey for log in root.logs] == [home.installation.app.log_key]
    assert [(w.name, w.vkey, w.url) for w in root.witnesses] == [
        ("w1", WITNESS, "https://w.example")
    ]
    assert root.quorum == "group some 1 w1\nquorum some\n"
    assert [(a.name, a.vkey) for a in root.auditors] == [("a1", AUDITOR)]
    assert len(root.release_keys) == 1


def test_two_founders_publish_and_anybody_follows(home: AppHouse) -> None:
    with pytest.raises(Refused, match=r"root\.unknown"):
        home.call("root get", "ann")
    first = sealed(home, drafted(home), "ann", "bob")
    answer = home.call("root accept", "ann", root=first)
    assert answer["version"] == 1
    assert (home.folder / "data" / "root" / "1.json").read_text() == first
    assert home.facts("RootPublished") == [{"version": 1, "digest": digest_of(first.encode())}]
    home.call("root accept", "bob", root=first)
    assert len(home.facts("RootPublished")) == 1
    root = drafted(home)
    assert root.version == 2
    second = sealed(home, root, "ann", "bob")
    home.call("root accept", "bob", root=second)
    assert follow(read_root(first.encode()), home.call("root get", "ann")["root"].encode()) == root
    report = home.installation.verify()
    assert report["ok"], report["problems"]


@pytest.mark.parametrize(
    ("changed", "who", "found"),
    [
        ({}, ["ann"], "known keys, expected 2"),
        ({"threshold": 1}, ["ann"], "known keys, expected 2"),
        ({"version": 2}, ["ann", "bob"], "version 2, expected 1"),
        ({"installation": "other"}, ["ann", "bob"], "other"),
    ],
)
def test_what_two_founders_did_not_sign_is_refused(
    home: AppHouse, changed: dict[str, object], who: list[str], found: str
) -> None:
    with pytest.raises(Refused, match=found) as refused:
        home.call("root accept", "ann", root=sealed(home, drafted(home, **changed), *who))
    assert refused.value.code == "root.file.input"
    assert home.facts("RootPublished") == []
    assert not (home.folder / "data" / "root").exists()


def test_a_stranger_signing_for_themselves_is_refused(home: AppHouse) -> None:
    home.enrol("eve")
    home.enrol("mal")
    signers = {name: home.keys[name].public.line() for name in ("eve", "mal")}
    with pytest.raises(Refused, match="signatures of two founders"):
        home.call(
            "root accept", "ann", root=sealed(home, drafted(home, signers=signers), "eve", "mal")
        )
    with pytest.raises(Refused, match=r"policy\."):
        home.call("root accept", "eve", root=sealed(home, drafted(home), "ann", "bob"))


def test_the_logs_present_key_must_count(home: AppHouse) -> None:
    root = drafted(home)
    ended = msgspec.structs.replace(root.logs[0], until_ms=2**50, ended="lost")
    with pytest.raises(Refused, match="one where it is lost"):
        made = msgspec.structs.replace(root, logs=(ended,))
        home.call("root accept", "ann", root=sealed(home, made, "ann", "bob"))


def test_each_founder_signs_on_their_own_machine(
    home: AppHouse, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    def run(*words: str) -> str:
        status = main([*words, "-o", "json"])
        shown = capsys.readouterr()
        assert status == 0, shown.err
        return shown.out

    file = str(tmp_path / "next.json")
    run("root", "draft", "--data", str(home.folder / "data"), "--out", file)
    for who in ("ann", "bob"):
        run("root", "sign", file, "--yes", "--key", str(home.folder / f"{who}.key"))
    assert json.loads(run("root", "show", file))["signed_by"] == ["ann", "bob"]
    home.call("root accept", "ann", root=Path(file).read_text())
    assert main(["root", "sign", file, "--yes", "--key", str(home.folder / "ann.key")]) == 3
    assert "did not sign yet" in capsys.readouterr().err
    home.enrol("eve")
    assert main(["root", "sign", file, "--yes", "--key", str(home.folder / "eve.key")]) == 3
    assert main(["root", "show", file]) == 0
    page = capsys.readouterr().out
    assert "signed by ann, bob: whole" in page
    assert home.installation.app.log_key in page


def test_the_log_takes_what_an_auditor_of_the_root_cosigned(home: AppHouse) -> None:
    data, place = home.folder / "data", home.folder / "auditor"
    kept = auditor.AuditorSettings(name="north", source=str(home.folder / "export"))
    vkeys = auditor.make(place, kept, home.installation.app.log_key.encode())["vkeys"]
    root = read_payload(rooting.draft(data, [f"north={vkeys[0]}"]))

    def audited() -> str:
        offline.export(data, home.folder / "export", lambda done, of: None, evidence=True)
        auditor.audit(place)
        return (place / "cosigned").read_text()

    with pytest.raises(Refused, match=r"journal\.cosignature\.input"):
        home.call("journal cosign", "ann", note=audited())
    home.call("root accept", "ann", root=sealed(home, root, "ann", "bob"))
    answer = home.call("journal cosign", "ann", note=audited())
    assert [c["name"] for c in answer["cosignatures"]] == ["auditor/north"]
    assert "auditor/north" in home.installation.log.cosigned(answer["size"])
    # Whoever verifies the export under the root sees who cosigned, and believes no other key.
    offline.export(data, home.folder / "export", lambda done, of: None)
    signed = sealed(home, root, "ann", "bob").encode()
    report = offline.verify_export(home.folder / "export", signed, None, lambda done, of: None)
    assert report["ok"], report["problems"]
    assert [words.partition(" at ")[0] for words in report["cosigned"]] == ["auditor/north"]
