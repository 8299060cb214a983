"""What an environment's devices may run now, and what each of those versions needs.

Keeps: the devices are asked for by what they showed and may have installed since, not by what the
record says was deployed; what a version needs is what the releases that brought it declare. Does
not: judge (`engine.compatibility`).
"""

from __future__ import annotations

from collections.abc import Sequence

from surefoot.app.facade import App
from surefoot.core.manifest import Manifest, ManifestComponent
from surefoot.core.target import Plain
from surefoot.engine.compatibility import Running

_Part = tuple[str, str]


def running_on(
    app: App, environment: str, manifests: Sequence[Manifest], stones: object
) -> tuple[Running, ...]:
    """Each version that devices may run, by component; and the images they take on their way."""
    known: dict[_Part, list[tuple[str, Plain]]] = {}
    for manifest in manifests:
        for component in manifest.of_kind("firmware"):
            needs = manifest.compatibility.get(component.name, {})
            entry = (component.name, needs if isinstance(needs, dict) else {})
            entries = known.setdefault((attribute_of(component), component.version), [])
            if entry not in entries:
                entries.append(entry)
    found: list[Running] = []
    attributes = sorted({attribute for attribute, _ in known})
    for shown in app.fleet.shown(environment, attributes):
        # Without a release that describes it, a version is told of all the same.
        for name, needs in known.get((shown.attribute, shown.version), [("", {})]):
            found.append(
                Running(
                    version=shown.version,
                    component=name,
                    count=shown.count,
                    names=shown.names,
                    compatibility=needs,
                )
            )
    for stone in stones if isinstance(stones, list) else ():
        for name, needs in known.get((stone.get("attribute", ""), stone["version"]), []):
            found.append(Running(version=stone["version"], component=name, compatibility=needs))
    return tuple(found)


def attribute_of(component: ManifestComponent) -> str:
    """The attribute that tells a component's version on a device; empty: the usual names."""
    image = component.detail.get("image", {})
    return str(image.get("attribute", "")) if isinstance(image, dict) else ""
