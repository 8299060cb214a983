"""Operations on root.json, the file that trust in this installation starts at."""

from __future__ import annotations

from surefoot.app.as_of import AsOf
from surefoot.app.facade import App
from surefoot.app.moment import shown
from surefoot.app.operation import Arguments, Request, operation
from surefoot.app.people import AtArguments
from surefoot.core import facts as f
from surefoot.core import policy, trust_root
from surefoot.core.errors import Refused
from surefoot.core.target import Plain
from surefoot.core.world import World
from surefoot.trust.digest import Digest
from surefoot.trust.root import BYTES_MAX, read_root


class RootArguments(Arguments, frozen=True, kw_only=True):
    root: str


@operation("root get", "GET", "/root", AtArguments, public=True)
def get(app: App, request: Request, arguments: AtArguments) -> Plain:
    """The newest root.json, now or then: whose signatures count; compare it with yours."""
    then = AsOf(app, arguments.at)
    state = then.root()
    if not state.digest and not then.now:
        return {"exists": False, "at": shown(then.at_ms)}
    if not state.digest:
        raise Refused(
            "root.unknown",
            "root file",
            expected="one that the founders signed",
            found="none yet",
            remedy="make one: surefoot root draft",
        )
    content = app.blobs.get(Digest(state.digest))
    return {"version": state.version, "digest": state.digest, "root": content.decode()}


@operation("root accept", "POST", "/root", RootArguments)
def accept(app: App, request: Request, arguments: RootArguments) -> Plain:
    """Publish the next root.json, once enough founders signed it."""
    content = arguments.root.encode()
    if len(content) > 2 * BYTES_MAX:
        raise Refused(
            "root.file.input", "root file", expected=f"at most {2 * BYTES_MAX} bytes", found="more"
        )
    before = newest(app)

    def rule(world: World) -> list[f.Fact]:
        policy.require(world, request.asker, "root.accept")
        return trust_root.publish(world, content, before, app.log_key)

    app.check(request, rule)
    digest = app.blobs.put(content)
    root = read_root(content)
    # The file first: a crash here leaves one that the journal does not name, and nobody reads.
    app.keep_root(root.version, content)
    app.command(request, rule, (digest,))
    return {"version": root.version, "digest": digest, "signers": [*sorted(root.signers)]}


def newest(app: App) -> bytes | None:
    """The newest root.json as it was signed, None before the first."""
    digest = app.read(lambda w: w.root.digest)
    return app.blobs.get(Digest(digest)) if digest else None
