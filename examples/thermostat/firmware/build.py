"""Builds firmware.img and manifest.json, byte for byte the same on every build.

The image is: 8 bytes of magic, the header's length (4 bytes, big-endian), the header (JSON), and
the payload, a zip file that Python runs as it is: the program from program/ and the sensor
tables. The header tells a device what the image is before anything of it is run.

Usage: python3 build.py OUT
"""

from __future__ import annotations

import hashlib
import io
import json
import sys
import zipfile
from pathlib import Path

import tables

MAGIC = b"THERMO1\n"
SIZE_MIN = 1024 * 1024
EPOCH = (1980, 1, 1, 0, 0, 0)  # the earliest time a zip file can hold


def main(out: Path) -> None:
    """Write OUT/firmware.img and OUT/manifest.json."""
    here = Path(__file__).resolve().parent
    described = json.loads((here / "firmware.json").read_bytes())
    image = image_of(described, payload_of(here, described))
    if len(image) < SIZE_MIN:
        raise SystemExit(f"firmware.img: expected {SIZE_MIN} bytes or more, found {len(image)}")
    manifest = {**described, "size": len(image), "sha256": hashlib.sha256(image).hexdigest()}
    out.mkdir(parents=True, exist_ok=True)
    (out / "firmware.img").write_bytes(image)
    (out / "manifest.json").write_bytes(_json(manifest) + b"\n")


def image_of(described: dict[str, object], payload: bytes) -> bytes:
    """The image for a payload; the header carries the payload's size and digest."""
    sums = {"payload_size": len(payload), "payload_sha256": hashlib.sha256(payload).hexdigest()}
    header = _json({**described, **sums})
    return MAGIC + len(header).to_bytes(4, "big") + header + payload


def payload_of(here: Path, described: dict[str, object]) -> bytes:
    """The zip file, its entries in order of their names."""
    entries = {path.name: path.read_bytes() for path in (here / "program").glob("*.py")}
    entries["identity.json"] = _json(described)
    for name, (ohm, b_kelvin) in tables.THERMISTORS.items():
        entries[f"curve-{name}.bin"] = tables.curve(ohm, b_kelvin)
    written = io.BytesIO()
    with zipfile.ZipFile(written, "w") as archive:
        for name in sorted(entries):
            entry = zipfile.ZipInfo(name, EPOCH)
            entry.create_system = 3  # else the builder's system would be recorded
            archive.writestr(entry, entries[name])
    return written.getvalue()


def _json(content: object) -> bytes:
    return json.dumps(content, sort_keys=True, separators=(",", ":")).encode()


if __name__ == "__main__":
    main(Path(sys.argv[1]))
