"""Tools of a release: versions found are recorded and held to the declared ranges."""

import pytest

from surefoot import __version__
from surefoot.app.tools import tools_of
from surefoot.core.errors import Refused


def test_versions_are_recorded_with_our_own() -> None:
    found = {"python3": "Python 3.11.7", "gcc": "gcc 12.2.0"}
    assert tools_of({"python3": ">=3.11"}, found) == {"surefoot": __version__, **found}


@pytest.mark.parametrize(
    ("wanted", "said", "fits"),
    [
        (">=3.11", "Python 3.11.7", True),
        (">=3.11", "Python 3.12.0", True),
        (">=3.11", "Python 3.9.18", False),
        (">=3.11,<3.12", "Python 3.12.1", False),
        (">=3.11, <3.12", "Python 3.11.9", True),
        ("==3.11", "3.11.7", True),
        ("==3.11.6", "3.11.7", False),
        (">=1", "no number at all", False),
    ],
)
def test_a_version_outside_its_range_is_refused(wanted: str, said: str, fits: bool) -> None:
    if fits:
        tools_of({"python3": wanted}, {"python3": said})
        return
    with pytest.raises(Refused) as refused:
        tools_of({"python3": wanted}, {"python3": said})
    assert refused.value.code == "build.tool.version"
    assert refused.value.expected == wanted


def test_a_declared_tool_that_built_nothing_is_not_asked_for() -> None:
    assert tools_of({"go": ">=1.20"}, {}) == {"surefoot": __version__}
