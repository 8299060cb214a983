"""The gate `baseline` in the pipeline: approved by its digest in the definition."""

from __future__ import annotations

from pathlib import Path

import pytest
from house import LAMP, AppHouse

from surefoot.app.gate_asks import declared_entries
from surefoot.core import fold
from surefoot.gates.baseline.snapshot import of_host
from surefoot.gates.hardening.folder import FolderLook
from surefoot.product import DefinitionRefused, parse_definition
from surefoot.product.rules import governance_of
from surefoot.trust.digest import digest_of

ENVIRONMENT = "{main: {engine: sqlite}}}\n"


def based(root: Path, digest: str) -> str:
    """The lamp, whose environments have an approved host."""
    text = LAMP.replace("pipeline:\n", "pipeline:\n  deploy: [baseline]\n")
    asked = f"    baseline: {{file: baseline.json, digest: '{digest}', root: {root}}}\n"
    text = text.replace("  dev:\n", "  dev:\n    watch: {baseline: 60}\n")
    return text.replace(ENVIRONMENT, ENVIRONMENT + asked)


def test_what_is_new_stops_a_deployment_before_it_begins(tmp_path: Path) -> None:
    root = tmp_path / "host"
    (root / "etc").mkdir(parents=True)
    (root / "etc" / "passwd").write_text("root:x:0:0::/:/bin/sh\n")
    declared = declared_entries(parse_definition(LAMP.encode()).environments["dev"])
    content = of_host(FolderLook(root), (), declared).encode()
    house = AppHouse(tmp_path, based(root, digest_of(content)))
    (house.product / "baseline.json").write_bytes(b"another")
    house.commit(based(root, digest_of(content)))
    house.set_up()
    answer = house.job("release build", version="0.9.0", commit="HEAD")
    assert answer["status"] == "failed" and "baseline.digest" in str(answer)
    (house.product / "baseline.json").write_bytes(content)
    house.commit(based(root, digest_of(content)))
    house.release("1.0.0")
    assert house.carry(house.request("dev", release="1.0.0")) == "succeeded"
    (root / "etc" / "passwd").write_text("root:x:0:0::/:/bin/sh\neve:x:5:5::/:/bin/sh\n")
    number = house.request("dev", release="1.0.0")
    assert house.carry(number) != "succeeded"
    shown = house.call("deployment show", "ann", number=number)
    step = next(step for step in shown["steps"] if step["action"] == "baseline")
    assert step["status"] == "failed" and "new against the baseline" in step["cause"]
    assert "account eve" in step["cause"]
    again = house.call("watch run", "bob", name="dev", gate="baseline")["watches"]
    assert [row["verdict"] for row in again] == ["fail"]
    house.close()


def test_another_baseline_needs_the_agreement_that_rules_need(tmp_path: Path) -> None:
    digests = {
        fold.governance_digest(governance_of(parse_definition(text.encode())))
        for text in (
            based(tmp_path, digest_of(b"a")),
            based(tmp_path, digest_of(b"b")),
            based(tmp_path / "x", digest_of(b"a")),
        )
    }
    assert len(digests) == 3


@pytest.mark.parametrize(
    ("before", "after", "said"),
    [
        ("deploy: [baseline]", "deploy: []", "production.baseline"),
        ("file: baseline.json", "file: ../baseline.json", "without .."),
        ("digest: 'sha256:", "digest: 'md5:", "sha256: and 64"),
        ("release: [provenance]", "release: [provenance, baseline]", "the key baseline"),
    ],
)
def test_mistakes_are_named(before: str, after: str, said: str, tmp_path: Path) -> None:
    text = based(tmp_path, digest_of(b"a"))
    assert before in text
    with pytest.raises(DefinitionRefused) as refused:
        parse_definition(text.replace(before, after).encode())
    assert said in str(refused.value)
