"""Reads lock files: which packages, at which version, with which hash, go into a component.

Keeps: a line that is not understood refuses the file, so that no package is left out unseen.
Understood are pip's requirements with pinned versions, npm's package-lock.json (version 2 and 3),
Go's go.sum, dpkg's status of an image (its name ends like `.debian-12`, the release), and a plain
list (`{"components": [{"name", "version", "sha256"?, "purl"?}]}`) for firmware.
Does not: ask a registry anything.
"""

from __future__ import annotations

import base64
import binascii
import json
import re
from collections.abc import Callable

import msgspec
from packageurl import PackageURL

from surefoot.core import dpkg
from surefoot.core.errors import Refused

SIZE_BYTES_MAX = 32 * 1024 * 1024
PACKAGES_MAX = 100_000

_REQUIREMENT = re.compile(
    r"(?P<name>[A-Za-z0-9][A-Za-z0-9._-]*)(\[[A-Za-z0-9._, -]*\])?\s*==\s*(?P<version>[^\s;]+)"
    r"\s*(;(?P<marker>.*?))?(?P<hashes>(\s+--hash=[a-z0-9]+:[0-9a-f]+)*)\s*"
)
_HASH = re.compile(r"--hash=([a-z0-9]+):([0-9a-f]+)")
_GO_LINE = re.compile(r"(?P<name>\S+) (?P<version>v\S+?)(?P<mod>/go\.mod)? h1:(?P<hash>\S+)")
_IMAGE = re.compile(r"\.(debian-[0-9]{1,3})$")
_INTEGRITY = re.compile(r"(sha1|sha256|sha384|sha512)-([A-Za-z0-9+/=]+)")


class Package(msgspec.Struct, frozen=True, order=True):
    """A package in a lock file. `hashes` are (algorithm, hex) pairs, sorted.

    `kind` is a package URL's type, like pypi, npm, golang, deb or generic, and `qualifiers` that
    URL's, sorted.
    """

    kind: str
    name: str
    version: str
    hashes: tuple[tuple[str, str], ...] = ()
    qualifiers: tuple[tuple[str, str], ...] = ()


def parse(path: str, content: bytes) -> tuple[Package, ...]:
    """The packages in a lock file, sorted, each once; the file's name says which form it has.

    Raises `Refused` for a form that is not known and for any line that is not understood.
    """
    if len(content) > SIZE_BYTES_MAX:
        raise _refused(path, f"{len(content)} bytes", f"at most {SIZE_BYTES_MAX}")
    try:
        found = _reader_of(path)(content.decode())
    except (ValueError, RecursionError, AttributeError, TypeError, KeyError) as error:
        raise _refused(path, str(error)[:200], "a lock file") from None
    if len(found) > PACKAGES_MAX:
        raise _refused(path, f"{len(found)} packages", f"at most {PACKAGES_MAX}")
    return tuple(sorted(set(found)))


def _reader_of(path: str) -> Callable[[str], list[Package]]:
    name = path.rsplit("/", 1)[-1]
    if name == "package-lock.json":
        return _npm
    if name == "go.sum":
        return _go
    if name.endswith(".json"):
        return _plain
    if name.endswith((".txt", ".lock")):
        return _requirements
    image = _IMAGE.search(name)
    if image:
        return lambda text: _debian(text, image[1])
    raise _refused(
        path,
        name,
        "requirements (.txt, .lock), package-lock.json, go.sum, a plain list (.json) or"
        " dpkg's status (like image.debian-12)",
    )


def _requirements(text: str) -> list[Package]:
    found = []
    for line in text.replace("\\\n", " ").splitlines():
        line = re.sub(r"(^|\s)#.*", "", line).strip()
        if not line:
            continue
        match = _REQUIREMENT.fullmatch(line)
        if not match:
            raise ValueError(f"not a pinned requirement: {line[:100]!r}")
        hashes = tuple(sorted(_HASH.findall(match["hashes"])))
        # PEP 503: runs of -, _ and . are one hyphen, and case does not count.
        name = re.sub(r"[-_.]+", "-", match["name"]).lower()
        found.append(Package("pypi", name, match["version"], hashes))
    return found


def _npm(text: str) -> list[Package]:
    lock = json.loads(text)
    if lock.get("lockfileVersion") not in (2, 3):
        raise ValueError(f"lockfileVersion {lock.get('lockfileVersion')}, expected 2 or 3")
    found = []
    for place, entry in lock["packages"].items():
        if not place or entry.get("link"):
            continue
        name = entry.get("name") or place.rsplit("node_modules/", 1)[-1]
        found.append(Package("npm", name, entry["version"], _integrity(entry)))
    return found


def _integrity(entry: dict[str, str]) -> tuple[tuple[str, str], ...]:
    listed = _INTEGRITY.findall(entry.get("integrity", ""))
    try:
        return tuple(
            sorted((name, base64.b64decode(value, validate=True).hex()) for name, value in listed)
        )
    except binascii.Error:
        raise ValueError("integrity is not base64") from None


def _go(text: str) -> list[Package]:
    found = []
    for line in text.splitlines():
        match = _GO_LINE.fullmatch(line.strip())
        if not match:
            raise ValueError(f"not a line of go.sum: {line[:100]!r}")
        # The line for go.mod alone names modules that were looked at, not built in. The h1 hash
        # is over a listing of the module, which no hash of CycloneDX stands for: left out.
        if not match["mod"]:
            found.append(Package("golang", match["name"], match["version"]))
    return found


def _debian(text: str, release: str) -> list[Package]:
    found = []
    for each in dpkg.read_status(text.encode()):
        qualifiers = [("distro", release)]
        if (each.source, each.source_version) != (each.name, each.version):
            qualifiers.append(("upstream", f"{each.source}@{each.source_version}"))
        found.append(
            Package("deb", f"debian/{each.name}", each.version, qualifiers=tuple(qualifiers))
        )
    return found


def _plain(text: str) -> list[Package]:
    found = []
    for entry in json.loads(text)["components"]:
        unknown = set(entry) - {"name", "version", "sha256", "purl"}
        if unknown:
            raise ValueError(f"unknown member {sorted(unknown)[0]!r}")
        hashes = (("sha256", str(entry["sha256"])),) if "sha256" in entry else ()
        if hashes and not re.fullmatch(r"[0-9a-f]{64}", hashes[0][1]):
            raise ValueError("sha256 is not 64 lower-case hex digits")
        name, version = str(entry["name"]), str(entry["version"])
        one = Package("generic", name, version, hashes)
        found.append(_located(one, str(entry["purl"])) if "purl" in entry else one)
    return found


def _located(package: Package, purl: str) -> Package:
    """The package as its URL names it, which has to be of the same version."""
    found = PackageURL.from_string(purl)
    if found.version != package.version:
        raise ValueError(f"{package.name}: its package URL is of version {found.version}")
    name = f"{found.namespace}/{found.name}" if found.namespace else found.name
    qualifiers = tuple(sorted((str(k), str(v)) for k, v in dict(found.qualifiers or {}).items()))
    return Package(found.type, name, package.version, package.hashes, qualifiers)


def _refused(path: str, found: str, expected: str) -> Refused:
    return Refused("sbom.lock.input", path, expected=expected, found=found)
