"""What an environment's devices should become: images in order, on the way, and back."""

import hashlib
from typing import Any

import msgspec

from surefoot.app.desired import FleetAsk, fleet_of
from surefoot.core.governance import EnvironmentPolicy
from surefoot.core.manifest import Manifest, ManifestComponent
from surefoot.core.target import Plain
from surefoot.core.world import ComponentState, Environment
from surefoot.testing.simulator_product import manifest_of
from surefoot.trust.digest import digest_of


def component(name: str, version: str, **about: Any) -> ManifestComponent:
    content = f"{name} {version}".encode()
    image: Plain = {
        "digest": digest_of(content),
        "name": name,
        "version": version,
        "file": f"{name}.swu",
        "size_bytes": len(content),
        "sha1": hashlib.sha1(content, usedforsecurity=False).hexdigest(),
        "md5": hashlib.md5(content, usedforsecurity=False).hexdigest(),
        **about,
    }
    return ManifestComponent(
        name=name,
        kind="firmware",
        artifact=digest_of(content),
        size_bytes=len(content),
        version=version,
        detail={"image": image},
    )


def release(version: str, *components: ManifestComponent) -> Manifest:
    return msgspec.structs.replace(manifest_of(version), components=components)


def running(manifest: Manifest) -> Environment:
    states = {
        c.name: ComponentState(
            kind=c.kind,
            artifact=c.artifact,
            version=c.version,
            release=manifest.digest(),
            deployment=1,
            detail=c.detail,
        )
        for c in manifest.components
    }
    return Environment(name="production", components=states)


MODEM = {"attribute": "modem_version"}
OLD = release("1", component("modem", "6.0", **MODEM), component("main", "1.0"))
STONE = release("2", component("modem", "6.0", **MODEM), component("main", "1.5", through=True))
NEW = release("3", component("modem", "7.0", **MODEM), component("main", "2.0"))


def ask(purpose: str = "deploy", previous: Manifest | None = OLD) -> FleetAsk:
    return FleetAsk(purpose=purpose, release="r", number=9, previous=previous, earlier=(OLD, STONE))


def versions(listed: Any) -> list[str]:
    return [image["version"] for image in listed]


def test_all_images_in_order_with_what_leads_there_and_back() -> None:
    found: Any = fleet_of(NEW, ask(), EnvironmentPolicy(), running(OLD))
    assert (found["component"], found["firmware"]["version"]) == ("main", "2.0")
    assert versions(found["parts"]) == ["7.0"] and versions(found["stones"]) == ["1.5"]
    assert found["previous"]["firmware"]["version"] == "1.0"
    assert versions(found["previous"]["parts"]) == ["6.0"]
    assert not found["policy"].get("allow_downgrade")


def test_who_takes_a_release_back_takes_its_devices_back() -> None:
    found: Any = fleet_of(OLD, ask("rollback", NEW), EnvironmentPolicy(), running(NEW))
    assert found["policy"]["allow_downgrade"] is True and "stones" not in found


def test_nothing_is_to_be_done_when_all_images_are_there() -> None:
    assert fleet_of(NEW, ask(), EnvironmentPolicy(), running(NEW)) == {}
    assert fleet_of(STONE, ask(), EnvironmentPolicy(), running(OLD)) != {}
