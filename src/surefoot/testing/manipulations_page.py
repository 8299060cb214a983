"""The page that shows every manipulation with what found it, made by carrying each of them out.

Run as a program it writes the page: `python -m surefoot.testing.manipulations_page FILE`.
Does not: hold any result; a test compares the kept page with what is made.
"""

from __future__ import annotations

import sys
import tempfile
from pathlib import Path

from surefoot.testing.manipulations import Case
from surefoot.testing.manipulations_more import CASES as _MORE
from surefoot.testing.manipulations_root import CASES
from surefoot.testing.manipulations_short_more import CASES as _SHORT
from surefoot.testing.naive_chain import chained, holds
from surefoot.testing.proof_scene import VKEY, Scene
from surefoot.testing.root_scene import NOW_MS, RootScene
from surefoot.trust.backing import Trust
from surefoot.trust.proof import NotProved, verify
from surefoot.trust.root import BadRoot, follow_all, read_root

_HEAD = """# What an adversary can do to a proof, and what finds it

Somebody has the database, a [proof bundle](../formats/proof.md) and other honest bundles, but not
the log's key; in the cases of a fork or a restored backup the log itself signed two histories, and
in those of a stolen key somebody else did. In the cases with a root or with witnesses, the verifier
has pinned a [root.json](../formats/root.md) that asks for two of three witnesses; in the others it
has the log's key alone. Each row is one thing done, to a bundle in the first format, which says
everything at its place, or in the one written now, the short form. It is carried out in
`tests/journal/manipulation_test.py`; the package and the single file `tools/surefoot_verify.py`
(for the first format `surefoot_verify_1.py`) both reject every one of them. This page is made from
those cases.

The last column is the same act on a naive hash chain, the audit table in which each row holds the
hash of the row before. Links need no key: where it helps the adversary, they are computed again.
*Missed* means that its verifier is content. *Nothing to check* means that such a table has no such
thing: no signature, no tree, no proof of absence, no witness, no time but its own.
"""
_TAIL = """
What no bundle shows, unless an auditor has cosigned it: that the log's owner put the right heads
into the map. Verifying a whole export, which reads every entry, shows it:
`surefoot journal verify --full DIR`, or `tools/surefoot_replay.py DIR`. Without witnesses the
log is self-timestamped: nothing shows that the server's clock was right.
"""


def found_by_proof(case: Case, scene: Scene) -> str:
    """The code with which the package's verifier rejects the bundle; empty when it does not."""
    try:
        verify(case.made(scene), trust_of(case, scene), NOW_MS)
    except NotProved as error:
        return error.code
    except BadRoot:
        return "root refused"
    return ""


def trust_of(case: Case, scene: Scene) -> Trust:
    """What the verifier has pinned. Raises `BadRoot`."""
    if case.roots is None:
        return VKEY
    first, *newer = case.roots(scene)
    return follow_all(read_root(first), newer)


def found_by_chain(case: Case, scene: Scene) -> str:
    """What the naive chain's verifier says of the same act."""
    if case.naive is None:
        return "nothing to check"
    honest = chained(scene.true.entries("env/production"))
    changed = case.naive(honest)
    assert changed != honest
    return "**missed**" if holds(changed) else "found"


def page(scene: Scene) -> str:
    """The whole page."""
    assert CASES is _MORE is _SHORT
    rows = [
        f"| {number} | {case.title} | `{found_by_proof(case, scene)}` "
        f"| {found_by_chain(case, scene)} |"
        for number, case in enumerate(CASES, 1)
    ]
    missed = sum("missed" in row for row in rows)
    blind = sum("nothing to check" in row for row in rows)
    count = (
        f"\n{len(rows)} manipulations: the proof rejects {len(rows)}; the naive chain finds "
        f"{len(rows) - missed - blind}, misses {missed}, and has nothing to check in {blind}.\n\n"
        "| | manipulation | the proof | naive chain |\n|--:|---|---|---|\n"
    )
    return _HEAD + count + "\n".join(rows) + "\n" + _TAIL


def main() -> int:
    """Write the page to the named file."""
    with tempfile.TemporaryDirectory() as folder:
        scene = RootScene(Path(folder))
        Path(sys.argv[1]).write_text(page(scene), encoding="utf-8")
        scene.close()
    return 0


if __name__ == "__main__":
    sys.exit(main())
