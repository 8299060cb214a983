"""Proofs about one device, made from real batches, and every manipulation of them refused."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from surefoot.testing.device_scene import DEVICES, VKEY, Scene
from surefoot.trust import canonical, device_proof, proof
from surefoot.trust.bundle import NotProved
from surefoot.trust.device_proof import DeviceProved


def verified(content: bytes, key: str = VKEY) -> DeviceProved:
    return device_proof.verify(content, lambda bundle: proof.verify(bundle, key))


@pytest.fixture
def scene(tmp_path: Path) -> Iterator[Scene]:
    made = Scene(tmp_path)
    yield made
    made.house.database.close()


@pytest.fixture
def told(scene: Scene) -> tuple[Scene, list[int]]:
    """All say 1.0.0; bee says 1.1.0; ant and dog do; cat does."""
    times = []
    for version, *devices in (
        ("1.0.0", *DEVICES),
        ("1.1.0", "bee"),
        ("1.1.0", "ant", "dog"),
        ("1.1.0", "cat"),
    ):
        scene.tell(version, *devices)
        times.append(scene.seal())
    scene.now += 60_000
    scene.log.heartbeat()
    return scene, times


def test_at_every_time_every_device_ran_what_its_newest_report_says(
    told: tuple[Scene, list[int]],
) -> None:
    scene, times = told
    changed = {"bee": 1, "ant": 2, "dog": 2, "cat": 3}
    for device in DEVICES:
        for at_place, at_ms in enumerate(times):
            for late in (0, 1, 59_000):
                found = verified(scene.prove(device, at_ms + late))
                new = at_place >= changed[device]
                assert found.report is not None and found.whole and found.sealed is not None
                assert found.report["runs"] == ("1.1.0" if new else "1.0.0")
                since = at_place - changed[device] if new else at_place
                assert (found.silent, found.batches, found.unproved) == (since, since + 1, 0)
                assert found.at_ms == at_ms + late


def test_a_device_that_never_reported_is_shown_by_its_neighbours(
    told: tuple[Scene, list[int]],
) -> None:
    scene, times = told
    for device in ("aa", "bat", "cow", "zebra"):
        found = verified(scene.prove(device, times[-1]))
        assert found.report is None and found.whole
        assert (found.silent, found.batches) == (4, 4)


def test_before_the_first_batch_there_is_none(told: tuple[Scene, list[int]]) -> None:
    scene, times = told
    found = verified(scene.prove("ant", times[0] - 1))
    assert (found.report, found.batches, found.whole) == (None, 0, True)


def test_what_is_too_long_is_shown_in_part_and_says_so(told: tuple[Scene, list[int]]) -> None:
    scene, times = told
    found = verified(scene.prove("bee", times[-1], batches_max=2))
    assert (found.report, found.whole, found.silent) == (None, False, 2)
    found = verified(scene.prove("bee", times[-1], batches_max=3))
    assert found.report is not None and found.whole


def test_batches_without_a_second_root_stay_readable_and_are_named_unproved(scene: Scene) -> None:
    scene.tell("1.0.0", *DEVICES)
    scene.seal(by_device="")
    scene.tell("1.1.0", "dog")
    scene.seal(by_device="")
    scene.tell("1.1.0", "ant")
    at_ms = scene.seal()
    found = verified(scene.prove("bee", at_ms))
    assert found.report is not None and found.report["runs"] == "1.0.0"
    assert (found.whole, found.silent, found.unproved) == (False, 1, 2)


def test_a_lone_report_is_first_and_last(scene: Scene) -> None:
    scene.tell("1.0.0", "bee")
    at_ms = scene.seal()
    for device, there in (("ant", False), ("bee", True), ("cat", False)):
        found = verified(scene.prove(device, at_ms))
        assert ((found.report is not None), found.whole) == (there, True)


def swap_report(plain: Any, other: Any) -> None:
    plain["report"] = other["report"]


def edit_report(plain: Any, other: Any) -> None:
    plain["report"]["raw"] = plain["report"]["raw"].replace("1.0.0", "9.9.9")


def rename(plain: Any, other: Any) -> None:
    plain["device"] = "dog"


def drop_last(plain: Any, other: Any) -> None:
    plain["batches"].pop()


def drop_middle(plain: Any, other: Any) -> None:
    del plain["batches"][1]


def edit_batch(plain: Any, other: Any) -> None:
    plain["batches"][1]["raw"] = plain["batches"][1]["raw"].replace('"count":1', '"count":2')


def wide_gap(plain: Any, other: Any) -> None:
    """Neighbours that are not next to each other hide what is between."""
    near = plain["batches"][0]["near"]
    near["index"] += 1


def one_neighbour(plain: Any, other: Any) -> None:
    near = plain["batches"][2]["near"]
    near["reports"], near["paths"] = near["reports"][:1], near["paths"][:1]


def no_neighbours(plain: Any, other: Any) -> None:
    plain["batches"][2]["near"]["reports"] = []
    plain["batches"][2]["near"]["paths"] = []


def bundle_of_another_time(plain: Any, other: Any) -> None:
    plain["bundle"] = other["bundle"]


def another_environment(plain: Any, other: Any) -> None:
    plain["environment"] = "staging"


@pytest.mark.parametrize(
    "change",
    [
        swap_report,
        edit_report,
        rename,
        drop_last,
        drop_middle,
        edit_batch,
        wide_gap,
        one_neighbour,
        no_neighbours,
        bundle_of_another_time,
        another_environment,
    ],
    ids=lambda change: change.__name__,
)
def test_a_manipulated_proof_is_refused(
    told: tuple[Scene, list[int]], change: Callable[[Any, Any], None]
) -> None:
    scene, times = told
    plain = json.loads(scene.prove("cat", times[2]))
    change(plain, json.loads(scene.prove("bee", times[1])))
    with pytest.raises(NotProved):
        verified(canonical.encode(plain))


def test_an_older_report_cannot_be_passed_off_as_the_newest(told: tuple[Scene, list[int]]) -> None:
    scene, times = told
    old, new = (json.loads(scene.prove("bee", times[n])) for n in (0, 1))
    old["batches"] += new["batches"]
    old["bundle"] = new["bundle"]
    with pytest.raises(NotProved) as refused:
        verified(canonical.encode(old))
    assert refused.value.code == "proof.device.report"
    # Without its neighbours the newer batch says nothing: that is told, not hidden.
    del old["batches"][1]["near"]
    assert not verified(canonical.encode(old)).whole


def test_a_batch_left_out_at_the_beginning_is_told(told: tuple[Scene, list[int]]) -> None:
    scene, times = told
    plain = json.loads(scene.prove("bee", times[3]))
    del plain["report"]
    plain["batches"] = plain["batches"][1:]
    found = verified(canonical.encode(plain))
    assert (found.report, found.whole) == (None, False)


def test_another_key_proves_nothing(told: tuple[Scene, list[int]]) -> None:
    scene, times = told
    content = scene.prove("ant", times[-1])
    with pytest.raises(NotProved):
        verified(content, VKEY[:-4] + "AAA=")


@pytest.mark.parametrize(
    "content", [b"", b"{}", b"[]", b"\xff", b'{"format":"surefoot-device-proof/1"}']
)
def test_bytes_that_are_no_proof_are_refused(content: bytes) -> None:
    with pytest.raises(NotProved):
        verified(content)
