"""Tags through the operation: a fact before the rows, bounded, told at its time."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Any

import pytest
from house import MOODY, AppHouse

from surefoot.app import device_tags
from surefoot.app.moment import shown
from surefoot.core.errors import Refused
from surefoot.store.device_tags import DeviceTags

House = Callable[[str], AppHouse]


@pytest.fixture
def home(house: House) -> AppHouse:
    home = house(MOODY)
    home.set_up()
    devices = [{"id": each, "token": each} for each in ("one", "two", "three")]
    home.call("device enrol", "ann", name="dev", devices=devices)
    return home


def tag(home: AppHouse, person: str = "ann", **words: Any) -> Any:
    return home.call("device tag", person, name="dev", **words)


def tags(home: AppHouse, **words: Any) -> dict[str, Any]:
    listed = home.call("device list", "ann", name="dev", **words)["devices"]
    assert isinstance(listed, list)
    return {row["device"]: list(row["tags"]) for row in listed}


def code_of(ask: Callable[[], object]) -> str:
    with pytest.raises(Refused) as caught:
        ask()
    return caught.value.code


def test_devices_are_tagged_by_name_and_by_query(home: AppHouse) -> None:
    told = tag(home, devices=["one", "two", "one"], add=["lab", "a"])
    assert told == {"environment": "dev", "devices": 2}
    before = shown(home.clock.now_ms())
    time.sleep(0.005)
    tag(home, query="tag==lab and name!=one", add=["pilot"], remove=["a"])
    assert tags(home) == {"one": ["a", "lab"], "two": ["lab", "pilot"], "three": []}
    assert tags(home, at=before) == {"one": ["a", "lab"], "two": ["a", "lab"], "three": []}
    one = home.call("device show", "ann", name="dev", id="two", at=before)["device"]
    assert one["tags"] == ["a", "lab"]
    facts = [(f["count"], f["add"], f.get("remove", [])) for f in home.facts("DeviceTagsChanged")]
    assert facts == [(2, ["a", "lab"], []), (1, ["pilot"], ["a"])]
    assert tag(home, query="tag==nothing", add=["b"])["devices"] == 0
    assert len(home.facts("DeviceTagsChanged")) == 2


def test_after_a_crash_between_fact_and_rows_a_repeat_does_the_rest(
    home: AppHouse, monkeypatch: pytest.MonkeyPatch
) -> None:
    def crash(*_: object) -> None:
        raise OSError("gone")

    with monkeypatch.context() as patch:
        patch.setattr(DeviceTags, "change", crash)
        with pytest.raises(OSError, match="gone"):
            tag(home, devices=["one"], add=["lab"])
    assert len(home.facts("DeviceTagsChanged")) == 1 and tags(home)["one"] == []
    tag(home, devices=["one"], add=["lab"])
    assert tags(home)["one"] == ["lab"]


def test_what_is_refused_changes_nothing(home: AppHouse, monkeypatch: pytest.MonkeyPatch) -> None:
    tag(home, devices=["one"], add=[f"t{n}" for n in range(20)])
    held = tags(home)
    home.enrol("eve")
    monkeypatch.setattr(device_tags.tags, "DEVICES_MAX", 2)
    refused: list[tuple[str, dict[str, Any]]] = [
        ("device.tag.input", {"devices": ["one"]}),
        ("device.tag.input", {"devices": ["one"], "add": ["Lab"]}),
        ("device.tag.input", {"devices": ["two", "one"], "add": ["more"]}),
        ("device.tag.input", {"add": ["lab"]}),
        ("device.tag.input", {"devices": ["one"], "query": "name==*", "add": ["lab"]}),
        ("device.tag.input", {"query": "name==*", "add": ["lab"]}),
        ("device.query.input", {"query": "name==", "add": ["lab"]}),
        ("device.name.unknown", {"devices": ["two", "nobody"], "add": ["lab"]}),
        ("policy.permission.missing", {"person": "eve", "devices": ["two"], "add": ["lab"]}),
    ]
    found = [code_of(lambda words=words: tag(home, **words)) for _, words in refused]  # type: ignore[misc]
    assert found == [code for code, _ in refused]
    assert tags(home) == held and len(home.facts("DeviceTagsChanged")) == 1
    tag(home, devices=["one"], add=["more"], remove=["t0"])
    assert "more" in tags(home)["one"]
