"""The API's reference names every operation, and its example signs what the server accepts."""

from __future__ import annotations

import base64
import re
import textwrap
from pathlib import Path
from typing import Any

from surefoot.app.operation import OPERATIONS
from surefoot.compose import folder as _registers  # noqa: F401  every operation registers itself
from surefoot.doors import words
from surefoot.doors.api import openapi
from surefoot.trust import keys

PAGE = Path(__file__).resolve().parents[2] / "docs" / "reference" / "api.md"


def test_every_operation_is_in_the_reference_and_nothing_else() -> None:
    rows = re.findall(r"^\| ([a-z -]+) \| `([A-Z]+) /v1(\S+)` \|", PAGE.read_text(), re.MULTILINE)
    assert set(rows) == {(o.name, o.method, o.path) for o in OPERATIONS.values()}


def test_the_example_signs_what_the_server_checks() -> None:
    page = PAGE.read_text()
    start = page.index("    import base64, hashlib")
    code = textwrap.dedent(page[start : page.index("\n\n`key` is an Ed25519")])
    names: dict[str, Any] = {}
    exec(code, names)  # the page's own example
    key = keys.private_key(b"d" * 32)
    made = names["headers"](key, key.keyid, "home", "POST", "/v1/x?y=1", b"{}")
    message = words.request_bytes(
        "POST",
        "/v1/x?y=1",
        b"{}",
        time_ms=int(made[words.TIME_HEADER]),
        nonce=made[words.NONCE_HEADER],
        installation="home",
    )
    assert key.public.verify(base64.b64decode(made[words.SIGNATURE_HEADER]), message)


def test_every_operation_is_described_for_programs() -> None:
    document = openapi.document(OPERATIONS.values())
    described = {
        (method.upper(), path) for path, entry in document["paths"].items() for method in entry
    }
    assert described == {(o.method, f"/v1{o.path}") for o in OPERATIONS.values()}
