"""The application: what the doors ask, authorised here and answered from the journal.

Keeps: every command goes through one rule and one append; a refusal of somebody who was
authenticated is written down, at most once a second per person, the rest as a count.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Protocol, TypeVar

import msgspec

from surefoot.app.draft import Draft, Source
from surefoot.app.jobs import Jobs, Report
from surefoot.app.operation import Request
from surefoot.core import facts as f
from surefoot.core import manifest as manifests
from surefoot.core.device import Standing
from surefoot.core.errors import Refused
from surefoot.core.offer import Firmware
from surefoot.core.target import Plain, Target
from surefoot.core.world import World
from surefoot.engine.clock import Clock
from surefoot.engine.effects import Effects, draft
from surefoot.journal.anchor import Anchor
from surefoot.journal.cosigning import Cosigning
from surefoot.journal.device_proof import DeviceProver
from surefoot.journal.log import Log, Receipt
from surefoot.journal.proof import Prover
from surefoot.product import Definition, parse_definition
from surefoot.secrets.embedded import SecretMetadata
from surefoot.secrets.text import SecretText
from surefoot.store.blobs import FileBlobs
from surefoot.store.device import DeviceSummary, NewDevice
from surefoot.store.device_blast import Blast, BlastAsk
from surefoot.store.device_certificates import DeviceCertificates
from surefoot.store.device_holds import DeviceHolds
from surefoot.store.device_inventory import DeviceFilter, DevicePage, Keep
from surefoot.store.device_rollouts import Rollout
from surefoot.store.device_shown import Shown
from surefoot.store.device_tags import DeviceTags
from surefoot.store.enrolment_codes import EnrolmentCodes
from surefoot.supply.commit import Commit
from surefoot.trust.digest import Digest
from surefoot.trust.entry import Actor
from surefoot.trust.payload import SALT_BYTES, Payload

T = TypeVar("T")
Rule = Callable[[World], Sequence[f.Fact]]

_REFUSALS_EACH_MS = 1000


class Secrets(Protocol):
    """The provider of secrets."""

    def set(self, environment: str, name: str, value: SecretText) -> int:
        """Keep a new version of a secret; its number."""

    def newest(self, environment: str) -> Mapping[str, SecretMetadata]:
        """The newest version of each secret, by name."""


class Fleet(Protocol):
    """The registry of devices."""

    def enrol(self, environment: str, devices: Iterable[NewDevice]) -> int:
        """Admit devices; how many are new."""

    def set_token(self, environment: str, device: str, token_hash: bytes) -> None:
        """Replace a device's token."""

    def shown(self, environment: str, attributes: Sequence[str]) -> Sequence[Shown]:
        """The versions that devices may run, with some of their names."""

    def find(self, environment: str, device: str) -> DeviceSummary | None:
        """One device."""

    def firmware(self, digest: str) -> Firmware | None:
        """An image that some rollout assigned."""

    def states(self, environment: str, deployment: int) -> Mapping[str, Mapping[str, int]]:
        """A rollout's devices by wave and state, now."""

    def timeline(self, environment: str, device: str, limit: int, before: int) -> Sequence[bytes]:
        """A device's reports below a number, newest first."""


class Inventory(Protocol):
    """Pages of devices; see `store.device_inventory`."""

    def page(
        self,
        environment: str,
        wanted: DeviceFilter,
        *,
        after: str = "",
        limit: int = 100,
        keep: Keep | None = None,
    ) -> DevicePage:
        """Devices after a name that are as wanted."""

    def newest_rollout(self, environment: str) -> int:
        """The deployment of the newest rollout; 0: none."""

    def waiting(self, environment: str) -> int:
        """How many devices wait to be let in."""


class Identities(Protocol):
    """Who may speak as a device."""

    def set_standing(self, environment: str, device: str, standing: Standing, via: str) -> Standing:
        """Let a device in, or not; what it was before."""

    def set_profile(self, environment: str, device: str, profile: str) -> None:
        """Say which client a device runs; "" lets it be learned."""

    def set_gateway(self, environment: str, token_hash: bytes) -> None:
        """The environment's gateway token; empty: none."""


class History(Protocol):
    """Which commits set what; see `supply.repository`."""

    def read_file(self, commit: str, path: str) -> bytes:
        """The bytes of a file at a commit."""

    def last_set(self, commit: str, path: str) -> Sequence[Commit]:
        """The commit that last set each line of a file."""

    def last_change(self, commit: str, path: str) -> Commit:
        """The newest commit that changed a file or folder."""


class Building(Protocol):
    """What turns commits into definitions and drafts of releases."""

    def definition_of(self, app: App, ref: str) -> Source:
        """The definition at a commit, with its authors."""

    def draft(self, app: App, asker: str, version: str, ref: str, report: Report) -> Draft:
        """Build every component and run the release's gates."""

    def again(self, app: App, release: str, report: Report) -> int:
        """Build a release again; how many components are identical."""

    def history(self) -> History:
        """The repository's history, when it is there."""


@dataclass(kw_only=True)
class App:
    """See the module. What the composition gives is set once."""

    log: Log[World]
    prover: Prover
    device_prover: DeviceProver
    blobs: FileBlobs
    clock: Clock
    effects: Effects
    targets: Callable[[str], Mapping[str, Target]]
    secrets: Secrets
    fleet: Fleet
    inventory: Inventory
    identities: Identities
    codes: EnrolmentCodes
    certificates: DeviceCertificates
    tags: DeviceTags
    blast: Callable[[BlastAsk], Blast]
    holds: DeviceHolds
    rollouts: Callable[[str, int], Sequence[Rollout]]
    builder: Building
    jobs: Jobs
    log_key: str
    cosigning: Cosigning
    anchor: Anchor | None
    identity_salt: bytes
    runner: Actor
    addresses: Callable[[str], Plain]
    keep_draft: Callable[[Draft], None]
    find_draft: Callable[[str], Draft | None]
    address: Callable[[str, str], str]
    secrets_prepare: Callable[[str], None]
    verify_journal: Callable[[], Plain]
    keep_root: Callable[[int, bytes], None]
    watch: Callable[[str, str], object]
    _refused: dict[str, tuple[int, int]] = field(init=False, default_factory=dict)
    _guard: threading.Lock = field(init=False, default_factory=threading.Lock)

    # -- commands ---------------------------------------------------------------------------------

    def command(
        self, request: Request, rule: Rule, evidence: Sequence[Digest] = (), reason: str = ""
    ) -> Receipt | None:
        """Decide by the rule and append what it says; a refusal is noted and passed on."""
        words = self.words(reason)
        try:
            return self.log.transact(
                lambda w: [draft(fact, evidence, words) for fact in rule(w)],
                self.actor(request),
                request.id,
            )
        except Refused as refused:
            self.note_refusal(request, refused)
            raise

    def words(self, text: str) -> Payload | None:
        """A person's words under a salt of their own; None for no words."""
        return Payload(salt=self.clock.token(SALT_BYTES), text=text) if text else None

    def check(self, request: Request, question: Callable[[World], T]) -> T:
        """Ask a rule before work that comes ahead of the append; a refusal is noted as well."""
        try:
            return self.log.read(question)
        except Refused as refused:
            self.note_refusal(request, refused)
            raise

    def ready(self) -> None:
        """Refuse work before it begins when its outcome could not be written down."""
        self.log.check_writable()

    def actor(self, request: Request) -> Actor:
        """The journal's actor for a request."""
        kind = "person" if request.asker.type == "person" else "machine"
        return Actor(type=kind, id=request.asker.id, auth=request.auth)  # type: ignore[arg-type]

    def note_refusal(self, request: Request, refused: Refused) -> None:
        """Write a refusal down, batched: the first at once, later ones of that second counted."""
        now = self.clock.now_ms()
        with self._guard:
            last, skipped = self._refused.get(request.asker.id, (0, 0))
            if now - last < _REFUSALS_EACH_MS:
                self._refused[request.asker.id] = (last, skipped + 1)
                return
            self._refused[request.asker.id] = (now, 0)
        # Subject and found repeat what somebody typed, so they are kept where they can be erased.
        subject, found = self.words(refused.subject[:300]), self.words(refused.found[:300])
        fact = f.RequestRefused(
            code=refused.code,
            subject=subject.commitment() if subject else "",
            expected=refused.expected[:300],
            found=found.commitment() if found else "",
            count=1 + skipped,
        )
        kept = tuple(each for each in (subject, found) if each)
        drafted = msgspec.structs.replace(draft(fact), payloads=kept)
        self.log.transact(lambda w: [drafted], self.actor(request), request.id)

    # -- questions --------------------------------------------------------------------------------

    def read(self, question: Callable[[World], T]) -> T:
        """Answer from the present world."""
        return self.log.read(question)

    def definition(self, digest: str) -> Definition:
        """A product definition by the digest of its file."""
        return parse_definition(self.blobs.get(Digest(digest)))

    def manifest(self, release: str) -> manifests.Manifest:
        """A release's manifest by its digest."""
        return manifests.decode(self.blobs.get(Digest(release)))
