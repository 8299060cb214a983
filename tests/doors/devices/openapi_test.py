"""The description of the device door, and schemathesis that tries what it allows and forbids."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import schemathesis
from hypothesis import HealthCheck, given, settings
from schemathesis import GenerationMode
from schemathesis.checks import not_a_server_error

from surefoot.doors.devices import openapi
from surefoot.doors.devices.ddi import device_app
from surefoot.testing.device_door import DeviceHouse, DoorServer, token_of
from surefoot.testing.door_client import ENV, DoorClient

KEPT = Path(__file__).resolve().parents[3] / "docs" / "reference" / "device-openapi.json"


def test_every_route_is_described_and_nothing_else(tmp_path: Path) -> None:
    house = DeviceHouse(tmp_path)
    routes = {
        (route.path, method.lower())  # type: ignore[attr-defined]
        for route in device_app(house.desk()).routes
        for method in route.methods  # type: ignore[attr-defined]
        if method != "HEAD"
    }
    house.database.close()
    described = openapi.document()["paths"]
    assert routes == {(path, method) for path, methods in described.items() for method in methods}


def test_the_kept_description_is_this_one() -> None:
    assert KEPT.read_bytes() == openapi.document_bytes(), (
        f"write openapi.document_bytes() to {KEPT.name}"
    )


@pytest.fixture(scope="module")
def door(tmp_path_factory: pytest.TempPathFactory) -> Iterator[DoorClient]:
    house = DeviceHouse(tmp_path_factory.mktemp("house"))
    house.enrol(ENV, "dev1")
    with DoorServer(house.desk(), body_seconds_max=3.0) as server:
        yield DoorClient(house, server)
    house.database.close()


@pytest.fixture(scope="module")
def described(door: DoorClient) -> Any:
    """The description, for one device and its open action."""
    document = openapi.document()
    known = {"tenant": ENV, "device": "dev1", "file": door.firmware.file, "action": door.assign()}
    for methods in document["paths"].values():
        for operation in methods.values():
            for parameter in operation["parameters"]:
                name = parameter["name"]
                if name in ("tenant", "device"):
                    parameter["schema"] = {"enum": [known[name]]}
                elif name in known:
                    either = [{"enum": [known[name]]}, parameter["schema"]]
                    parameter["schema"] = {"anyOf": either}
    schema = schemathesis.openapi.from_dict(document)
    schema.config.update(base_url=door.url)
    return schema


OPERATIONS = [(p, m) for p, methods in openapi.document()["paths"].items() for m in methods]


@pytest.mark.parametrize("mode", GenerationMode, ids=lambda mode: str(mode.name))
@pytest.mark.parametrize(("path", "method"), OPERATIONS)
def test_schemathesis_finds_no_server_error(
    described: Any, path: str, method: str, mode: GenerationMode
) -> None:
    allowed = {int(status) for status in openapi.document()["paths"][path][method]["responses"]}
    if mode is GenerationMode.POSITIVE:
        allowed -= {401}
    else:  # a path that the case made up
        allowed |= {404, 405}
    token = f"TargetToken {token_of('dev1')}"

    @settings(
        max_examples=20,
        deadline=None,
        derandomize=True,
        database=None,
        suppress_health_check=list(HealthCheck),
    )
    @given(case=described[path][method].as_strategy(generation_mode=mode))
    def tried(case: Any) -> None:
        case.headers["Authorization"] = token
        answer = case.call()
        case.validate_response(answer, checks=[not_a_server_error])
        assert answer.status_code in allowed, answer.text

    tried()
