"""The gate `baseline`: a host, or the artifacts of a release, against the approved snapshot.

Keeps: what is new or another than approved is a finding, and a setting that is gone; what is less
is told. A baseline by another collector, or something that was seen then and is not now, is no
whole comparison; the differences to other environments' baselines are part of the report.
Does not: approve.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterator
from contextlib import ExitStack, closing
from fnmatch import fnmatchcase
from pathlib import Path

import msgspec

from surefoot.core.errors import SurefootError
from surefoot.core.gate import Evidence, Finding
from surefoot.core.target import Blobs, Plain
from surefoot.gates.baseline.snapshot import COLLECTOR, Snapshot, decode, of_artifacts, of_host
from surefoot.gates.hardening.archive import ArchiveLook
from surefoot.gates.hardening.folder import FolderLook, HostLook
from surefoot.gates.hardening.gate import Exemption, Part
from surefoot.gates.hardening.look import Look, Unseen
from surefoot.trust.canonical import JSON
from surefoot.trust.digest import Digest

FINDINGS_MAX = 500
SHOWN_MAX = 200
_GRAVE = ("rights: ", "accounts: ", "passwords: ", "sudoers: ", "sockets: ", "postgres-access: ")
# Less of these is no risk; a setting that is gone leaves what the program does without it.
_LESS = ("package: ", "rights: ", "open: ", "sockets: ", "accounts: ", "sudoers: grant ", "cron: ")


class Arguments(msgspec.Struct, frozen=True, kw_only=True, rename={"exemptions": "except"}):
    """The approved snapshot, and a `root` ("/" for this host) or `components` to compare."""

    baseline: Digest
    root: str = ""
    components: tuple[Part, ...] = ()
    files: tuple[str, ...] = ()
    declared: dict[str, str] = {}
    others: dict[str, Digest] = {}
    exemptions: tuple[Exemption, ...] = ()


class BaselineGate:
    """See the module. `blobs` hold artifacts and approved snapshots."""

    name = "baseline"

    def __init__(self, blobs: Blobs, now_ms: Callable[[], int]) -> None:
        self._blobs = blobs
        self._now_ms = now_ms

    def run(self, subject: Digest, arguments: Plain) -> Evidence:
        """Collect and compare. Raises nothing."""
        started = self._now_ms()
        evidence = Evidence(
            gate=self.name,
            subject=subject,
            tool="surefoot-baseline",
            tool_version=COLLECTOR,
            started_at_ms=started,
        )
        try:
            wanted = msgspec.convert(arguments, Arguments)
            if bool(wanted.root) == bool(wanted.components):
                raise ValueError("a root or components, and not both")
            approved = decode(self._blobs.get(wanted.baseline))
            evidence = self._compared(evidence, wanted, approved)
        except (msgspec.ValidationError, ValueError) as error:
            evidence = msgspec.structs.replace(evidence, trouble=f"bad arguments: {error}"[:300])
        except (Unseen, SurefootError) as error:
            evidence = msgspec.structs.replace(evidence, trouble=str(error)[:300])
        return msgspec.structs.replace(evidence, ended_at_ms=self._now_ms())

    def _compared(self, evidence: Evidence, wanted: Arguments, approved: Snapshot) -> Evidence:
        found = self._collected(wanted)
        hidden = sorted(set(found.unseen) - set(approved.unseen))
        other = approved.collector != found.collector or approved.of != found.of
        findings = list(_findings(approved, found, wanted, evidence.started_at_ms))
        coverage: dict[str, JSON] = {
            "approved": len(approved.entries),
            "found": len(found.entries),
            **({"not_seen": [*hidden[:SHOWN_MAX]]} if hidden else {}),
            **({"another_collector": approved.collector} if other else {}),
        }
        figures: dict[str, JSON] = {
            name: difference(approved, decode(self._blobs.get(digest)))
            for name, digest in sorted(wanted.others.items())
        }
        return msgspec.structs.replace(
            evidence,
            inputs=(wanted.baseline,),
            complete=bool(approved.entries) and not hidden and not other,
            coverage=coverage,
            figures={"environments": figures} if figures else {},
            findings=tuple(findings),
            raw=self._blobs.put(found.encode()),
        )

    def _collected(self, wanted: Arguments) -> Snapshot:
        if wanted.root:
            look: Look = HostLook() if wanted.root == "/" else FolderLook(Path(wanted.root))
            return of_host(look, wanted.files, wanted.declared)
        with ExitStack() as opened:
            looks: dict[str, Look] = {}
            for part in wanted.components:
                archive = ArchiveLook(Path(self._blobs.path(part.artifact)), part.name)
                looks[part.name] = opened.enter_context(closing(archive))
            return of_artifacts(looks, wanted.declared)


def difference(first: Snapshot, second: Snapshot) -> dict[str, JSON]:
    """What only one of two snapshots has, and what differs; bounded, with the counts in full."""
    mine, theirs = first.entries, second.entries
    here = sorted(set(mine) - set(theirs))
    there = sorted(set(theirs) - set(mine))
    differ = sorted(key for key in set(mine) & set(theirs) if mine[key] != theirs[key])
    shown: dict[str, JSON] = {key: [mine[key], theirs[key]] for key in differ[:SHOWN_MAX]}
    return {
        "only_here": [*here[:SHOWN_MAX]],
        "only_there": [*there[:SHOWN_MAX]],
        "different": shown,
        "counts": [len(here), len(there), len(differ)],
    }


def _findings(
    approved: Snapshot, found: Snapshot, wanted: Arguments, now_ms: int
) -> Iterator[Finding]:
    rows: list[tuple[str, str, str]] = []
    for key, value in found.entries.items():
        if key not in approved.entries:
            rows.append(("baseline-new", key, f"new against the baseline: {key} = {value}"))
        elif approved.entries[key] != value:
            shown = f"approved {approved.entries[key]}, found {value}"
            rows.append(("baseline-changed", key, f"another than approved: {key}: {shown}"))
    gone = sorted(set(approved.entries) - set(found.entries))
    rows += [("baseline-gone", k, f"approved, and gone: {k}") for k in gone if not _less(k)]
    for rule, key, title in rows[:FINDINGS_MAX]:
        accepted = [e for e in wanted.exemptions if _holds(e, rule, key, now_ms)]
        grave = "high" if key.startswith(_GRAVE) else "medium"
        title = f"{title} (accepted: {accepted[0].reason})" if accepted else title
        yield _finding(rule, key, title, "info" if accepted else grave)
    if len(rows) > FINDINGS_MAX:
        title = f"{len(rows) - FINDINGS_MAX} more that are new or another"
        yield _finding("baseline-new", "more", title, "medium")
    for key in [key for key in gone if _less(key)][:FINDINGS_MAX]:
        yield _finding("baseline-less", key, f"approved, and gone: {key}", "info")


def _less(key: str) -> bool:
    """Whether it is safe that this is gone: access, programs and packages."""
    return key.startswith(_LESS) or ": program /" in key or ": library /" in key


def _holds(exemption: Exemption, rule: str, key: str, now_ms: int) -> bool:
    same = exemption.rule == rule and fnmatchcase(key, exemption.place)
    return same and now_ms < exemption.until_ms


def _finding(rule: str, key: str, title: str, severity: str) -> Finding:
    joined = f"{rule}\0{key}"
    return msgspec.convert(
        {
            "rule": rule,
            "title": title[:400],
            "place": key[:300],
            "severity": severity,
            "fingerprint": "v1:"
            + hashlib.sha256(joined.encode("utf-8", "replace")).hexdigest()[:32],
            "remedy": "undo the change, or collect a new baseline and have it approved",
        },
        Finding,
    )
