"""Which cosignatures are enough: the C2SP trust policy, as text and as a rule.

Keeps: logs and witnesses are known by their keys; names mean something only inside the policy;
each name is a member of at most one group, so a witness counts once; two witnesses of one
underlying key are refused. Does not: verify a signature, or ask anybody.
Source: c2sp.org/tlog-policy.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Set
from functools import lru_cache

import msgspec

from surefoot.trust.cosignature import Cosignature, CosignerKey
from surefoot.trust.note import NotANote, VerifierKey

POLICY_LENGTH_MAX = 512 * 1024
NAMES_MAX = 128

_NONE = "none"
_WORDS = re.compile(r"[^ \t]+")
_FORBIDDEN = re.compile(r"[\x00-\x08\x0b-\x1f\x7f]")
_NUMBER = re.compile(r"[1-9][0-9]{0,3}")


class NotAPolicy(ValueError):
    """The text is no trust policy."""


class PolicyLog(msgspec.Struct, frozen=True):
    """A log that may sign, and where it answers (empty when not said)."""

    key: VerifierKey
    url: str = ""


class PolicyWitness(msgspec.Struct, frozen=True):
    """A witness's key, and the address below which it takes checkpoints (empty: not said)."""

    key: CosignerKey
    url: str = ""


class PolicyGroup(msgspec.Struct, frozen=True):
    """At least `least` of the members, witnesses or groups, by name."""

    least: int
    members: tuple[str, ...]


class TrustPolicy(msgspec.Struct, frozen=True, kw_only=True):
    """A parsed policy; `quorum` names a witness, a group, or is `none`."""

    logs: tuple[PolicyLog, ...] = ()
    witnesses: Mapping[str, PolicyWitness] = {}
    groups: Mapping[str, PolicyGroup] = {}
    quorum: str = _NONE

    def text(self) -> str:
        """The policy as text; reading it again gives an equal policy."""
        lines = [f"log {_spaced(log.key.text(), log.url)}" for log in self.logs]
        for name, witness in self.witnesses.items():
            lines.append(f"witness {name} {_spaced(witness.key.text(), witness.url)}")
        for name, group in self.groups.items():
            lines.append(f"group {name} {group.least} {' '.join(group.members)}")
        lines.append(f"quorum {self.quorum}")
        return "".join(f"{line}\n" for line in lines)

    def satisfied(self, keys: Set[str]) -> bool:
        """Whether cosignatures by these keys, in their one-line forms, make the quorum."""
        return self.quorum == _NONE or self._counts(self.quorum, keys)

    def quorum_time(self, cosignatures: Iterable[Cosignature]) -> int | None:
        """The first second at which those given so far made the quorum.

        None when they never do, and for the quorum `none`, which needs no time.
        """
        seen: set[str] = set()
        for cosignature in sorted(cosignatures, key=lambda found: found.time_s):
            seen.add(cosignature.key)
            if self.quorum != _NONE and self.satisfied(seen):
                return cosignature.time_s
        return None

    def _counts(self, name: str, keys: Set[str]) -> bool:
        witness = self.witnesses.get(name)
        if witness is not None:
            return witness.key.text() in keys
        group = self.groups[name]
        return sum(self._counts(member, keys) for member in group.members) >= group.least


@lru_cache(maxsize=16)
def parse_policy(text: str) -> TrustPolicy:
    """Read a policy; every line ends in a newline. Raises `NotAPolicy` with the line's number.

    Those read last are kept: a root's is asked for with every checkpoint.
    """
    if len(text) > POLICY_LENGTH_MAX:
        raise NotAPolicy(f"policy is longer than {POLICY_LENGTH_MAX} characters")
    if _FORBIDDEN.search(text):
        raise NotAPolicy("policy holds a control character")
    if not text.endswith("\n"):
        raise NotAPolicy("policy does not end in a newline: it may be cut")
    reading = _Reading()
    for number, line in enumerate(text.split("\n"), start=1):
        words = _WORDS.findall(line)
        if words and not words[0].startswith("#"):
            try:
                reading.line(words)
            except (NotAPolicy, NotANote) as error:
                raise NotAPolicy(f"line {number}: {error}") from None
    return reading.policy()


class _Reading:
    """A policy on its way in."""

    def __init__(self) -> None:
        self._logs: list[PolicyLog] = []
        self._witnesses: dict[str, PolicyWitness] = {}
        self._groups: dict[str, PolicyGroup] = {}
        self._members: set[str] = set()
        self._quorum = ""

    def line(self, words: list[str]) -> None:
        """Take one line's words. Raises `NotAPolicy`, `NotANote`."""
        word, rest = words[0], words[1:]
        if word == "log" and len(rest) in (1, 2):
            self._log(*rest)
        elif word == "witness" and len(rest) in (2, 3):
            self._witness(*rest)
        elif word == "group" and len(rest) >= 3:
            self._group(rest[0], rest[1], tuple(rest[2:]))
        elif word == "quorum" and len(rest) == 1:
            self._set_quorum(rest[0])
        else:
            raise NotAPolicy(
                "expected `log VKEY [URL]`, `witness NAME VKEY [URL]`, "
                "`group NAME all|any|K NAME...` or `quorum NAME|none`"
            )

    def policy(self) -> TrustPolicy:
        """The whole. Raises `NotAPolicy` without a quorum."""
        if not self._quorum:
            raise NotAPolicy("policy has no quorum line")
        return TrustPolicy(
            logs=tuple(self._logs),
            witnesses=self._witnesses,
            groups=self._groups,
            quorum=self._quorum,
        )

    def _log(self, vkey: str, url: str = "") -> None:
        key = VerifierKey.parse(vkey)
        if any(log.key.public == key.public for log in self._logs):
            raise NotAPolicy("another log has the same key")
        if len(self._logs) == NAMES_MAX:
            raise NotAPolicy(f"more than {NAMES_MAX} logs")
        self._logs.append(PolicyLog(key, url))

    def _witness(self, name: str, vkey: str, url: str = "") -> None:
        self._new(name, self._witnesses)
        key = CosignerKey.parse(vkey)
        if any(other.key.public == key.public for other in self._witnesses.values()):
            raise NotAPolicy("another witness has the same key")
        self._witnesses[name] = PolicyWitness(key, url)

    def _group(self, name: str, least: str, members: tuple[str, ...]) -> None:
        self._new(name, self._groups)
        for member in members:
            self._known(member)
            if member in self._members:
                raise NotAPolicy(f"{member[:80]!r} is a member of a group already")
            self._members.add(member)
        named = {"all": len(members), "any": 1}.get(least)
        if named is None:
            named = int(least) if _NUMBER.fullmatch(least) else 0
        if not 1 <= named <= len(members):
            raise NotAPolicy(f"expected all, any or 1 to {len(members)}, found {least[:40]!r}")
        self._groups[name] = PolicyGroup(named, members)

    def _set_quorum(self, name: str) -> None:
        if self._quorum:
            raise NotAPolicy("policy has two quorum lines")
        if name != _NONE:
            self._known(name)
        self._quorum = name

    def _new(self, name: str, place: Mapping[str, object]) -> None:
        if name == _NONE or name in self._witnesses or name in self._groups:
            raise NotAPolicy(f"name {name[:80]!r} is taken")
        if len(place) == NAMES_MAX:
            raise NotAPolicy(f"more than {NAMES_MAX} of a kind")

    def _known(self, name: str) -> None:
        if name not in self._witnesses and name not in self._groups:
            raise NotAPolicy(f"no line before names a witness or group {name[:80]!r}")


def _spaced(vkey: str, url: str) -> str:
    return f"{vkey} {url}" if url else vkey
