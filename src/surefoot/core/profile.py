"""What each kind of device client takes, and how one is recognised.

Keeps: a profile decides what may be offered and how it is described; it never makes a report count
for more: success is believed by the same rule for all (`core.device`). `update: skip` is sent to
nobody, because swupdate answers it with success. Does not: store or speak HTTP.
Source: behaviours of swupdate, rauc-hawkbit-updater and Zephyr's hawkBit subsystem.
"""

from __future__ import annotations

from collections.abc import Collection, Sequence
from typing import Literal, get_args

import msgspec

ProfileName = Literal["swupdate", "rauc", "zephyr", "generic"]

NAMES: tuple[ProfileName, ...] = get_args(ProfileName)
_AGENTS: tuple[tuple[str, ProfileName], ...] = (
    ("rauc-hawkbit", "rauc"),
    ("libcurl-agent/", "swupdate"),
    ("swupdate", "swupdate"),
    ("zephyr", "zephyr"),
)
_ZEPHYR_ATTRIBUTES = frozenset({"VIN", "hwRevision"})


class Profile(msgspec.Struct, frozen=True, kw_only=True):
    """What a client takes. `endings`: it installs only files so named; empty: any.

    One that `holds` downloads an image and waits when it is told to skip the update.
    """

    name: ProfileName
    part: str = "os"
    chunks_max: int = 1
    artifacts_max: int = 1
    endings: tuple[str, ...] = ()
    holds: bool = True
    note: str = ""


PROFILES: dict[str, Profile] = {
    profile.name: profile
    for profile in (
        Profile(
            name="swupdate",
            chunks_max=50,
            artifacts_max=50,
            endings=(".swu", ".zck"),
            holds=False,
            note="closes after its restart; answers an offer to skip with success",
        ),
        Profile(name="rauc", note="closes with success before it restarts"),
        Profile(
            name="zephyr",
            part="bApp",
            holds=False,
            note="closes on the first poll of the new image",
        ),
        Profile(name="generic", part="bApp"),
    )
}


def profile_of(name: str) -> Profile:
    """The profile of this name; nothing known is generic."""
    return PROFILES.get(name, PROFILES["generic"])


def recognise(agent: str, attributes: Collection[str] = ()) -> ProfileName | None:
    """The client that sends this user agent, or puts attributes of these names, if it is known."""
    given = agent.casefold()[:200]
    for beginning, name in _AGENTS:
        if given.startswith(beginning):
            return name
    return "zephyr" if set(attributes) >= _ZEPHYR_ATTRIBUTES else None


def withheld(
    profile: Profile, chunks: Sequence[Sequence[str]], *, download_only: bool = False
) -> str:
    """Why this client cannot take these chunks of files, by name; empty when it can."""
    if download_only and not profile.holds:
        return f"{profile.name} does not hold an image without installing it"
    if len(chunks) > profile.chunks_max:
        return f"{profile.name} takes at most {profile.chunks_max} chunks, not {len(chunks)}"
    for files in chunks:
        if len(files) > profile.artifacts_max:
            return f"{profile.name} takes at most {profile.artifacts_max} files, not {len(files)}"
        fit = [file for file in files if not profile.endings or file.endswith(profile.endings)]
        if not fit:
            return f"{profile.name} takes only files that end in {' or '.join(profile.endings)}"
    return ""
