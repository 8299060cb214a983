"""The release manifest: the one signed document that names by digest everything deployed.

Keeps: what is not in it is not deployed; what is in it cannot change; the same inputs give the
same bytes. The release's identity is the digest of these bytes.
"""

from __future__ import annotations

import msgspec

from surefoot.core.errors import Refused
from surefoot.core.target import Plain
from surefoot.trust import canonical
from surefoot.trust.digest import Digest, digest_of

PAYLOAD_TYPE = "application/vnd.surefoot.release+json"


class ManifestComponent(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """One component: its artifact and the evidence of its origin, each by digest.

    `detail` holds what the kind needs: migrations their list, firmware its image's description.
    """

    name: str
    kind: str
    artifact: Digest
    size_bytes: int
    version: str
    provenance: str = ""
    sbom: str = ""
    tests: str = ""
    detail: Plain = {}


class Manifest(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """A release."""

    format: int = 1
    product: str
    version: str
    commit: str
    definition: Digest
    governance: Digest
    components: tuple[ManifestComponent, ...]
    compatibility: Plain
    settings: Plain
    pipeline: Plain
    tools: Plain
    contributors: tuple[str, ...]
    cutter: str

    def encode(self) -> bytes:
        """Canonical bytes."""
        content: Plain = msgspec.to_builtins(self)
        return canonical.encode({"format": self.format, **content})

    def digest(self) -> Digest:
        """The release's identity."""
        return digest_of(self.encode())

    def component(self, name: str) -> ManifestComponent:
        """A component by name."""
        return next(c for c in self.components if c.name == name)

    def of_kind(self, kind: str) -> tuple[ManifestComponent, ...]:
        """All components of a kind."""
        return tuple(c for c in self.components if c.kind == kind)


def decode(content: bytes) -> Manifest:
    """The manifest of canonical bytes. Raises `Refused("release.manifest.input")`."""
    try:
        canonical.parse(content)
        return msgspec.json.decode(content, type=Manifest)
    except (canonical.NotCanonical, msgspec.DecodeError) as error:
        raise Refused(
            "release.manifest.input",
            "release manifest",
            expected="canonical bytes of a manifest, format 1",
            found=str(error)[:200],
            remedy="cut the release with: surefoot release create",
        ) from None
