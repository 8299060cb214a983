"""A deployment with a load gate: the environment's own service is asked, and the report is kept."""

import http.cookiejar
import shutil
import urllib.request
from collections.abc import Callable, Iterator
from pathlib import Path
from urllib.parse import urljoin

import pytest

from surefoot.gates.load.report import decode
from surefoot.testing.control_plane import ControlPlane, wait_for

EXAMPLE = Path(__file__).resolve().parents[2] / "examples/thermostat"
LOAD = """  deploy: [smoke, load]
  load:
    - name: browse
      rate: 30
      seconds: 2
      steps: [{path: /health}, {path: "/v1/setpoint/{device}", weight: 2, status: 200}]
"""


@pytest.fixture
def stage(tmp_path: Path) -> Iterator[ControlPlane]:
    """The example product with a load scenario, installed and released."""
    product = tmp_path / "example"
    ignored = shutil.ignore_patterns("__pycache__", "releases", "check", "device")
    shutil.copytree(EXAMPLE, product, ignore=ignored)
    definition = product / "surefoot.yaml"
    head, _, rest = definition.read_text().partition("  deploy: [smoke] ")
    definition.write_text(head + LOAD + rest.partition("\n")[2])
    made = ControlPlane(tmp_path, product)
    try:
        made.install()
        made.ask("olga", "release", "create", "1.0.0")
        yield made
    finally:
        made.close()


def test_the_report_of_a_deployment_is_kept_and_names_its_service(stage: ControlPlane) -> None:
    number = int(stage.ask("olga", "deployment", "request", "dev", "1.0.0")["deployment"])

    def ended() -> dict[str, object] | None:
        shown = stage.ask("olga", "deployment", "show", str(number))
        return shown if shown["ended_at"] else None

    shown = wait_for("the deployment", ended, 300)
    (step,) = [step for step in shown["steps"] if step["id"].endswith("-load")]
    # On a machine without a processor to spare the generator is late, and says so.
    late = "load: inconclusive, browse: the generator"
    assert step["cause"].startswith(("load: pass", late)), step
    kept = [file.read_bytes() for file in (stage.data / "blobs").rglob("*") if file.is_file()]
    (content,) = [content for content in kept if content.endswith(b'"surefoot_load":1}')]
    report = decode(content)
    (run,) = report.scenarios[0].runs
    assert report.environment == "dev"
    assert run.endpoint.startswith("127.0.0.1:")
    assert {one.label for one in run.endpoints} == {"GET /health", "GET /v1/setpoint/{device}"}
    assert run.good + run.bad == run.health.due > 0
    pages = [content for content in kept if content.startswith(b"<!doctype html>")]
    assert len(pages) == 1 and b"<svg" in pages[0]

    found = stage.ask("olga", "deployment", "evidence", str(number), step["id"])
    assert found["gate"] == "load" and found["reports"] == ["json", "page"]
    assert step["cause"] == f"load: {found['verdict']}, {found['reason']}"
    named = (str(number), step["id"])
    assert stage.ask("olga", "deployment", "report", *named, "page")["content"] == pages[0].decode()
    assert (
        decode(stage.ask("olga", "deployment", "report", *named, "json")["content"].encode())
        == report
    )
    smoke = next(one["id"] for one in shown["steps"] if one["id"].endswith("-smoke"))
    refused = stage.start("olga", "deployment", "report", str(number), smoke, "page")
    assert refused.returncode == 3 and "evidence.unknown" in refused.stderr
    read = signed_in(str(stage.ask("olga", "login")["link"]))
    shown_page = read(f"/deployments/{number}/gates/{step['id']}").decode()
    assert "Gate load" in shown_page and "The report with its plots" in shown_page
    assert read(f"/deployments/{number}/gates/{step['id']}/report") == pages[0]


def signed_in(link: str) -> Callable[[str], bytes]:
    """Reads pages with the session that a one-time link opens."""
    jar = urllib.request.HTTPCookieProcessor(http.cookiejar.CookieJar())
    opener = urllib.request.build_opener(jar)
    opener.open(link, timeout=90).close()

    def read(path: str) -> bytes:
        with opener.open(urljoin(link, path), timeout=90) as answer:
            content: bytes = answer.read()
            return content

    return read
