"""The adversary at work: the package and the single file reject every manipulation of a proof.

Both verifiers must also agree on whatever else is done to a bundle. The page with the table is the
one made here.
"""

from __future__ import annotations

import importlib.util
import json
import subprocess
import sys
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from types import ModuleType
from typing import Any

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from surefoot.doors.cli.journal import key_of
from surefoot.journal.tiles import export
from surefoot.journal.verify import verify_export
from surefoot.testing.manipulations import Case
from surefoot.testing.manipulations_page import CASES, found_by_proof, page
from surefoot.testing.proof_scene import ANN, BOB, CID, RELEASES, VKEY, Scene, moment
from surefoot.testing.root_scene import (
    FIRST,
    NOW_MS,
    SECOND,
    W1,
    W2,
    W3,
    RootScene,
    lines,
    sealed,
    stolen,
)
from surefoot.trust import canonical
from surefoot.trust.cosignature import with_lines
from surefoot.trust.digest import digest_of
from surefoot.trust.entry import text_of_time
from surefoot.trust.proof import NotProved, Proved, verify
from surefoot.trust.root import BadRoot, follow_all, read_root

ROOT = Path(__file__).resolve().parents[2]
FILE = ROOT / "tools" / "surefoot_verify.py"
FILE_1 = FILE.with_name("surefoot_verify_1.py")
REPLAY_FILE = FILE.with_name("surefoot_replay.py")
PAGE = ROOT / "docs" / "explanation" / "manipulations.md"


@pytest.fixture(scope="module")
def scene(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Scene]:
    """The journals and honest bundles."""
    made = RootScene(tmp_path_factory.mktemp("scene"))
    yield made
    made.close()


def loaded(name: str) -> ModuleType:
    """A program of `tools` as a module, for the many cases of a property."""
    spec = importlib.util.spec_from_file_location(name, FILE.with_name(f"{name}.py"))
    assert spec is not None and spec.loader is not None
    module = sys.modules[name] = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


SINGLE = loaded("surefoot_verify")
FORMAT_1 = loaded("surefoot_verify_1")
REPLAY = loaded("surefoot_replay")


def run_file(*words: str, file: Path = FILE) -> subprocess.CompletedProcess[str]:
    """The single file as its own process, isolated: no environment, no user's packages."""
    return subprocess.run(
        [sys.executable, "-I" if file == FILE else "-Es", str(file), *words],
        capture_output=True,
        text=True,
        env={"PATH": "/usr/bin:/bin"},
        cwd="/",
        check=False,
    )


def file_of(content: bytes) -> Path:
    """Which program reads a bundle."""
    return FILE_1 if b'"format":"surefoot-proof/1"' in content else FILE


def by_package(content: bytes, roots: Sequence[bytes] = ()) -> dict[str, Any] | None:
    try:
        trust = follow_all(read_root(roots[0]), roots[1:]) if roots else VKEY
        return record(verify(content, trust, NOW_MS))
    except (NotProved, BadRoot):
        return None


def by_file(content: bytes, roots: Sequence[bytes] = ()) -> dict[str, Any] | None:
    try:
        trust: Any = VKEY
        for number, root in enumerate(roots):
            newer = SINGLE.Root(root)
            trust = trust.follow(newer) if number else newer
        look = SINGLE.verify_bundle if file_of(content) == FILE else FORMAT_1.verify_whole
        shown: dict[str, Any] = look(content, trust, NOW_MS // 1000)
    except SINGLE.FAULTS:
        return None
    for backing in shown["backing"]:
        del backing["whole"]
    return shown


def record(proved: Proved) -> dict[str, Any]:
    """What the package says, in the words of the single file."""
    entry = proved.entry
    sides = {"before": proved.before, "after": proved.after}
    return {
        "stream": proved.stream,
        "from": text_of_time(proved.from_ms),
        "until": text_of_time(proved.until_ms),
        "release": proved.release,
        "exists": entry is not None,
        "entry": entry.index if entry else -1,
        "since": text_of_time(entry.time_ms) if entry else "",
        "actor": entry.actor.id if entry else "",
        "state": entry.state if entry else "",
        "content": canonical.encode(proved.state).decode() if proved.state is not None else "",
        **{name: text_of_time(edge.time_ms) if edge else "" for name, edge in sides.items()},
        "size": [edge.size for edge in sides.values() if edge],
        "backing": [
            {
                "log_key": edge.log_key,
                "witnessed_s": edge.witnessed_s,
                "witnesses": list(edge.witnesses),
                "auditors": list(edge.auditors),
                "anchored": edge.anchored,
            }
            for edge in sides.values()
            if edge
        ],
        "evidence": sum(len(shown.digests) for shown in proved.evidence),
        "changes": proved.changes,
        "key": proved.key,
        "pinned": proved.pinned,
        "root_version": proved.root_version,
    }


def test_honest_bundles_are_shown_by_both(scene: Scene) -> None:
    for name, content in scene.bundles.items():
        if name.endswith("stranger"):
            continue
        found = by_package(content)
        assert found is not None, name
        assert found == by_file(content), name


def test_what_the_honest_bundles_show(scene: Scene) -> None:
    shown = {n: by_package(c) for n, c in scene.bundles.items() if not n.endswith("stranger")}
    for name, found in shown.items():
        assert shown.get(f"short {name}", found) == found
    assert json.loads(shown["moved"]["content"])["release"] == RELEASES[0]
    assert shown["moved"]["changes"] == 4
    assert json.loads(shown["newest"]["content"])["release"] == RELEASES[2]
    assert shown["newest"]["until"] == "2026-11-17T10:30:00.000Z"
    assert shown["quiet"]["changes"] == 0
    assert not shown["absent"]["exists"] and not shown["not yet"]["exists"]
    assert shown["never"]["release"] == RELEASES[1]


def test_there_are_at_least_thirty_with_different_titles() -> None:
    assert len({case.title for case in CASES}) == len(CASES) >= 30


@pytest.mark.parametrize("case", CASES, ids=lambda case: case.title)
def test_every_manipulation_is_rejected_by_both(case: Case, scene: Scene) -> None:
    content = case.made(scene)
    assert case.roots is not None or content != scene.bundles[case.of]
    assert found_by_proof(case, scene)
    assert by_file(content, case.roots(scene) if case.roots else ()) is None


HONEST = [sealed(FIRST)]


@pytest.mark.parametrize("form", ["", "short "])
@pytest.mark.parametrize("name", ["witnessed", "witnessed newest", "witnessed never", "evidence"])
def test_both_say_the_same_of_who_stands_behind_an_honest_bundle(
    name: str, form: str, scene: Scene
) -> None:
    content = scene.bundles[form + name]
    for roots in (HONEST, [*HONEST, sealed(SECOND, ANN, BOB, CID)]):
        found = by_package(content, roots)
        assert found is not None and found == by_file(content, roots)
        assert found["root_version"] == len(roots)


def test_what_stands_behind_the_honest_bundles(scene: Scene) -> None:
    root = read_root(HONEST[0])
    proved = verify(scene.bundles["witnessed"], root, NOW_MS)
    assert proved.backed_by == "witnesses and auditor"
    assert proved.before is not None and proved.after is not None
    assert proved.before.witnessed_s * 1000 == moment("09:50:10")
    assert proved.after.witnesses == ("w1", "w2") and proved.after.anchored
    assert verify(scene.bundles["witnessed newest"], root, NOW_MS).backed_by == "witnesses"
    assert verify(scene.bundles["witnessed"], VKEY).backed_by == "log"
    people, approval = verify(scene.bundles["evidence"], root).evidence
    assert (people.signed_by, approval.signed_by, approval.enrolled) == ("", "bob", True)


def test_the_single_file_as_a_process_rejects_them_too(scene: Scene, tmp_path: Path) -> None:
    groups: dict[tuple[Path, tuple[str, ...]], list[str]] = {}
    for number, case in enumerate(CASES):
        pinned = ["--log-key", VKEY]
        for place, root in enumerate(case.roots(scene) if case.roots else ()):
            file = tmp_path / f"{digest_of(root)[7:]}.root"
            file.write_bytes(root)
            pinned = [*(pinned if place else []), "--root", str(file)]
        bundle = tmp_path / f"{number}.json"
        bundle.write_bytes(case.made(scene))
        groups.setdefault((file_of(bundle.read_bytes()), tuple(pinned)), []).append(str(bundle))
    for (file, words), names in groups.items():
        done = run_file(*names, *words, "--json", file=file)
        assert done.returncode == 5, done.stderr
        answers = [json.loads(line) for line in done.stdout.splitlines()]
        assert len(answers) == len(names)
        assert all(list(answer) == ["error"] for answer in answers)


def test_the_process_shows_honest_bundles_and_says_whose_key_it_was(
    scene: Scene, tmp_path: Path
) -> None:
    file = tmp_path / "bundle.json"
    file.write_bytes(scene.bundles["short quiet"])
    done = run_file(str(file), "--log-key", VKEY)
    assert (done.returncode, done.stderr) == (0, "")
    assert "the state of env/production at 2026-11-17T09:45:00.000Z was sha256:" in done.stdout
    assert "by a key you pinned" in done.stdout and "self-timestamped" in done.stdout
    unpinned = run_file(str(file))
    assert unpinned.returncode == 3
    assert "NOT PINNED" in unpinned.stdout
    file.write_bytes(scene.bundles["short stranger"])
    assert run_file(str(file), "--log-key", VKEY).returncode == 5
    root = tmp_path / "root.json"
    root.write_bytes(HONEST[0])
    file.write_bytes(scene.bundles["short witnessed"])
    witnessed = run_file(str(file), "--root", str(root))
    assert (witnessed.returncode, witnessed.stderr) == (0, "")
    assert "between witnesses: 2026-11-17T09:50:10.000Z" in witnessed.stdout
    assert "audited" in witnessed.stdout


def places(value: Any, path: tuple[Any, ...] = ()) -> Iterator[tuple[Any, ...]]:
    """Paths of everything inside a JSON value."""
    if path:
        yield path
    if isinstance(value, dict | list):
        members = value.items() if isinstance(value, dict) else enumerate(value)
        for name, member in members:
            yield from places(member, (*path, name))


def changed(value: Any, draw: Callable[[st.SearchStrategy[Any]], Any]) -> Any:
    """Something else in the place of a value, near it or far from it."""
    if isinstance(value, str) and value and draw(st.booleans()):
        at = draw(st.integers(0, len(value) - 1))
        new = draw(st.sampled_from(["", "0", "a", "A", " ", "\n", "=", "\u0301", "\uff10", '"']))
        return value[:at] + new + value[at + draw(st.integers(0, 2)) :]
    if isinstance(value, int) and draw(st.booleans()):
        return value + draw(st.sampled_from([-1, 1, 2**31]))
    return draw(st.sampled_from([0, 1, -1, True, "", [], {}, "sha256:" + "0" * 64, 2**53]))


@settings(max_examples=400, deadline=None)
@given(data=st.data())
def test_both_agree_on_whatever_is_done_to_a_bundle(scene: Scene, data: st.DataObject) -> None:
    names = sorted(scene.bundles)
    bundle = json.loads(scene.bundles[data.draw(st.sampled_from(names))])
    for _ in range(data.draw(st.integers(1, 2))):
        path = data.draw(st.sampled_from(sorted(places(bundle), key=str)))
        inside = bundle
        for step in path[:-1]:
            inside = inside[step]
        act = data.draw(st.sampled_from(["change", "drop", "graft"]))
        if act == "drop":
            del inside[path[-1]]
        elif act == "graft":
            strange = json.loads(scene.bundles[data.draw(st.sampled_from(names))])
            source = data.draw(st.sampled_from(sorted(places(strange), key=str)))
            for step in source:
                strange = strange[step]
            inside[path[-1]] = strange
        else:
            inside[path[-1]] = changed(inside[path[-1]], data.draw)
    content = json.dumps(bundle, sort_keys=True, separators=(",", ":"), ensure_ascii=False).encode()
    roots = data.draw(st.sampled_from([(), HONEST]))
    assert by_package(content, roots) == by_file(content, roots)


@settings(max_examples=200, deadline=None)
@given(data=st.data())
def test_both_agree_on_changed_bytes(scene: Scene, data: st.DataObject) -> None:
    content = bytearray(scene.bundles[data.draw(st.sampled_from(sorted(scene.bundles)))])
    at = data.draw(st.integers(0, len(content) - 1))
    content[at : at + data.draw(st.integers(0, 3))] = data.draw(st.binary(max_size=3))
    assert by_package(bytes(content)) == by_file(bytes(content))


def exported(scene: Scene, folder: Path) -> Path:
    export(scene.true.database, VKEY, folder)
    return folder


def bundle_of(folder: Path) -> Path:
    return next(path for path in (folder / "tile" / "entries").rglob("*") if path.is_file())


def edit_leaf(scene: Scene, folder: Path) -> None:
    file = bundle_of(folder)
    file.write_bytes(file.read_bytes().replace(b'"drift":1', b'"drift":7'))


def swap_leaves(scene: Scene, folder: Path) -> None:
    file = bundle_of(folder)
    leaves = REPLAY.leaves_of(folder, scene.true.log.size())
    leaves[1], leaves[2] = leaves[2], leaves[1]
    file.write_bytes(b"".join(len(leaf).to_bytes(2, "big") + leaf for leaf in leaves))


def cut_leaves(scene: Scene, folder: Path) -> None:
    file = bundle_of(folder)
    file.write_bytes(file.read_bytes()[:-40])


def edit_blob(scene: Scene, folder: Path) -> None:
    file = sorted(path for path in (folder / "states").rglob("*") if path.is_file())[0]
    file.write_bytes(file.read_bytes().replace(b"}", b" }"))


def drop_blob(scene: Scene, folder: Path) -> None:
    sorted(path for path in (folder / "states").rglob("*") if path.is_file())[0].unlink()


def forked_checkpoint(scene: Scene, folder: Path) -> None:
    (folder / "checkpoint").write_text(scene.forked.log.checkpoint())


def strange_checkpoint(scene: Scene, folder: Path) -> None:
    (folder / "checkpoint").write_text(scene.other.log.checkpoint())


def no_checkpoint(scene: Scene, folder: Path) -> None:
    (folder / "checkpoint").unlink()


EXPORTS = (
    edit_leaf,
    swap_leaves,
    cut_leaves,
    edit_blob,
    drop_blob,
    forked_checkpoint,
    strange_checkpoint,
    no_checkpoint,
)


def test_both_verify_an_honest_export(scene: Scene, tmp_path: Path) -> None:
    folder = exported(scene, tmp_path / "export")
    report = verify_export(folder, VKEY)
    done = run_file(
        str(folder), "--log-key", VKEY, "--json", file=FILE.with_name("surefoot_replay.py")
    )
    assert report.ok and done.returncode == 0, done.stdout
    shown = json.loads(done.stdout)
    assert (shown["size"], shown["root"]) == (report.size, report.root)
    assert (shown["streams"], shown["states"]) == (report.streams, report.states)


SECOND_MS = moment("10:00:40")


@pytest.mark.parametrize(
    ("from_ms", "until_ms", "now_ms", "shown"),
    [
        (SECOND_MS, 0, NOW_MS, True),
        (SECOND_MS + 999, 0, NOW_MS, True),  # a cosignature says whole seconds
        (SECOND_MS + 1000, 0, NOW_MS, False),
        (0, SECOND_MS, NOW_MS, True),
        (0, SECOND_MS - 1, NOW_MS, False),
        (SECOND_MS, SECOND_MS, NOW_MS, True),
        (0, 1, NOW_MS, False),
        (0, 0, SECOND_MS - 300_000, True),
        (0, 0, SECOND_MS - 301_000, False),
    ],
)
def test_both_hold_a_witness_to_the_edges_of_its_time(
    scene: RootScene, from_ms: int, until_ms: int, now_ms: int, shown: bool
) -> None:
    """The second witness signed the later tree at 10:00:40, and is needed for the quorum there."""
    bundle = json.loads(scene.bundles["short moved"])
    early = [lines(bundle["before"]["checkpoint"], "09:50:10", [W1, W3])]
    late = [
        lines(bundle["after"]["checkpoint"], "10:00:20", [W1]),
        lines(bundle["after"]["checkpoint"], "10:00:40", [W2]),
    ]
    for side, added in (("before", early), ("after", late)):
        for each in added:
            bundle[side]["checkpoint"] = with_lines(bundle[side]["checkpoint"], each)
    held = tuple(
        msgspec.structs.replace(w, from_ms=from_ms, until_ms=until_ms) if w.name == "w2" else w
        for w in FIRST.witnesses
    )
    root = msgspec.structs.replace(FIRST, witnesses=held)
    content = canonical.encode(bundle)
    found = []
    for look in (
        lambda: verify(content, root, now_ms),
        lambda: SINGLE.verify_bundle(content, SINGLE.Root(sealed(root)), now_ms // 1000),
    ):
        try:
            look()
            found.append(True)
        except (NotProved, *SINGLE.FAULTS):
            found.append(False)
    assert found == [shown, shown]


def test_the_pins_of_the_files_are_read_alike(scene: RootScene, tmp_path: Path) -> None:
    folder, key, empty = exported(scene, tmp_path / "export"), tmp_path / "key", tmp_path / "empty"
    key.write_text(f"\n{VKEY}\na comment\n")
    empty.write_text("\n")
    root, bundle = tmp_path / "root.json", tmp_path / "bundle.json"
    root.write_bytes(sealed(FIRST))
    bundle.write_bytes(scene.bundles["short witnessed"])
    for words, status in (
        (["--log-key", str(key)], 0),
        (["--log-key", VKEY], 0),
        (["--root", str(root)], 0),
        (["--root", str(root), "--root", str(root)], 5),
        (["--log-key", str(empty)], 5),
        (["--log-key", ""], 5),
        (["--log-key", "absent.vkey"], 5),
        (["--root", str(bundle)], 5),
        (["--root", str(root), "--log-key", VKEY], 2),
    ):
        assert run_file(str(bundle), *words).returncode == status, words
        assert run_file(str(folder), *words, file=REPLAY_FILE).returncode == status, words
    assert key_of(str(key)) == VKEY and key_of(str(empty)) == ""


def test_a_whole_export_is_held_to_the_roots_keys(scene: RootScene, tmp_path: Path) -> None:
    folder = exported(scene, tmp_path / "export")
    bundle = json.loads(scene.bundles["witnessed"])
    early = msgspec.structs.replace(
        FIRST, logs=(msgspec.structs.replace(FIRST.logs[0], from_ms=NOW_MS),)
    )
    other = msgspec.structs.replace(stolen(bundle).logs[0], last_root="0" * 64)
    forked = msgspec.structs.replace(FIRST, logs=(other, *stolen(bundle).logs[1:]))
    for root, ok in ((FIRST, True), (early, False), (stolen(bundle), False), (forked, False)):
        assert verify_export(folder, root).ok == ok
        try:
            shown = REPLAY.verify_export(folder, SINGLE.Root(sealed(root)))
        except SINGLE.NotShown:
            assert not ok
        else:
            assert ok and shown["key"] == VKEY


@pytest.mark.parametrize("manipulate", EXPORTS, ids=lambda f: f.__name__)
def test_both_reject_a_changed_export(
    manipulate: Callable[[Scene, Path], None], scene: Scene, tmp_path: Path
) -> None:
    folder = exported(scene, tmp_path / "export")
    manipulate(scene, folder)
    assert not verify_export(folder, VKEY).ok
    with pytest.raises(SINGLE.NotShown):
        REPLAY.verify_export(folder, VKEY)


def test_the_page_is_the_one_made_here(scene: Scene) -> None:
    kept = PAGE.read_text(encoding="utf-8")
    assert kept == page(scene), f"renew: python -m surefoot.testing.manipulations_page {PAGE}"


def test_the_single_file_stands_alone_and_is_short() -> None:
    text = FILE.read_text(encoding="utf-8")
    assert len(text.splitlines()) < 600
    imported = {line.split()[1].partition(".")[0] for line in text.splitlines() if _imports(line)}
    assert imported - {"cryptography"} <= sys.stdlib_module_names


def _imports(line: str) -> bool:
    return line.startswith(("import ", "from "))
