"""Every release of the example is one that Surefoot accepts: definition, migrations, manifest."""

from __future__ import annotations

import io
import json
import tarfile
from pathlib import Path

import pytest
import thermostat_product as product

from surefoot.product import parse_definition
from surefoot.targets.database.migration import describe
from surefoot.targets.database.sql import Engine


@pytest.mark.parametrize("release", product.RELEASES)
def test_the_definition_is_accepted_and_says_what_the_parts_promise(
    checkouts: dict[str, Path], release: str
) -> None:
    definition = parse_definition((checkouts[release] / "surefoot.yaml").read_bytes())
    described = json.loads((checkouts[release] / "firmware" / "firmware.json").read_bytes())
    compatibility = definition.compatibility
    assert list(compatibility["firmware"].requires["http"]) == described["requires"]["http"]
    version = (checkouts[release] / "service/thermostat/version.py").read_text()
    assert f"HTTP = {tuple(compatibility['api'].provides['http'])}" in version


@pytest.mark.parametrize("engine", ["sqlite", "postgres"])
def test_the_migrations_are_accepted_for_both_engines(
    tmp_path: Path, checkouts: dict[str, Path], engine: Engine
) -> None:
    written = io.BytesIO()
    with tarfile.open(fileobj=written, mode="w") as archive:
        for path in sorted((checkouts["1.2.1"] / "migrations").glob("*.sql")):
            archive.add(path, path.name)
    found = describe(written.getvalue(), engine)
    taken = [migration["takes_away"] for migration in found if migration["class"] == "contract"]
    assert taken == [["drops column device.calibration_milli"], ["drops table comfort"]]
