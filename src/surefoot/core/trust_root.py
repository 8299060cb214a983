"""Whether a root.json may be published: by the founders first, then by the root before.

Keeps: the first root is signed by two founders as the journal knows them; each later one follows
the newest; the key that signs checkpoints now counts in it. Does not: read blobs or the clock.
"""

from __future__ import annotations

from surefoot.core import facts as f
from surefoot.core.errors import Refused
from surefoot.core.world import World
from surefoot.trust import envelope
from surefoot.trust.digest import digest_of
from surefoot.trust.keys import PublicKey, parse_public_line
from surefoot.trust.root import PAYLOAD_TYPE, BadRoot, Root, follow, read_root

FOUNDERS_MIN = 2
ROTATION = "surefoot log key rotation"


def publish(world: World, content: bytes, newest: bytes | None, key: str) -> list[f.Fact]:
    """Publish this root after the newest one (None for the first); `key` is the log's present key.

    Raises `Refused("root.file.input")`; the newest again is no new fact.
    """
    root = checked(world, content, newest)
    log = root.log(key)
    if log is None or log.ended:
        found = "a root without it" if log is None else f"one where it is {log.ended}"
        raise _refused(f"a root in which the log's key {key} counts", found)
    digest = digest_of(content)
    if world.root.digest == digest:
        return []
    return [f.RootPublished(version=root.version, digest=digest)]


def checked(world: World, content: bytes, newest: bytes | None) -> Root:
    """The root, when it is the newest or may follow it. Raises `Refused("root.file.input")`."""
    try:
        if newest is not None:
            return read_root(newest) if content == newest else follow(read_root(newest), content)
        root = read_root(content)
        if root.version != 1:
            raise BadRoot(f"version {root.version}, expected 1")
        founders = founder_keys(world)
        envelope.open(content, founders, min(FOUNDERS_MIN, len(founders)), PAYLOAD_TYPE)
    except envelope.BadEnvelope as error:
        raise _refused("signatures of two founders", str(error)) from None
    except BadRoot as error:
        wanted = "a root signed by its threshold, and by that of the one before"
        raise _refused(wanted, str(error)) from None
    if root.installation != world.people.installation:
        raise _refused(f"a root of {world.people.installation}", root.installation)
    return root


def founder_keys(world: World) -> list[PublicKey]:
    """The founders' keys that count now."""
    founders = (p for p in world.people.people.values() if p.founder)
    return [parse_public_line(line)[0] for p in founders for line in p.keys.values()]


def rotation_text(old: str, new: str) -> str:
    """What both keys of a rotation sign."""
    return f"{ROTATION}\n{old}\n{new}\n"


def _refused(expected: str, found: str) -> Refused:
    return Refused(
        "root.file.input",
        "root file",
        expected=expected,
        found=found[:300],
        remedy="make it with: surefoot root draft, and let the founders sign it: root sign FILE",
    )
