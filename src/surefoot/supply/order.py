"""What is to be built and what came of it, as plain records.

Keeps: the build key is a digest over everything that goes in, so the same key means the same
input; nothing here holds a secret.
Does not: build.
"""

from __future__ import annotations

import re
from typing import Literal

import msgspec

from surefoot.core.errors import Refused
from surefoot.core.target import Plain
from surefoot.trust import canonical
from surefoot.trust.digest import Digest, digest_of

Kind = Literal["service", "migrations", "firmware"]

_NAME = re.compile(r"[a-z][a-z0-9-]{0,62}")
_TOOL = re.compile(r"[A-Za-z0-9][A-Za-z0-9._+-]{0,62}")
_WORDS_MAX = 200


class BuildOrder(msgspec.Struct, frozen=True, kw_only=True):
    """One component to build. Paths are relative: `path` to the repository, `locks` to `path`,
    `artifact` and `manifest` to the folder that replaces `{out}` in the command.

    Without a command the artifact is the folder itself, as a tar.
    """

    name: str
    kind: Kind
    path: str
    command: tuple[str, ...] = ()
    artifact: str = ""
    manifest: str = ""
    tests_command: tuple[str, ...] = ()
    locks: tuple[str, ...] = ()
    tools: tuple[str, ...] = ()
    timeout_seconds: int = 900


class Tool(msgspec.Struct, frozen=True):
    """A tool as it was found: what it says of itself, and the digest of its program file."""

    name: str
    version: str
    digest: Digest


class Inputs(msgspec.Struct, frozen=True, kw_only=True):
    """Everything that goes into a build. `tree` is git's name for the component's folder."""

    order: BuildOrder
    commit: str
    tree: str
    time_seconds: int
    tools: tuple[Tool, ...]

    def key(self) -> Digest:
        """The build key: the same for the same inputs, on any machine."""
        return digest_of(canonical.encode(msgspec.to_builtins(self)))


class BuiltComponent(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """A component built once. Digests name blobs: `provenance` and `test_result` are DSSE
    envelopes, `tests` is the JUnit file, `sbom` is CycloneDX JSON, `log` what the commands said.

    `figures`: `built_ms`, `tests_ms` and, when tests are declared, `tests`: counts by result, the
    command's `exit_status` and `trouble` (empty when the report could be read).
    """

    name: str
    kind: Kind
    build_key: Digest
    commit: str
    tree: str
    artifact: Digest
    artifact_size: int
    provenance: Digest
    sbom: Digest
    log: Digest
    manifest: Plain | None = None
    tests: Digest | None = None
    test_result: Digest | None = None
    figures: Plain = {}


def check_order(order: BuildOrder) -> None:
    """Raises `Refused` for an order that could reach outside its folders, or is incomplete."""
    if not _NAME.fullmatch(order.name):
        raise _refused(order, f"name {order.name[:80]!r}", "lower-case letters, digits, hyphens")
    inside = (order.path or ".", order.artifact or ".", order.manifest or ".", *order.locks)
    for path in inside:
        if path.startswith("/") or ".." in path.split("/") or "\0" in path or len(path) > 500:
            raise _refused(order, f"path {path[:80]!r}", "a relative path without ..")
    for tool in order.tools:
        if not _TOOL.fullmatch(tool):
            raise _refused(order, f"tool {tool[:80]!r}", "the name of a program")
    if len(order.command) + len(order.tests_command) > _WORDS_MAX:
        raise _refused(order, "a longer command", f"at most {_WORDS_MAX} words")
    if bool(order.command) != bool(order.artifact):
        raise _refused(order, "one of them", "command and artifact, or neither")
    if not order.command and order.kind != "migrations":
        raise _refused(order, "no command", f"a command that builds the {order.kind}")
    if not 1 <= order.timeout_seconds <= 86_400:
        raise _refused(order, f"{order.timeout_seconds} s", "a timeout of 1 s to a day")


def _refused(order: BuildOrder, found: str, expected: str) -> Refused:
    return Refused(
        "build.order.input", f"component {order.name[:80]}", expected=expected, found=found
    )
