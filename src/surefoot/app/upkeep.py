"""Operations that keep an environment as it should be: drift, freezes, secrets."""

from __future__ import annotations

import base64

import msgspec

from surefoot.app.as_of import AsOf
from surefoot.app.deployments import RequestArguments, ask
from surefoot.app.facade import App
from surefoot.app.moment import parse_moment, shown
from surefoot.app.operation import Arguments, Reason, Request, operation
from surefoot.core import environment as environments
from surefoot.core import facts as f
from surefoot.core import policy
from surefoot.core.errors import Refused
from surefoot.core.target import Plain
from surefoot.core.world import World
from surefoot.engine.effects import draft
from surefoot.secrets.text import SecretText


class NameArguments(Arguments, frozen=True, kw_only=True):
    name: str


class AtNameArguments(Arguments, frozen=True, kw_only=True):
    name: str
    at: str = ""


def ask_for(app: App, request: Request, name: str, purpose: str, data: str = "") -> Plain:
    wanted = RequestArguments(environment=name, purpose=purpose, data=data)
    answer: Plain = ask(app, request, wanted)
    return answer


class FreezeArguments(Arguments, frozen=True, kw_only=True):
    name: str
    freeze: str
    from_: str = msgspec.field(name="from")
    until: str
    reason: Reason = ""


class LiftArguments(Arguments, frozen=True, kw_only=True):
    name: str
    freeze: str
    reason: Reason = ""


class SecretArguments(Arguments, frozen=True, kw_only=True):
    name: str
    secret: str
    value: str


def fresh_secrets(app: App, request: Request, source: str, to: str) -> None:
    """A clone gets fresh random secrets of its own: the same secret in two places is a finding.

    Those it has already stay. A database's password must be the server's: a person sets it.
    """
    app.secrets_prepare(to)
    names, held, digest, origin = app.read(
        lambda w: (
            sorted(w.environments[source].secrets),
            set(w.environments[to].secrets),
            w.definition.digest,
            w.environments[source].source,
        )
    )
    declared = app.definition(digest).environments
    environment = declared.get(source) or declared[origin]
    passwords = {d.password_secret for d in environment.targets.databases.values()}
    for name in names:
        if name not in held and name not in passwords:
            value = SecretText(base64.b64encode(app.clock.token(24)).decode())
            _set_secret(app, request, to, name, value)


@operation("drift check", "POST", "/environments/{name}/drift", NameArguments)
def check_drift(app: App, request: Request, arguments: NameArguments) -> Plain:
    """Compare what is there with what is recorded."""
    app.read(lambda w: policy.person_of(w, request.asker))
    app.read(lambda w: environments.check_idle(w, environments.find(w, arguments.name).name))
    found = app.effects.check_drift(arguments.name)
    return {"name": arguments.name, "differences": [msgspec.to_builtins(d) for d in found]}


@operation("drift show", "GET", "/environments/{name}/drift", AtNameArguments)
def show_drift(app: App, request: Request, arguments: AtNameArguments) -> Plain:
    """The differences that the last check found, as known now or at a time."""
    state = AsOf(app, arguments.at).environment(arguments.name)
    if state is None:
        return {"name": arguments.name, "exists": False, "differences": []}
    return {
        "name": arguments.name,
        "differences": [msgspec.to_builtins(d) for d in state.drift],
        "checked_at": shown(state.drift_checked_ms),
    }


@operation("drift revert", "POST", "/environments/{name}/drift/revert", NameArguments)
def revert_drift(app: App, request: Request, arguments: NameArguments) -> Plain:
    """Ask for services to be brought back to what is recorded."""
    return ask_for(app, request, arguments.name, "revert-drift")


@operation("freeze add", "POST", "/environments/{name}/freezes", FreezeArguments)
def add_freeze(app: App, request: Request, arguments: FreezeArguments) -> Plain:
    """Declare a time without effects on an environment."""
    fact = f.FreezeDeclared(
        environment=arguments.name,
        freeze=arguments.freeze,
        from_ms=parse_moment(arguments.from_),
        until_ms=parse_moment(arguments.until),
    )
    app.command(
        request,
        lambda w: environments.freeze(w, request.asker, fact),
        reason=arguments.reason,
    )
    return {"environment": arguments.name, "freeze": arguments.freeze}


@operation("freeze lift", "DELETE", "/environments/{name}/freezes/{freeze}", LiftArguments)
def lift_freeze(app: App, request: Request, arguments: LiftArguments) -> Plain:
    """End a freeze early."""
    app.command(
        request,
        lambda w: environments.lift(w, request.asker, arguments.name, arguments.freeze),
        reason=arguments.reason,
    )
    return {"environment": arguments.name, "lifted": arguments.freeze}


@operation("freeze list", "GET", "/environments/{name}/freezes", AtNameArguments)
def list_freezes(app: App, request: Request, arguments: AtNameArguments) -> Plain:
    """Freezes declared for an environment, and whether each holds at that moment."""
    then = AsOf(app, arguments.at)
    state = then.environment(arguments.name)
    if state is None:
        return {"name": arguments.name, "exists": False, "freezes": []}
    rules = then.definition().governance.policy(state.name, state.source)
    windows = [(name, z.from_ms, z.until_ms) for name, z in sorted(state.freezes.items())]
    windows += [(f"declared: {why}", start, end) for start, end, why in rules.freezes]
    return {
        "name": arguments.name,
        "freezes": [
            {
                "freeze": name,
                "from": shown(start),
                "until": shown(end),
                "holds": start <= then.at_ms < end,
            }
            for name, start, end in windows
        ],
    }


@operation("secret set", "PUT", "/environments/{name}/secrets/{secret}", SecretArguments)
def set_secret(app: App, request: Request, arguments: SecretArguments) -> Plain:
    """Give a secret a new version; the value is encrypted at once and never shown again."""
    app.ready()
    app.check(request, lambda w: policy.require(w, request.asker, "secret.set"))
    app.read(lambda w: environments.find(w, arguments.name))
    try:
        value = SecretText(base64.b64decode(arguments.value, validate=True).decode())
    except ValueError:
        raise Refused(
            "secret.value.input",
            f"secret {arguments.secret[:60]}",
            expected="text in base64",
            found="something else",
            remedy="use: surefoot secret set",
        ) from None
    app.secrets_prepare(arguments.name)
    version = _set_secret(app, request, arguments.name, arguments.secret, value)
    return {"environment": arguments.name, "name": arguments.secret, "version": version}


def _set_secret(app: App, request: Request, environment: str, name: str, value: SecretText) -> int:
    version = app.secrets.set(environment, name, value)
    fingerprint = app.secrets.newest(environment)[name].fingerprint
    fact = f.SecretSet(environment=environment, name=name, version=version, fingerprint=fingerprint)

    def rule(world: World) -> list[f.Fact]:
        policy.require(world, request.asker, "secret.set")
        return [fact]

    app.command(request, rule)
    return version


@operation("secret list", "GET", "/environments/{name}/secrets", AtNameArguments)
def list_secrets(app: App, request: Request, arguments: AtNameArguments) -> Plain:
    """Names and versions of an environment's secrets, and where a value is shared."""
    then = AsOf(app, arguments.at)
    state = then.environment(arguments.name)
    if state is None:
        return {"name": arguments.name, "exists": False, "secrets": []}
    elsewhere = {
        mark: f"{e.name}/{secret}"
        for e in then.environments()
        if e.name != arguments.name
        for secret, mark in e.secret_fingerprints.items()
    }
    prints = state.secret_fingerprints
    return {
        "secrets": [
            {"name": name, "version": version, "same_as": elsewhere.get(prints.get(name, ""), "")}
            for name, version in sorted(state.secrets.items())
        ]
    }


def note_read(app: App, environment: str, name: str, version: int) -> None:
    """Write down that the runner of an environment opened a secret."""
    fact = f.SecretRead(environment=environment, name=name, version=version)
    app.log.transact(lambda w: [draft(fact)], app.runner, f"secret {environment}/{name}")
