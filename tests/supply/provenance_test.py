"""What a builder says counts only under its key, and only about that artifact."""

import json
import pathlib

import pytest

from surefoot.core.errors import Refused
from surefoot.supply import junit, provenance
from surefoot.supply.order import BuildOrder, Inputs, Tool
from surefoot.trust import envelope, keys
from surefoot.trust.digest import digest_of

KEY, OTHER = keys.private_key(b"\1" * 32), keys.private_key(b"\2" * 32)
ARTIFACT = digest_of(b"artifact")
ORDER = BuildOrder(name="api", kind="service", path="service", command=("make",), artifact="a")
INPUTS = Inputs(
    order=ORDER,
    commit="c" * 40,
    tree="d" * 40,
    time_seconds=1,
    tools=(Tool("make", "GNU Make 4.3", digest_of(b"make")),),
)
RUN = provenance.Run(
    started_ms=1_700_000_000_000,
    ended_ms=1_700_000_001_000,
    environment={"TZ": "UTC"},
    isolation={"network": "none", "processes": "own"},
    byproducts={"log": digest_of(b"log")},
)


def test_provenance_is_slsa_v1():
    content = provenance.provenance_of(INPUTS, ARTIFACT, RUN, [KEY])
    payload, _ = envelope.open(content, [KEY.public], 1)
    said = envelope.parse_statement(payload)
    assert said.predicate_type == "https://slsa.dev/provenance/v1"
    assert set(said.predicate) == {"buildDefinition", "runDetails"}
    definition = said.predicate["buildDefinition"]
    assert set(definition) == {
        "buildType",
        "externalParameters",
        "internalParameters",
        "resolvedDependencies",
    }
    assert definition["resolvedDependencies"][0]["digest"] == {"gitCommit": "c" * 40}
    assert said.predicate["runDetails"]["metadata"]["startedOn"] == "2023-11-14T22:13:20Z"
    origin = provenance.verify_provenance(content, [OTHER.public, KEY.public], ARTIFACT)
    assert origin.build_key == INPUTS.key() and origin.builders == (KEY.keyid,)


def test_another_key_artifact_or_kind_is_refused():
    content = provenance.provenance_of(INPUTS, ARTIFACT, RUN, [KEY])
    with pytest.raises(Refused, match="signature"):
        provenance.verify_provenance(content, [OTHER.public], ARTIFACT)
    with pytest.raises(Refused, match="subject"):
        provenance.verify_provenance(content, [KEY.public], digest_of(b"one byte changed"))
    with pytest.raises(Refused, match="subject"):
        provenance.verify_test_result(content, [KEY.public], ARTIFACT)
    with pytest.raises(Refused, match="signature"):
        provenance.verify_provenance(b"junk", [KEY.public], ARTIFACT)


def test_a_statement_that_lacks_a_part_is_refused():
    payload = envelope.statement([("api", ARTIFACT)], provenance.PROVENANCE_TYPE, {})
    content = envelope.seal(envelope.IN_TOTO_TYPE, payload, [KEY])
    with pytest.raises(Refused, match="statement"):
        provenance.verify_provenance(content, [KEY.public], ARTIFACT)


def test_a_result_without_a_passed_test_is_failed():
    for cases, exit_status, expected in (
        ((junit.Case("a", "passed"),), 0, "PASSED"),
        ((junit.Case("a", "passed"),), 1, "FAILED"),
        ((junit.Case("a", "skipped"),), 0, "FAILED"),
        ((junit.Case("a", "passed"), junit.Case("b", "error")), 0, "FAILED"),
    ):
        content = provenance.test_result_of(
            "api", ARTIFACT, digest_of(b"junit"), junit.Report(cases), exit_status, [KEY]
        )
        found = provenance.verify_test_result(content, [KEY.public], ARTIFACT)
        assert found.result == expected


VECTORS = json.loads(
    (pathlib.Path(__file__).parents[1] / "vectors" / "provenance.json").read_text()
)


def test_vectors_verify_for_ever():
    key, _ = keys.parse_public_line(VECTORS["builder"])
    artifact = VECTORS["artifact"]
    origin = provenance.verify_provenance(VECTORS["provenance"].encode(), [key], artifact)
    assert (origin.build_key, origin.commit) == (VECTORS["build_key"], VECTORS["commit"])
    tested = provenance.verify_test_result(VECTORS["test_result"].encode(), [key], artifact)
    assert [tested.result, *tested.failed_names] == VECTORS["tested"]


def test_the_build_key_is_the_same_on_any_machine():
    assert INPUTS.key() == VECTORS["build_key"]
