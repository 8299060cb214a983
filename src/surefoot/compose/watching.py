"""The looks that are made again and again, put together: drift, smoke checks, other gates."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from functools import partial
from typing import TYPE_CHECKING

import msgspec

from surefoot.app.gate_asks import gate_arguments, gate_steps
from surefoot.core import facts as f
from surefoot.core.gate import Evidence, Finding
from surefoot.engine.watcher import Look, Watcher
from surefoot.product import parse_definition
from surefoot.store.lease import Leases
from surefoot.trust.digest import Digest

AT_DEPLOYMENT = ("hardening", "baseline", "privilege", "transport")
"""What these are asked stands with the environment, and was a step of its last deployment."""

if TYPE_CHECKING:
    from surefoot.compose.installation import Installation


def watcher_of(installation: Installation, leases: Leases) -> Watcher:
    """What looks at an installation's environments, not begun."""
    return Watcher(
        installation.log,
        installation.blobs,
        looks_of(installation),
        leases,
        installation.clock,
        worker=installation.worker,
        actor=installation.runner,
    )


def looks_of(installation: Installation) -> Mapping[str, Look]:
    """A look for each gate that a definition may watch with."""
    clock, gating = installation.clock, installation.gating

    def drift(environment: str, release: Digest) -> Evidence:
        began_ms = clock.now_ms()
        known = installation.log.read(lambda w: w.environments[environment].observation)
        found = installation.effects.check_drift(environment)
        return Evidence(
            gate="drift",
            subject=release,
            tool="surefoot-drift",
            tool_version="1",
            inputs=(Digest(known),) if known else (),
            started_at_ms=began_ms,
            ended_at_ms=clock.now_ms(),
            # Without a record of how it was left there is nothing to differ from.
            complete=bool(known),
            figures={"differences": len(found)},
            findings=tuple(_difference(each) for each in found),
        )

    def smoke(environment: str, release: Digest) -> Evidence:
        definition = parse_definition(installation.blobs.get(gating.manifest(release).definition))
        checks = [
            {k: v for k, v in msgspec.to_builtins(check).items() if v is not None}
            for check in definition.pipeline.smoke
        ]
        return gating.smoke(environment, release, checks)

    def gate(name: str, environment: str, release: Digest) -> Evidence:
        manifest = gating.manifest(release)
        definition = parse_definition(installation.blobs.get(manifest.definition))
        if name in AT_DEPLOYMENT:
            state = installation.log.read(lambda w: w.environments[environment])
            asked = {step.action: step for step in gate_steps(definition, state, "deploy")}
            arguments = dict(asked[name].arguments)
        else:
            arguments = gate_arguments(name, manifest, definition)
        return gating.look_gates()[name]().run(release, arguments)

    others = {name: partial(gate, name) for name in gating.look_gates()}
    return {"drift": drift, "smoke": smoke, **others}


def _short(value: str) -> str:
    """A value as people read it: of a digest the first digits, as on all pages."""
    return value[:19] if value.startswith("sha256:") else value[:200]


def _difference(each: f.Difference) -> Finding:
    return Finding(
        rule="drift",
        title=f"expected {_short(each.expected)}, found {_short(each.found)}",
        place=each.path,
        severity="medium",
        # With what was found: one difference that is known hides no other at the same place.
        fingerprint=hashlib.sha256(f"drift {each.path} {each.found}".encode()).hexdigest(),
        remedy="surefoot drift revert, or deploy a release that says so",
    )
