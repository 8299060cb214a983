"""Every package of a lock file is in the list, and the list is the same each time."""

import json

import pytest

from surefoot.core.errors import Refused
from surefoot.supply import locks, sbom
from surefoot.trust.digest import digest_of

H = "0f" * 32
REQUIREMENTS = f"""# by a tool
Django_Thing[extra]==4.2.1 ; python_version >= "3.11" \\
    --hash=sha256:{H} \\
    --hash=sha256:{"1f" * 32}
    # via something
plain==1.0
"""
NPM = json.dumps(
    {
        "lockfileVersion": 3,
        "packages": {
            "": {"name": "root"},
            "node_modules/@scope/a": {"version": "1.0.0", "integrity": "sha512-AAAA"},
            "node_modules/b/node_modules/c": {"version": "2.0.0"},
            "node_modules/local": {"link": True},
        },
    }
)
GO = """golang.org/x/text v0.3.0 h1:abc=
golang.org/x/text v0.3.0/go.mod h1:def=
golang.org/x/tools v0.1.0/go.mod h1:def=
"""
STATUS = """Package: libssl3
Status: install ok installed
Source: openssl
Version: 3.0.11-1
"""
ZLIB = "pkg:deb/debian/zlib@1%3A1.3-1?distro=debian-12"
LOCATED = json.dumps({"components": [{"name": "zlib", "version": "1:1.3-1", "purl": ZLIB}]})
PLAIN = json.dumps({"components": [{"name": "lwip", "version": "2.2.0", "sha256": H}]})


@pytest.mark.parametrize(
    "path, text, expected",
    [
        ("requirements.lock", REQUIREMENTS, ["django-thing 4.2.1 2", "plain 1.0 0"]),
        ("web/package-lock.json", NPM, ["@scope/a 1.0.0 1", "c 2.0.0 0"]),
        ("go.sum", GO, ["golang.org/x/text v0.3.0 0"]),
        ("firmware.json", PLAIN, ["lwip 2.2.0 1"]),
        ("image.debian-12", STATUS, ["debian/libssl3 3.0.11-1 0"]),
        ("firmware.json", LOCATED, ["debian/zlib 1:1.3-1 0"]),
        ("requirements.txt", "", []),
    ],
)
def test_lock_files_are_read(path, text, expected):
    found = locks.parse(path, text.encode())
    assert [f"{p.name} {p.version} {len(p.hashes)}" for p in found] == expected


@pytest.mark.parametrize(
    "path, text",
    [
        ("requirements.txt", "requests>=2"),
        ("requirements.txt", "-e ."),
        ("requirements.txt", "--index-url x"),
        ("requirements.txt", "a==1 --hash=sha256:XYZ"),
        ("package-lock.json", "{}"),
        ("package-lock.json", "[]"),
        ("package-lock.json", '{"lockfileVersion": 3, "packages": {"a": {}}}'),
        ("go.sum", "junk"),
        ("x.json", '{"components": [{"name": "a"}]}'),
        ("x.json", '{"components": [{"name": "a", "version": "1", "sha256": "x"}]}'),
        ("x.json", LOCATED.replace('"1:1.3-1"', '"1:1.4-1"')),
        ("x.json", LOCATED.replace("pkg:", "")),
        ("image.debian-12", STATUS.replace("Version: 3.0.11-1\n", "")),
        ("image.debian-12", STATUS[:-1]),
        ("image.ubuntu-22", STATUS),
        ("x.json", "[" * 100_000),
        ("Cargo.toml", ""),
        ("requirements.txt", "\udcff"),
    ],
)
def test_a_line_that_is_not_understood_refuses_the_file(path, text):
    with pytest.raises(Refused, match=r"sbom\.lock\.input"):
        locks.parse(path, text.encode(errors="surrogateescape"))


def test_the_list_is_cyclonedx_and_the_same_each_time():
    packages = [
        *locks.parse("requirements.lock", REQUIREMENTS.encode()),
        *locks.parse("package-lock.json", NPM.encode()),
    ]
    made = [
        sbom.sbom_of("api", "service", "c" * 40, digest_of(b"x"), 1_700_000_000, order)
        for order in (packages, packages[::-1])
    ]
    assert made[0] == made[1]
    bill = json.loads(made[0])
    assert (bill["bomFormat"], bill["specVersion"]) == ("CycloneDX", "1.6")
    assert bill["metadata"]["timestamp"] == "2023-11-14T22:13:20+00:00"
    assert sorted(c["purl"] for c in bill["components"]) == [
        "pkg:npm/%40scope/a@1.0.0",
        "pkg:npm/c@2.0.0",
        "pkg:pypi/django-thing@4.2.1",
        "pkg:pypi/plain@1.0",
    ]
    other = sbom.sbom_of("api", "service", "c" * 40, digest_of(b"y"), 1_700_000_000, packages)
    assert json.loads(other)["serialNumber"] != bill["serialNumber"]
