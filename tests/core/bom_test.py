"""Bills of materials, whole and broken."""

from __future__ import annotations

import msgspec
import pytest

from surefoot.core import bom

DEEP = b'[{"components":' * 40 + b"[]" + b"}]" * 40


@pytest.mark.parametrize(
    "content",
    [
        b"",
        b"[]",
        b'{"bomFormat":"SPDX"}',
        b'{"bomFormat":"CycloneDX","components":[{"name":',
        b'{"bomFormat":"CycloneDX","components":{}}',
        b'{"bomFormat":"CycloneDX","components":["x"]}',
        b'{"bomFormat":"CycloneDX","components":[{"name":1}]}',
        b'{"bomFormat":"CycloneDX","components":'
        + b'[{"components":' * 40
        + b"[]"
        + b"}]" * 40
        + b"}",
    ],
)
def test_a_bill_that_is_not_whole_is_refused(content: bytes) -> None:
    with pytest.raises(ValueError):
        bom.read(content)


def test_parts_inside_parts_are_read_and_nothing_is_left_out() -> None:
    inner = {"name": "b", "version": "2", "purl": "pkg:pypi/b@2"}
    document = {
        "bomFormat": "CycloneDX",
        "metadata": {"component": {"type": "firmware"}},
        "components": [{"name": "a", "version": "1", "components": [inner]}],
    }
    bill = bom.read(msgspec.json.encode(document))
    assert [(p.name, bool(p.trouble)) for p in bill.parts] == [("a", True), ("b", False)]
    assert bill.program
