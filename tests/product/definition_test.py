"""The definition's parser: the example is read whole; every broken document names its place."""

from decimal import Decimal
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from surefoot.product import (
    SIZE_BYTES_MAX,
    DefinitionRefused,
    Firmware,
    Service,
    definition_digest,
    parse_definition,
    reference_page,
)
from surefoot.trust import canonical
from surefoot.trust.digest import digest_of

ROOT = Path(__file__).resolve().parents[2]
EXAMPLE = ROOT / "examples/thermostat/surefoot.yaml"
PAGE = ROOT / "docs/reference/surefoot-yaml.md"

SMALL = """\
surefoot: 1
product: lamp
components:
  schema:
    kind: migrations
    path: migrations
    database: main
roles:
  approver: [approve]
environments:
  dev:
    targets:
      databases: {main: {engine: sqlite}}
    values: {greeting: hello}
  production:
    protected: true
    after: dev
    approvals: {count: 2, role: approver}
    targets:
      databases: {main: {engine: sqlite}}
"""


def refused(text: str | bytes) -> DefinitionRefused:
    content = text if isinstance(text, bytes) else text.encode()
    with pytest.raises(DefinitionRefused) as caught:
        parse_definition(content)
    return caught.value


def test_the_example_is_read_whole() -> None:
    definition = parse_definition(EXAMPLE.read_bytes())
    api, firmware = definition.components["api"], definition.components["firmware"]
    assert isinstance(api, Service) and isinstance(firmware, Firmware)
    assert api.run.health.path == "/health"
    assert firmware.hardware == ("thermostat-v1",)
    production = definition.environments["production"]
    assert production.availability_percent == Decimal("99.9")
    assert production.devices is not None and production.devices.waves == (10, 50, 100)
    assert definition.pipeline.smoke[2].sql == "select count(*) from telemetry"


def test_the_plain_form_is_canonical_and_repeatable() -> None:
    content = EXAMPLE.read_bytes()
    first, second = (canonical.encode(parse_definition(content).plain()) for _ in range(2))
    assert first == second
    assert canonical.parse(first) == parse_definition(content).plain()
    assert definition_digest(content) == digest_of(content)


def test_the_reference_page_is_the_one_made_from_the_example() -> None:
    assert PAGE.read_text() == reference_page(EXAMPLE.read_text())


def test_the_small_document_is_valid() -> None:
    assert parse_definition(SMALL.encode()).product == "lamp"


BROKEN = [
    # (what to replace, by what, line, column, expected, found or remedy)
    ("product: lamp", "prodct: lamp", 2, 1, "one of", "did you mean product?"),
    ("product: lamp\n", "", 1, 1, "the key product", "no such key"),
    ("surefoot: 1", "surefoot: 2", 1, 11, "one of 1", "2"),
    ("product: lamp", "product: Lamp", 2, 10, "a name", "Lamp"),
    ("product: lamp", "product: system", 2, 1, "not reserved", "reserved"),
    ("product: lamp", "product: [lamp]", 2, 10, "a name", "a list"),
    ("product: lamp", "product: ~", 2, 10, "a name", "nothing"),
    ("product: lamp", "product: &x lamp", 2, 10, "no anchors", "an anchor"),
    ("product: lamp", "product: !!str lamp", 2, 10, "no tags", "tag"),
    ("product: lamp", "product: lamp\nproduct: lamp", 3, 1, "product once", "line 2"),
    ("product: lamp", "product: *x", 2, 10, "no anchors", "alias"),
    ("kind: migrations", "kind: migration", 5, 11, "one of", "did you mean migrations?"),
    ("kind: migrations", "path: a", 6, 5, "path once", "line 5"),
    ("    kind: migrations\n", "", 5, 5, "the key kind", "no such key"),
    ("path: migrations", "path: ../migrations", 6, 11, "without ..", "../migrations"),
    ("path: migrations", "path: /etc", 6, 11, "relative path", "/etc"),
    ("    database: main", "    database: other", 7, 5, "every environment", "no other"),
    ("[approve]", "[aprove]", 9, 14, "one of release.create", "aprove"),
    ("[approve]", "[deploy.moon]", 9, 14, "deploy.dev", "deploy.moon"),
    ("engine: sqlite", "engine: oracle", 13, 34, "one of", "oracle"),
    ("greeting: hello", "greeting: yes", 14, 24, "true or false", "in quotes"),
    ("greeting: hello", "greeting: 010", 14, 24, "whole number", "in quotes"),
    ("greeting: hello", "greeting: 12:30:45", 14, 24, "whole number", "in quotes"),
    ("greeting: hello", "greeting: 1.5", 14, 24, "whole number", "in quotes"),
    ("greeting: hello", "greeting: 0x1F", 14, 24, "whole number", "in quotes"),
    ("greeting: hello", "greeting: null", 14, 24, "text", "in quotes"),
    ("greeting: hello", "greeting: 99999999999999999", 14, 24, "text", "in quotes"),
    ("greeting: hello", "greeting: {a: b}", 14, 24, "text", "a mapping"),
    ("greeting: hello", '"greeting!": hello', 14, 14, "a key", "greeting!"),
    ("values: {greeting: hello}", "<<: {a: b}", 14, 5, "no merge keys", "<<"),
    ("protected: true", "protected: yes", 16, 16, "true or false", "write true or false"),
    ("after: dev", "after: moon", 17, 5, "one of dev", "moon"),
    ("after: dev", "after: production", 17, 5, "without a circle", "after itself"),
    ("count: 2", "count: 1", 18, 17, "at least 2", "small_team"),
    ("count: 2", "count: two", 18, 24, "whole number", "two"),
    ("count: 2", 'count: "2"', 18, 24, "whole number", "2"),
    ("count: 2", "count: 02", 18, 24, "whole number", "02"),
    ("role: approver", "role: nobody", 18, 27, "one of approver", "nobody"),
    ("    approvals: {count: 2, role: approver}\n", "", 15, 3, "approvals", "no such key"),
    ("approver: [approve]", "approver: [release.create]", 18, 27, "permission approve", "approver"),
]


@pytest.mark.parametrize("case", BROKEN, ids=lambda c: c[1][:30].strip() or "left out")
def test_a_broken_document_names_its_place(case: tuple[str, str, int, int, str, str]) -> None:
    old, new, line, column, expected, found = case
    assert old in SMALL
    error = refused(SMALL.replace(old, new, 1))
    assert error.code == "product.definition.input"
    assert error.subject.startswith(f"surefoot.yaml:{line}:{column}"), str(error)
    assert expected in error.expected, str(error)
    assert found in error.found + error.remedy, str(error)


ADDED = [
    # (lines added to production, words of the complaint)
    ("devices: {waves: [50, 20, 100]}", "rising percentages"),
    ("devices: {waves: [10, 50]}", "100 as the last wave"),
    ('devices: {query: "tag==a and"}', "a field (query, character 11)"),
    ('devices: {query: "lastseen<2d"}', "fields that do not change by time alone"),
    ('devices: {query: ""}', "1 to 2000"),
    ("devices: {devices: [a b]}", "text of 1 to 256"),
    ("devices: {waves: [100], success_percent: 101}", "from 0 to 100"),
    ("devices: {waves: []}", "1 to 10000 items"),
    ("freezes: [{from: 2026-12-24T00:00:00Z, until: 2026-12-23T00:00:00Z, reason: x}]", "before"),
    ("freezes: [{from: 2026-12-24, until: 2026-12-27T00:00:00Z, reason: x}]", "a UTC time"),
    ("freezes: [{from: 2026-13-24T00:00:00Z, until: 2026-12-27T00:00:00Z, reason: x}]", "UTC"),
    ("freezes: [{from: 2026-12-24T00:00:00+01:00, until: 2026-12-27T00:00Z, reason: x}]", "UTC"),
    ("availability_percent: 100.5", "a percentage"),
    ("availability_percent: .inf", "a percentage"),
    ("secrets: [a, a]", "a once"),
    ("secrets: [a]\n    values: {a: b}", "not a value too"),
    ("data: {masked: [telemetry]}", "text of"),
]


@pytest.mark.parametrize(("lines", "words"), ADDED)
def test_an_environment_is_checked(lines: str, words: str) -> None:
    error = refused(SMALL + "    " + lines + "\n")
    assert words in str(error)


PIPELINES = [
    ("{release: [provenence]}", "one of provenance"),
    ("{deploy: [smoke]}", "smoke checks under"),
    ("{deploy: [smoke, smoke], smoke: [{name: a, tcp: 'h:1'}]}", "smoke once"),
    ("{smoke: [{name: a, tcp: 'h:1'}]}", "never run"),
    ("{deploy: [smoke], smoke: [{name: a}]}", "exactly one of"),
    ("{deploy: [smoke], smoke: [{name: a, tcp: 'h:1', sql: x}]}", "exactly one of"),
    ("{deploy: [smoke], smoke: [{name: a, tcp: 'h:1', status: 200}]}", "no status"),
    ("{deploy: [smoke], smoke: [{name: a, sql: select 1}]}", "the key database"),
    ("{deploy: [smoke], smoke: [{name: a, sql: select 1, database: moon}]}", "no moon"),
    ("{deploy: [smoke], smoke: [{name: a, http: /x}]}", "a service to ask"),
    ("{deploy: [smoke], smoke: [{name: a, tcp: 'h:1'}, {name: a, tcp: 'h:1'}]}", "of its own"),
]


@pytest.mark.parametrize(("pipeline", "words"), PIPELINES)
def test_the_pipeline_is_checked(pipeline: str, words: str) -> None:
    assert words in str(refused(SMALL + f"pipeline: {pipeline}\n"))


EXAMPLES = [
    ("requires: {http: [1, 1]}", "requires: {http: [2, 3]}", "only (1, 1) is provided"),
    ("requires: {http: [1, 1]}", "requires: {mqtt: [1, 1]}", "nobody provides it"),
    ("provides: {http: [1, 1]}", "provides: {http: [2, 1]}", "[lowest, highest]"),
    ("provides: {http: [1, 1]}", "provides: {http: [1]}", "a list of 2"),
    ('"{listen}"', "listen", "{listen} in the command"),
    ('"{config}"', '"{confg}"', "{confg}"),
    ('build.py, "{out}"', "build.py", "{out} in the command"),
    ('run_tests.py, "{junit}"', "run_tests.py", "{junit} in the command"),
    ("127.0.0.1:0", "localhost:0", "an address like"),
    ("127.0.0.1:0", "127.0.0.1:99999", "a port up to"),
    ("fleet: {}", "fleet: {port: 1}", "no keys"),
    ("      manifest: manifest.json", "     ", "the key manifest"),
    (
        '        command: [python3, run_tests.py, "{junit}"]\n      locks: []',
        '        command: [python3, run_tests.py, "{junit}"]\n      lock: []',
        "did you mean locks?",
    ),
    (
        '      tests:\n        command: [python3, run_tests.py, "{junit}"]\n      locks: []',
        "      locks: []",
        "the key tests, for the gate tests",
    ),
    ("      fleet: {}\n", "", "the key fleet"),
    ('python3: ">=3.11"', "python3: newest", "a version range"),
    ("{engine: sqlite}", "{engine: postgresql}", "the key address"),
    ("{engine: sqlite}", "{engine: postgresql, address: 'h://a:b@c/d'}", "without a password"),
    ("{engine: sqlite}", "{engine: postgresql, address: h, password_secret: no}", "a secret of"),
    ("{engine: sqlite}", "{engine: sqlite, address: h}", "no address for sqlite"),
    ("hardware: [thermostat-v1]", "hardware: [a]\n    from_version: main", "a version like 1.4.0"),
    (
        "hardware: [thermostat-v1]",
        "hardware: [a]\n    attribute: sw_version",
        "a name of this part",
    ),
    ("hardware: [thermostat-v1]", "hardware: [a, a]\n    attribute: v", "attribute"),
    (
        "# What works with what.",
        "  other: {kind: firmware, path: o, hardware: [thermostat-v1], build: {command: [x], "
        "artifact: a, manifest: m, tests: {command: [x]}}}\n# What works with what.",
        "one image for a part of thermostat-v1",
    ),
]


@pytest.mark.parametrize(("old", "new", "words"), EXAMPLES)
def test_the_example_broken_in_one_place(old: str, new: str, words: str) -> None:
    text = EXAMPLE.read_text()
    assert old in text
    assert words in str(refused(text.replace(old, new, 1)))


def test_every_mistake_is_reported_in_file_order() -> None:
    error = refused(
        SMALL.replace("product: lamp", "product: Lamp")
        .replace("engine: sqlite", "engine: oracle")
        .replace("count: 2", "count: x")
    )
    lines = [e.subject.split(":")[1] for e in error.every()]
    assert lines == ["2", "13", "18", "20"][: len(lines)] and len(lines) >= 3
    assert str(error).count("\n") == len(error.others)


def test_small_team_mode_lets_one_approve() -> None:
    text = SMALL.replace("count: 2", "count: 1") + "small_team: {delay_hours: 24}\n"
    small = parse_definition(text.encode()).small_team
    assert small is not None and small.delay_hours == 24


def test_yaml_guesses_are_text_where_text_is_wanted() -> None:
    text = SMALL.replace("greeting: hello", "greeting: 'no', day: 2026-11-21, on_off: \"010\"")
    error = refused(text)
    assert "in quotes" in error.remedy
    quoted = text.replace("2026-11-21", "'2026-11-21'")
    values = parse_definition(quoted.encode()).environments["dev"].values
    assert values == {"greeting": "no", "day": "2026-11-21", "on_off": "010"}


WHOLE = [
    (b"", "an empty document"),
    (b"[]", "a list"),
    (b"a: b\n---\nc: d\n", "second document"),
    (b"%YAML 1.1\n---\na: b\n", "directive"),
    (b"a: [b", "expected"),
    (b"\xff\xfe\x00", "byte 0"),
    (b"a: \x07", "special characters"),
    (b"? [a, b]\n: c\n", "nested key"),
    (b"a: " + b"[" * 40 + b"]" * 40, "deeper nesting"),
    (b"#" * (SIZE_BYTES_MAX + 1), "bytes"),
    ("a: e\u0301".encode(), "text that is not"),
    (b'a: "\\ud800"', "lone surrogate"),
]


@pytest.mark.parametrize(("content", "words"), WHOLE, ids=[w for _, w in WHOLE])
def test_what_is_not_a_definition_at_all(content: bytes, words: str) -> None:
    assert words in str(refused(content))


def test_a_deep_or_wide_document_is_bounded() -> None:
    assert "at most" in refused(b"[" * 200_000).expected
    assert "at most" in refused(b"[" + b"a," * 100_000 + b"]").expected


@settings(max_examples=150, deadline=None)
@given(st.data())
def test_no_document_gets_past_as_another_error(data: st.DataObject) -> None:
    text = data.draw(st.sampled_from([SMALL, EXAMPLE.read_text()]))
    start = data.draw(st.integers(0, len(text)))
    end = data.draw(st.integers(start, min(len(text), start + 30)))
    new = data.draw(st.text(alphabet=st.sampled_from("a1:-[]{}#&*!'\"\n \u00e9~"), max_size=12))
    try:
        parse_definition((text[:start] + new + text[end:]).encode())
    except DefinitionRefused as error:
        assert error.others is not None
