"""The gate `hardening`: before a release, and before a deployment changes anything."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from house import LAMP, AppHouse
from kernel_values import GOOD

from surefoot.core import fold
from surefoot.product import DefinitionRefused, parse_definition
from surefoot.product.rules import governance_of

UNTIL = "2099-01-01T00:00:00Z"


def hardened(root: Path, before: str = "{components: [schema]}") -> str:
    """The lamp with the gate before a release and in deployments to a host below `root`."""
    text = LAMP.replace(
        "release: [provenance]", f"release: [provenance, hardening]\n  hardening: {before}"
    )
    text = text.replace("pipeline:\n", "pipeline:\n  deploy: [hardening]\n")
    host = f"    hardening: {{root: {root}, groups: [kernel], evaluated_percent_min: 100}}\n"
    return text.replace("{main: {engine: sqlite}}}\n", "{main: {engine: sqlite}}}\n" + host)


@pytest.fixture
def root(tmp_path: Path) -> Path:
    """A root file system whose kernel values are not hardened."""
    root = tmp_path / "host"
    (root / "etc" / "sysctl.d").mkdir(parents=True)
    (root / "etc" / "passwd").write_text("root:x:0:0::/:/bin/sh\n")
    return root


@pytest.fixture
def home(tmp_path: Path, root: Path) -> Iterator[AppHouse]:
    house = AppHouse(tmp_path, hardened(root))
    house.set_up()
    yield house
    house.close()


def test_a_host_that_is_not_hardened_stops_a_deployment_before_it_begins(
    home: AppHouse, root: Path
) -> None:
    home.release("1.0.0")
    registered = home.facts("ReleaseRegistered")[-1]
    assert [g["gate"] for g in registered["gates"]] == ["provenance", "hardening"]
    number = home.request("dev", release="1.0.0")
    assert home.carry(number) == "returned"
    shown = home.call("deployment show", "ann", number=number)
    assert [step["status"] for step in shown["steps"]] == ["done", "failed", "pending", "pending"]
    assert "Links of others are not followed" in shown["steps"][1]["cause"]
    (root / "etc" / "sysctl.d" / "99-site.conf").write_text(GOOD)
    assert home.carry(home.request("dev", release="1.0.0")) == "succeeded"


def test_what_a_gate_is_asked_is_part_of_the_rules(root: Path) -> None:
    """Whoever weakens it needs the agreement that a change of rules needs."""
    text = hardened(root)
    digests = {
        fold.governance_digest(governance_of(parse_definition(each.encode())))
        for each in (
            text,
            text.replace("evaluated_percent_min: 100", "evaluated_percent_min: 10"),
            text.replace(
                "{components: [schema]}",
                f"{{components: [schema], except: [{{rule: file-setuid, reason: x, until: "
                f"{UNTIL}}}]}}",
            ),
        )
    }
    assert len(digests) == 3


@pytest.mark.parametrize(
    ("before", "after", "said"),
    [
        (", hardening]", "]", "rules that never run"),
        ("deploy: [hardening]", "deploy: []", "rules that never run"),
        ("[schema]", "[nothing]", "one of schema"),
        ("  hardening: {components: [schema]}\n", "", "components to look into"),
        ("{components: [schema]}", "{components: [schema], root: /x}", "no root"),
        ("groups: [kernel]", "components: [schema]", "no components"),
        ("evaluated_percent_min: 100", "evaluated_percent_min: 0", "from 1 to 100"),
        ("evaluated_percent_min: 100", "evaluated: 100", "did you mean"),
    ],
)
def test_mistakes_are_named(before: str, after: str, said: str, root: Path) -> None:
    text = hardened(root)
    assert before in text
    with pytest.raises(DefinitionRefused) as refused:
        parse_definition(text.replace(before, after).encode())
    assert said in str(refused.value)


def test_an_environment_without_the_key_is_a_mistake(root: Path) -> None:
    lines = [line for line in hardened(root).splitlines(True) if "root:" not in line]
    with pytest.raises(DefinitionRefused, match="the key hardening"):
        parse_definition("".join(lines).encode())
