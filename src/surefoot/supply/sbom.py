"""A component's software bill of materials: CycloneDX 1.6 JSON from its lock files.

Keeps: the same inputs give the same bytes: the serial number comes from the artifact's digest,
the time is the commit's, members are sorted.
Does not: look inside artifacts; what no lock file names is not in the list.
Source: CycloneDX 1.6, package URL specification.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable
from datetime import UTC, datetime
from uuid import UUID

from cyclonedx.model import HashAlgorithm, HashType
from cyclonedx.model.bom import Bom, BomMetaData
from cyclonedx.model.component import Component, ComponentType
from cyclonedx.output.json import JsonV1Dot6
from packageurl import PackageURL

from surefoot.supply.locks import Package
from surefoot.supply.order import Kind
from surefoot.trust.digest import Digest

_TYPES = {
    "service": ComponentType.APPLICATION,
    "migrations": ComponentType.DATA,
    "firmware": ComponentType.FIRMWARE,
}
_HASHES = {
    "sha1": HashAlgorithm.SHA_1,
    "sha256": HashAlgorithm.SHA_256,
    "sha384": HashAlgorithm.SHA_384,
    "sha512": HashAlgorithm.SHA_512,
}


def sbom_of(
    name: str,
    kind: Kind,
    version: str,
    artifact: Digest,
    time_seconds: int,
    packages: Iterable[Package],
) -> bytes:
    """The bill of materials of one artifact; `version` is the commit it was built from."""
    root = Component(
        name=name,
        version=version,
        type=_TYPES[kind],
        bom_ref=f"component:{name}",
        hashes=[HashType(alg=HashAlgorithm.SHA_256, content=artifact.removeprefix("sha256:"))],
    )
    # The first 16 bytes of a hash over the artifact's digest and name: one serial for one artifact.
    serial = hashlib.sha256(f"{artifact} {name}".encode()).digest()[:16]
    time = datetime.fromtimestamp(time_seconds, UTC)
    bom = Bom(
        serial_number=UUID(bytes=serial, version=4),
        metadata=BomMetaData(timestamp=time, component=root),
    )
    parts = [_component(package) for package in packages]
    for part in parts:
        bom.components.add(part)
    bom.register_dependency(root, parts)
    written = json.loads(JsonV1Dot6(bom).output_as_string())
    return json.dumps(written, sort_keys=True, indent=1, ensure_ascii=False).encode() + b"\n"


def _component(package: Package) -> Component:
    namespace, _, name = package.name.rpartition("/")
    purl = PackageURL(
        package.kind, namespace or None, name, package.version, dict(package.qualifiers) or None
    )
    return Component(
        name=package.name,
        version=package.version,
        type=ComponentType.LIBRARY,
        bom_ref=purl.to_string(),
        purl=purl,
        hashes=[
            HashType(alg=_HASHES[algorithm], content=value)
            for algorithm, value in package.hashes
            if algorithm in _HASHES
        ],
    )
