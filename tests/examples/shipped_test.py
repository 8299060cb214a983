"""What the example ships passes `hardening`; with a key that everybody reads it does not."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from surefoot.core.gate import judge
from surefoot.gates.hardening.gate import HardeningGate
from surefoot.store.blobs import FileBlobs
from surefoot.trust.digest import digest_of

ROOT = Path(__file__).resolve().parents[2]
SUBJECT = digest_of(b"a release")
PEM = b"-----BEGIN " + b"PRIVATE KEY-----\nAAAA\n-----END " + b"PRIVATE KEY-----\n"
LEAK = f"""
    key = {PEM!r}
    with tarfile.open(out / "api.tar", "a") as archive:
        entry = tarfile.TarInfo("thermostat/server.key")
        entry.size, entry.mode = len(key), 0o644
        archive.addfile(entry, io.BytesIO(key))
"""


@pytest.mark.parametrize(("leak", "expected"), [("", "pass"), (LEAK, "fail")])
def test_a_key_that_everybody_reads_is_stopped(leak: str, expected: str, tmp_path: Path) -> None:
    service = ROOT / "examples" / "thermostat" / "service"
    text = (service / "build.py").read_text()
    assert "Path(__file__).parent" in text and "\n\nif __name__" in text
    text = text.replace("Path(__file__).parent", f"Path({str(service)!r})")
    build = tmp_path / "build.py"
    build.write_text(text.replace("\n\nif __name__", f"{leak}\n\nif __name__"))
    subprocess.run([sys.executable, str(build), str(tmp_path / "out")], check=True)
    blobs = FileBlobs(tmp_path / "blobs")
    artifact = blobs.put((tmp_path / "out" / "api.tar").read_bytes())
    asked = {"components": [{"name": "api", "artifact": artifact}]}
    evidence = HardeningGate(blobs, lambda: 0).run(SUBJECT, asked)
    assert judge(evidence, SUBJECT).verdict == expected, evidence
    assert [f.place for f in evidence.findings] == (["/thermostat/server.key"] if leak else [])
