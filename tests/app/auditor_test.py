"""An auditor cosigns an honest log, and neither a log that tells lies nor one that forgets."""

from __future__ import annotations

import json
import shutil
import threading
from collections.abc import Callable, Iterator
from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import msgspec
import pytest
from dishonest import Change, log_signer, rewritten, with_seals

from surefoot.compose import auditor, offline
from surefoot.compose.signed import evidence_of
from surefoot.core.errors import Corrupt, Failed, Refused
from surefoot.doors.cli.main import main
from surefoot.store.blobs import FileBlobs
from surefoot.testing.journal import KEY
from surefoot.trust.cosignature import CosignerKey, cosignatures

Make = Callable[..., Path]


@pytest.fixture
def export(delivered: Path, tmp_path: Path) -> Path:
    """An honest export with evidence."""
    offline.export(delivered, tmp_path / "export", lambda done, of: None, evidence=True)
    return tmp_path / "export"


@pytest.fixture
def make(delivered: Path, tmp_path: Path) -> Make:
    """Makes an auditor of a source; its folder."""

    def auditor_of(source: object, **options: Any) -> Path:
        kept = auditor.AuditorSettings(name="north", source=str(source))
        key = log_signer(delivered).verifier.text().encode()
        auditor.make(tmp_path / "auditor", kept, key, **options)
        return tmp_path / "auditor"

    return auditor_of


@pytest.fixture
def served(export: Path) -> Iterator[str]:
    """The address of a static web server over the export."""

    class Quiet(SimpleHTTPRequestHandler):
        def log_message(self, *words: Any) -> None:
            """Nothing."""

    server = ThreadingHTTPServer(("127.0.0.1", 0), partial(Quiet, directory=str(export.parent)))
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    yield f"http://127.0.0.1:{server.server_port}/{export.name}"
    server.shutdown()
    server.server_close()
    thread.join()


def forge(delivered: Path, export: Path, change: Change) -> None:
    """Put a whole log with another story where the honest export was."""
    carried = partial(evidence_of, FileBlobs(delivered / "blobs"))
    told = rewritten(delivered, export.parent / "forged", change, carried)
    shutil.rmtree(export)
    shutil.move(told, export)


def violations(folder: Path) -> list[dict[str, Any]]:
    return [json.loads(line) for line in (folder / "violations").read_text().splitlines()]


def test_an_honest_log_is_cosigned_with_both_kinds_of_key(make: Make, export: Path) -> None:
    folder = make(export, ml_dsa=True)
    answer = auditor.audit(folder)
    assert (answer["new"], answer["signatures"]) == (True, 3)
    vkeys = auditor.show(folder)["vkeys"]
    assert isinstance(vkeys, list)
    keys = [CosignerKey.parse(str(line)) for line in vkeys]
    found = cosignatures((folder / "cosigned").read_text(), keys)
    assert [(each.name, each.kind) for each in found] == [
        ("auditor/north", 0x04),
        ("auditor/north", 0x06),
    ]
    again = auditor.audit(folder)
    assert again["new"] is False
    assert auditor.show(folder)["violations"] == 0


def test_it_follows_a_web_server(make: Make, served: str, export: Path) -> None:
    answer = auditor.audit(make(served))
    assert (answer["new"], answer["size"]) == (
        True,
        int((export / "checkpoint").read_text().splitlines()[1]),
    )


def test_one_folder_has_one_auditor(make: Make, export: Path) -> None:
    folder = make(export)
    with auditor._alone(folder), pytest.raises(Refused, match=r"has it open.*auditor\.locked"):
        auditor.audit(folder)
    assert not (folder / "cosigned").exists() and not (folder / "violations").exists()
    auditor.audit(folder)
    assert auditor.show(folder)["cosigned"] > 0
    with pytest.raises(Refused, match=r"auditor\.missing"):
        auditor.audit(export)
    assert not (export / "lock").exists()


def test_a_signed_wrong_heads_map_is_not_cosigned(
    make: Make, export: Path, delivered: Path
) -> None:
    folder = make(export)
    with_seals(delivered, export, lambda seal: msgspec.structs.replace(seal, heads="0" * 64))
    with pytest.raises(Corrupt) as caught:
        auditor.audit(folder)
    assert caught.value.code == "journal.seal.heads"
    assert caught.value.exit_status == 5
    assert not (folder / "cosigned").exists()
    noted = violations(folder)
    assert noted[0]["code"] == "journal.seal.heads"
    assert noted[0]["checkpoint"] == (export / "checkpoint").read_text()


def test_a_log_that_was_refused_does_not_come_back_with_another_tree(
    make: Make, export: Path, delivered: Path
) -> None:
    folder, honest = make(export), export.parent / "honest"
    shutil.copytree(export, honest)
    with_seals(delivered, export, lambda seal: msgspec.structs.replace(seal, heads="0" * 64))
    with pytest.raises(Corrupt):
        auditor.audit(folder)
    shutil.rmtree(export)
    shutil.move(honest, export)
    with pytest.raises(Corrupt, match=r"journal\.root\.differs"):
        auditor.audit(folder)
    assert not (folder / "cosigned").exists()


def test_what_only_the_serving_spoiled_may_be_put_right(make: Make, export: Path) -> None:
    folder = make(export)
    state = next(p for p in (export / "states").rglob("*") if p.is_file())
    good = state.read_bytes()
    state.write_bytes(good + b" ")
    with pytest.raises(Corrupt):
        auditor.audit(folder)
    state.write_bytes(good)
    assert auditor.audit(folder)["new"] is True


def test_an_activation_without_approvals_is_not_cosigned(
    make: Make, export: Path, delivered: Path
) -> None:
    folder = make(export)
    forge(delivered, export, lambda leaf: None if leaf.kind == "ApprovalGiven" else leaf)
    with pytest.raises(Corrupt, match=r"journal\.rule\.broken") as caught:
        auditor.audit(folder)
    assert "[breach.approvals]" in caught.value.expected
    assert caught.value.subject.startswith("leaf ")
    assert not (folder / "cosigned").exists()


def test_a_log_that_forgot_a_leaf_since_is_not_cosigned(
    make: Make, export: Path, delivered: Path
) -> None:
    folder = make(export)
    auditor.audit(folder)
    before = (folder / "cosigned").read_text()
    # Whole and lawful for whoever had not seen the entries that are gone.
    forge(delivered, export, lambda leaf: None if leaf.kind == "ObservationRecorded" else leaf)
    with pytest.raises(Corrupt) as caught:
        auditor.audit(folder)
    assert caught.value.code in ("journal.tail.missing", "journal.root.differs")
    assert (folder / "cosigned").read_text() == before


def test_a_changed_state_is_not_cosigned(make: Make, export: Path) -> None:
    folder = make(export)
    state = next(p for p in (export / "states").rglob("*") if p.is_file())
    state.write_bytes(state.read_bytes() + b" ")
    with pytest.raises(Corrupt, match=r"journal\.state\.differs"):
        auditor.audit(folder)
    assert not (folder / "cosigned").exists()
    assert violations(folder)


def test_a_state_changed_in_the_mirror_is_found(make: Make, export: Path) -> None:
    folder = make(export)
    auditor.audit(folder)
    (folder / "cosigned").unlink()
    state = next(p for p in (folder / "mirror" / "states").rglob("*") if p.is_file())
    state.write_bytes(state.read_bytes() + b" ")
    with pytest.raises(Corrupt, match=r"journal\.state\.differs"):
        auditor.audit(folder)


def test_without_envelopes_nothing_is_signed(make: Make, export: Path) -> None:
    folder = make(export)
    shutil.rmtree(export / "blobs")
    with pytest.raises(Failed, match=r"auditor\.source\.incomplete"):
        auditor.audit(folder)
    assert not (folder / "violations").exists()


def test_another_logs_key_is_not_taken(make: Make, export: Path) -> None:
    folder = make(export)
    (folder / "trust").write_text(KEY.verifier.text())
    with pytest.raises(Corrupt, match=r"journal\.checkpoint\.signature"):
        auditor.audit(folder)
    (folder / "trust").write_text("no key")
    with pytest.raises(Refused, match=r"auditor\.missing"):
        auditor.audit(folder)


def test_the_command_line_ends_with_the_status_of_what_was_found(
    make: Make, export: Path, delivered: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    folder = make(export)
    assert main(["auditor", "run", str(folder), "--once", "-o", "json"]) == 0
    assert json.loads(capsys.readouterr().out)["new"] is True
    assert main(["auditor", "show", str(folder)]) == 0
    assert "auditor/north" in capsys.readouterr().out
    with_seals(delivered, export, lambda seal: msgspec.structs.replace(seal, heads="0" * 64))
    assert main(["auditor", "run", str(folder), "--once"]) == 5
    assert "journal.seal.heads" in capsys.readouterr().err
    assert main(["auditor", "init", str(folder), "--name", "x"]) == 3
    shutil.rmtree(export)
    assert main(["auditor", "run", str(folder), "--once"]) == 4


@pytest.mark.parametrize("source", ["ftp://here/x", "http://", "http://host:99999999/x"])
def test_a_source_that_is_none_is_refused(make: Make, source: str) -> None:
    with pytest.raises(Refused, match=r"auditor\.source\.input"):
        make(source)


def test_a_server_that_is_gone_is_a_failure(make: Make) -> None:
    folder = make("http://127.0.0.1:1/export")
    with pytest.raises(Failed, match=r"auditor\.source\.failed"):
        auditor.audit(folder)
