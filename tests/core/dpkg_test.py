"""Lists of installed packages of a Debian system, whole and broken."""

from __future__ import annotations

import pytest

from surefoot.core import dpkg
from surefoot.core.ecosystem import debian_release

STATUS = b"""Package: libssl3
Status: install ok installed
Source: openssl (3.0.11-1~deb12u1)
Version: 3.0.11-1~deb12u1+b1
Description: a library
 Package: not a field
Conffiles:
 /etc/x 0123

Package: bash
Status: install ok unpacked
Version: 5.2-1

Package: gone
Status: deinstall ok config-files
Version: 1.0
"""
OS_RELEASE = b'PRETTY_NAME="Debian GNU/Linux 12 (bookworm)"\nID=debian\nVERSION_ID="12"\n'


def test_the_packages_of_a_host() -> None:
    installed = dpkg.read_status(STATUS)
    parts = dpkg.parts_of(installed, *dpkg.distribution(OS_RELEASE))
    assert [(p.ecosystem, p.name, p.version) for p in parts] == [
        ("Debian:12", "bash", "5.2-1"),
        ("Debian:12", "openssl", "3.0.11-1~deb12u1"),
    ]
    assert not any(p.trouble for p in parts)


@pytest.mark.parametrize(
    ("system", "trouble"),
    [
        (b"ID=ubuntu\nVERSION_ID=22.04\n", "ubuntu"),
        (b"ID=debian\n", "without a number"),
        (b"ID=debian\nVERSION_CODENAME=sid\n", "sid"),
        (b"", "without a name"),
    ],
)
def test_a_system_that_is_not_known_is_not_judged(system: bytes, trouble: str) -> None:
    parts = dpkg.parts_of(dpkg.read_status(STATUS), *dpkg.distribution(system))
    assert all(trouble in p.trouble for p in parts) and parts


@pytest.mark.parametrize(
    "content",
    [
        STATUS[:-8],
        STATUS.replace(b"Version: 5.2-1\n", b""),
        STATUS.replace(b"Status: install ok installed\n", b""),
        STATUS.replace(b"Package: bash\n", b""),
        STATUS.replace(b"Source: openssl", b"Source: open ssl"),
        b"\xff\xfe\n",
        b"<html>\n",
    ],
)
def test_a_list_that_is_not_whole_is_refused(content: bytes) -> None:
    with pytest.raises(ValueError):
        dpkg.read_status(content)


def test_releases_of_debian() -> None:
    names = ("debian-12", "12.8", "12", "bookworm", "Debian-Bookworm", "sid", "", "12bad")
    assert [debian_release(n) for n in names] == ["12", "12", "12", "12", "12", "", "", ""]
