"""What the gate `privilege` is asked in a definition."""

from __future__ import annotations

import pytest

from surefoot.core import fold
from surefoot.product import DefinitionRefused, parse_definition
from surefoot.product.rules import governance_of

LAMP = """\
surefoot: 1
product: lamp
components:
  schema: {kind: migrations, path: migrations, database: main}
pipeline:
  deploy: [privilege]
environments:
  dev:
    targets: {databases: {main: {engine: postgresql, address: "dbname=lamp"}}}
    privilege:
      databases:
        main:
          roles:
            app: {may: {lamp: [select, insert]}, must_not: ["delete from lamp"]}
          others: [postgres]
"""


def test_it_is_read_and_part_of_the_rules() -> None:
    digests = {
        fold.governance_digest(governance_of(parse_definition(text.encode())))
        for text in (LAMP, LAMP.replace("[select, insert]", "[select, insert, delete]"))
    }
    assert len(digests) == 2


@pytest.mark.parametrize(
    ("before", "after", "said"),
    [
        ("deploy: [privilege]", "deploy: []", "checks that never run"),
        ("[select, insert]", "[select, execute]", "one of delete"),
        ("delete from lamp", "vacuum lamp now", "one statement"),
        ("delete from lamp", "delete from a; delete from b", "one statement"),
        ('{engine: postgresql, address: "dbname=lamp"}', "{engine: sqlite}", "PostgreSQL"),
        (
            "databases:\n        main:",
            "databases:\n        other:",
            "a database of the environment",
        ),
        ("app: {may", "App: {may", "a role"),
    ],
)
def test_mistakes_are_named(before: str, after: str, said: str) -> None:
    assert before in LAMP
    with pytest.raises(DefinitionRefused) as refused:
        parse_definition(LAMP.replace(before, after).encode())
    assert said in str(refused.value)


def test_a_gate_that_no_environment_answers_is_a_mistake() -> None:
    with pytest.raises(DefinitionRefused, match="none has it"):
        parse_definition(LAMP.partition("    privilege:")[0].encode())
