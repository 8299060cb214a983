"""The orders of versions of each ecosystem, held against the tools that own them."""

from __future__ import annotations

import json
import subprocess
from collections.abc import Callable
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from packaging.version import InvalidVersion, Version

from surefoot.core import version_debian, version_pep440, version_semver

SEMVER_MODULES = tuple(
    Path(top) / "semver" for top in ("/usr/lib/node_modules/npm/node_modules", "/usr/share/nodejs")
)
Order = Callable[[str], Any]

RISING: dict[str, tuple[Order, tuple[str, ...]]] = {
    "pep440": (
        version_pep440.key_of,
        (
            *("0.9", "1.0.dev1", "1.0a1.dev1", "1.0a1", "1.0a1.post1", "1.0b2.dev3", "1.0b2"),
            *("1.0rc1", "1.0", "1.0+abc", "1.0+abc.5", "1.0+5", "1.0.post1.dev1", "1.0.post1"),
            *("1.0.1", "1.1", "1.10", "1!0.5"),
        ),
    ),
    "semver": (
        version_semver.key_of,
        (
            *("1.0.0-alpha", "1.0.0-alpha.1", "1.0.0-alpha.beta", "1.0.0-beta", "1.0.0-beta.2"),
            *("1.0.0-beta.11", "1.0.0-rc.1", "1.0.0", "1.0.1", "1.9.0", "1.10.0", "2.0.0"),
        ),
    ),
    "go": (
        version_semver.key_of,
        (
            *("v0.0.0-20190101000000-abcdefabcdef", "v0.0.0-20200101000000-000000000000"),
            *("v1.2.3-0.20200101000000-abcdefabcdef", "v1.2.3-pre", "v1.2.3"),
            *("v1.2.4-0.20210101000000-abcdefabcdef", "v1.2.4", "v2.0.0+incompatible"),
        ),
    ),
    "debian": (
        version_debian.key_of,
        (
            *("1.0~~", "1.0~~a", "1.0~", "1.0~rc1", "1.0", "1.0-1", "1.0-1+b1", "1.0-1+deb12u1"),
            *("1.0a", "1.0+dfsg", "1.0.1", "1.2", "1.10", "2.0~beta1-1", "2.0-1", "1:0.1"),
        ),
    ),
}
SAME = (
    (version_pep440.key_of, "1.0", "1"),
    (version_pep440.key_of, "1.0alpha1", "v1.0-A.1"),
    (version_pep440.key_of, "1.0-1", "1.0.post1"),
    (version_pep440.key_of, "1.0+ubuntu-1", "1.0+ubuntu.1"),
    (version_semver.key_of, "1.0.0+a", "1.0.0+b"),
    (version_semver.key_of, "v1.0.0", "1.0.0"),
    (version_debian.key_of, "1.0", "1.0-0"),
    (version_debian.key_of, "0:1.0", "1.0"),
    (version_debian.key_of, "1.00", "1.0"),
)
NONE = (
    (version_pep440.key_of, ("", "abc", "1.0.x", "1.0-", "1.0+", "1..0", "1.0 beta", "9" * 300)),
    (version_semver.key_of, ("", "1", "1.2", "1.2.3.4", "01.2.3", "1.2.3-", "1.2.3-01", "latest")),
    (version_debian.key_of, ("", "a1", "1.0-", "a:1.0", "1.0_1", "1 0", ":1.0", "1.0-1:2")),
)


@pytest.mark.parametrize("name", RISING)
def test_versions_rise(name: str) -> None:
    order, versions = RISING[name]
    keys = [order(each) for each in versions]
    assert None not in keys
    for (low, high), (one, other) in zip(pairwise(keys), pairwise(versions), strict=True):
        assert low < high, (one, other)


@pytest.mark.parametrize(("order", "one", "other"), SAME)
def test_spellings_of_one_version(order: Order, one: str, other: str) -> None:
    assert order(one) is not None
    assert order(one) == order(other)


@pytest.mark.parametrize(("order", "texts"), NONE)
def test_no_versions(order: Order, texts: tuple[str, ...]) -> None:
    assert [t for t in texts if order(t) is not None] == []


def test_bounds_may_be_short() -> None:
    assert version_semver.lenient_key_of("1") == version_semver.key_of("1.0.0")
    assert version_semver.lenient_key_of("v1.2") == version_semver.key_of("1.2.0")
    assert version_semver.lenient_key_of("1.2.3.4") is None


NUMBERS = st.integers(0, 30).map(str)
PEP440 = st.builds(
    lambda epoch, release, pre, post, dev, local: (
        f"{epoch}{'.'.join(release)}{pre}{post}{dev}{local}"
    ),
    st.sampled_from(("", "", "", "0!", "1!")),
    st.lists(NUMBERS, min_size=1, max_size=4),
    st.sampled_from(("", "", "a", "a1", "b2", "rc1", "-c1", ".pre3", "_alpha_2", "preview")),
    st.sampled_from(("", "", ".post1", "-2", ".rev3", "post", "-r")),
    st.sampled_from(("", "", ".dev0", "dev2", "-dev", ".dev.1")),
    st.sampled_from(("", "", "+1", "+a", "+a.1", "+1.a", "+ubuntu-1", "+0.0")),
)
ANY = st.text("0123456789.abcdevrpost-_+!~ ", max_size=14)


@settings(max_examples=400, deadline=None)
@given(PEP440 | ANY, PEP440)
def test_python_versions_are_in_the_order_of_packaging(one: str, other: str) -> None:
    """Our own reading and the reference implementation agree on every pair."""
    left, right = version_pep440.key_of(one), version_pep440.key_of(other)
    try:
        wanted = Version(one)
    except InvalidVersion:
        assert left is None, one
        return
    assert left is not None and right is not None, (one, other)
    assert (left < right, left == right) == (wanted < Version(other), wanted == Version(other))


def test_semantic_versions_are_in_the_order_of_npm(require_tool: Callable[[str], str]) -> None:
    """Pairs compared by the module that npm itself uses."""
    node, _ = require_tool("node"), require_tool("npm")
    module = next(p for p in SEMVER_MODULES if (p / "package.json").is_file())
    versions = (
        *RISING["semver"][1],
        *("1.0.0-0", "1.0.0--", "1.0.0-1a", "1.0.0-a-b", "1.0.0-a.b.c", "1.0.0-10.2", "1.0.0-9.10"),
        *("v1.0.0", "1.0.0+build", "0.0.0", "10.0.0", "1.0.0-A", "1.0.0-Z.1", "1.0.0-99999"),
    )
    pairs = [(one, other) for one in versions for other in versions]
    script = (
        f"const s = require({json.dumps(str(module))});"
        "const pairs = JSON.parse(require('fs').readFileSync(0, 'utf8'));"
        "console.log(JSON.stringify(pairs.map(([a, b]) => s.compare(a, b))));"
    )
    done = subprocess.run(
        [node, "-e", script], input=json.dumps(pairs), capture_output=True, text=True, check=True
    )
    for (one, other), wanted in zip(pairs, json.loads(done.stdout), strict=True):
        left, right = version_semver.key_of(one), version_semver.key_of(other)
        assert left is not None and right is not None
        assert (left > right) - (left < right) == wanted, (one, other)


@settings(max_examples=300, deadline=None)
@given(st.lists(st.text("0123456789.a~+-:Z", max_size=10), min_size=3, max_size=3))
def test_debian_keys_are_an_order(texts: list[str]) -> None:
    keys = [k for k in map(version_debian.key_of, texts) if k is not None]
    for one in keys:
        for other in keys:
            assert (one < other) + (one == other) + (one > other) == 1


def test_debian_versions_are_in_the_order_of_dpkg(require_tool: Callable[[str], str]) -> None:
    """Pairs of versions made of what makes orders hard, compared by dpkg itself."""
    dpkg = require_tool("dpkg")
    versions = (
        *RISING["debian"][1],
        *("1.0-1~bpo12+1", "1.0-1.1", "1.0.+", "1.0.a", "1.0-a", "1.0-~", "007", "7", "1.0-00"),
    )
    wrong = []
    for number, one in enumerate(versions):
        other = versions[(number * 7 + 3) % len(versions)]
        left, right = version_debian.key_of(one), version_debian.key_of(other)
        assert left is not None and right is not None
        for sign, ours in (("lt", left < right), ("eq", left == right)):
            answer = subprocess.run([dpkg, "--compare-versions", one, sign, other], check=False)
            if (answer.returncode == 0) != ours:
                wrong.append((one, sign, other))
    assert wrong == []
