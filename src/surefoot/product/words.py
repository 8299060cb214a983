"""What single values of a product definition may be: their limits, each with a short note.

Keeps: limit and note stand in the type, so that reader, errors and reference page say the same.
"""

from __future__ import annotations

from typing import Annotated, TypeAlias

from msgspec import Meta

NAME = r"[a-z][a-z0-9-]{0,40}"
KEY = r"[a-z][a-z0-9_]{0,60}"

Name = Annotated[str, Meta(pattern=NAME, description="a name")]
Key = Annotated[str, Meta(pattern=KEY, description="a key")]
Line = Annotated[str, Meta(min_length=1, max_length=200, pattern=r"[^\x00-\x1f\x7f]+")]
Word = Annotated[str, Meta(min_length=1, max_length=1000, pattern=r"[^\x00]+")]
Words = Annotated[tuple[Word, ...], Meta(min_length=1, max_length=100)]
FilePath = Annotated[
    str,
    Meta(
        max_length=300,
        pattern=r"(?!/)(?!.*(^|/)\.\.(/|$))[^\x00-\x1f\x7f\\]+",
        description="a relative path without ..",
    ),
]
Endpoint = Annotated[
    str,
    Meta(pattern=r"(\[[0-9a-fA-F:]+\]|[A-Za-z0-9.-]{1,253}):[0-9]{1,5}", description="host:port"),
]
UrlPath = Annotated[str, Meta(pattern=r"/[!-~]{0,500}", description="a path from the root")]
Column = Annotated[str, Meta(pattern=r"[a-z_][a-z0-9_]*\.[a-z_][a-z0-9_]*", max_length=128)]
KeyLine = Annotated[
    str,
    Meta(
        pattern=r"ssh-ed25519 [A-Za-z0-9+/]{60,80}={0,2}( [!-~]{1,100})?",
        description="a public key line like ssh-ed25519 AAAA",
    ),
]
Moment = Annotated[int, Meta(title="moment", description="a UTC time like 2026-12-24T00:00:00Z")]
Percent = Annotated[int, Meta(ge=0, le=100)]
Seconds = Annotated[int, Meta(ge=1, le=31_536_000)]
Version = Annotated[int, Meta(ge=0, le=1_000_000)]
Tool = Annotated[str, Meta(pattern=r"[A-Za-z0-9][A-Za-z0-9._+-]{0,60}", description="a tool")]
ReleaseVersion = Annotated[
    str, Meta(pattern=r"^[0-9]+\.[0-9]+\.[0-9]+(-[0-9a-z.]{1,20})?$", max_length=64)
]
VersionRange = Annotated[
    str,
    Meta(
        pattern=r"(>=|==|<)[0-9]+(\.[0-9]+){0,3}(, ?(>=|==|<)[0-9]+(\.[0-9]+){0,3})?",
        description="a version range like >=3.11,<4",
    ),
]
DeviceId = Annotated[str, Meta(min_length=1, max_length=256, pattern=r"[!-~]+")]
Scalar: TypeAlias = str | int | bool
