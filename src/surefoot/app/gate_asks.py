"""What each gate is asked, from the manifest and the definition; the steps of gates in a plan.

Keeps: what a gate is asked stands in the definition, whose digest the manifest names.
Does not: run a gate.
"""

from __future__ import annotations

import msgspec

from surefoot.app.desired import declared, infrastructure_of
from surefoot.core.manifest import Manifest
from surefoot.core.target import Plain, Step
from surefoot.core.world import Environment
from surefoot.product import Baseline, Definition, Hardening, Transport
from surefoot.product import Environment as Declared
from surefoot.product.form import without_nulls

CHANGES_NOTHING_NEW = ("destroy", "backup", "revert-drift", "rollback")


def gate_arguments(name: str, manifest: Manifest, definition: Definition | None = None) -> Plain:
    """What a gate on a release is told to look at."""
    components: list[Plain] = [
        {"name": c.name, "artifact": c.artifact, "provenance": c.provenance}
        for c in manifest.components
    ]
    if name == "secrets":
        return {"commit": manifest.commit}
    if name == "hardening":
        return _hardening(manifest, definition)
    if name == "vulnerabilities":
        return {
            "components": [
                {"name": c.name, "sbom": c.sbom, "plain": c.kind == "migrations"}
                for c in manifest.components
            ]
        }
    if name == "baseline" and definition is not None:
        return _baseline(manifest, definition)
    if name == "tests":
        tested = [c for c in manifest.components if c.kind != "migrations"]
        return {
            "components": [
                {
                    "name": c.name,
                    "artifact": c.artifact,
                    "provenance": c.provenance,
                    "tests": c.tests,
                }
                for c in tested
            ]
        }
    return {"commit": manifest.commit, "components": [*components]}


def _hardening(manifest: Manifest, definition: Definition | None) -> Plain:
    asked = (definition.pipeline.hardening if definition else None) or Hardening()
    return _hardening_asked(asked) | _parts(manifest, asked.components)


def _baseline(manifest: Manifest, definition: Definition) -> Plain:
    asked = definition.pipeline.baseline
    return (_baseline_asked(asked) if asked else {}) | _parts(
        manifest, asked.components if asked else ()
    )


def _parts(manifest: Manifest, named: tuple[str, ...]) -> Plain:
    """The artifacts to look into: those that are named, else of all services."""
    parts: list[Plain] = [
        {"name": c.name, "artifact": c.artifact}
        for c in manifest.components
        if (c.name in named if named else c.kind == "service")
    ]
    return {"components": [*parts]}


def baselines(definition: Definition) -> list[Baseline]:
    """Every approved snapshot that the definition names."""
    found = [definition.pipeline.baseline, *(e.baseline for e in definition.environments.values())]
    return [each for each in found if each is not None]


def declared_entries(asked: Declared) -> dict[str, str]:
    """What an environment declares, as entries of a snapshot; of secrets their names alone."""
    found = {f"setting: {key}": str(value) for key, value in asked.values.items()}
    found |= {f"secret: {name}": "set" for name in asked.secrets}
    infrastructure = infrastructure_of(asked)
    return found | {f"infrastructure: {k}": str(v) for k, v in infrastructure.items()}


def gate_steps(definition: Definition, environment: Environment, purpose: str) -> tuple[Step, ...]:
    """Steps of gates that a plan for the environment has besides provenance and smoke.

    A rollback is not held up by the host: it is the way out.
    """
    if purpose in CHANGES_NOTHING_NEW:
        return ()
    asked = declared(definition, environment)
    steps = []
    if asked.hardening is not None:
        root = asked.hardening.root
        about = {"root": root, "role": environment.name}
        where = "this host" if root == "/" else root
        steps.append(
            _step("hardening", _hardening_asked(asked.hardening) | about, f"hardening of {where}")
        )
    if asked.baseline is not None:
        steps.append(_baseline_step(definition, asked, asked.baseline))
    if asked.privilege is not None:
        plain = without_nulls(msgspec.to_builtins(asked.privilege))
        assert isinstance(plain, dict)
        count = sum(len(each.roles) for each in asked.privilege.databases.values())
        plain["environment"] = environment.name
        steps.append(_step("privilege", plain, f"what {count} roles may do in effect"))
    if asked.transport is not None:
        count = len(asked.transport.endpoints)
        steps.append(
            _step(
                "transport", _transport_asked(asked.transport), f"TLS and SSH of {count} endpoints"
            )
        )
    return tuple(steps)


def _baseline_step(definition: Definition, asked: Declared, baseline: Baseline) -> Step:
    others: Plain = {
        name: e.baseline.digest
        for name, e in definition.environments.items()
        if e.baseline is not None and e is not asked
    }
    about: Plain = {
        "root": baseline.root,
        "files": [*baseline.files],
        "declared": {**declared_entries(asked)},
        "others": others,
    }
    summary = f"compare with the approved baseline {baseline.digest[7:19]}"
    return _step("baseline", _baseline_asked(baseline) | about, summary)


def _step(name: str, arguments: Plain, summary: str) -> Step:
    return Step(id=name, target=f"gate:{name}", action=name, arguments=arguments, summary=summary)


def _baseline_asked(asked: Baseline) -> Plain:
    plain = without_nulls(msgspec.to_builtins(asked))
    assert isinstance(plain, dict)
    return {"baseline": asked.digest, "except": plain["except"]}


def _transport_asked(asked: Transport) -> Plain:
    plain = without_nulls(msgspec.to_builtins(asked))
    assert isinstance(plain, dict)
    return plain


def _hardening_asked(asked: Hardening) -> Plain:
    plain = without_nulls(msgspec.to_builtins(asked))
    assert isinstance(plain, dict)
    return {key: plain[key] for key in ("groups", "evaluated_percent_min", "except")}
