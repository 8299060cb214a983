"""Every page over HTTP: who gets in, what each answer carries, what forms refuse."""

from __future__ import annotations

import http.client
import json
import re
from collections.abc import Callable
from typing import Any, NamedTuple
from urllib.parse import urlencode, urlsplit

import pytest

from surefoot.core.errors import Refused
from surefoot.doors.web import application
from surefoot.doors.web.visit import CONTENT_POLICY
from surefoot.trust.proof import verify

PAGES = (
    *("/", "/?at=2020-01-01T00:00", "/environments/dev", "/environments/production"),
    *("/environments/staging",),
    *("/environments/dev?at=2020-01-01T00:00", "/environments/diff"),
    *("/environments/dev/at", "/environments/dev/at?at=2020-01-01T00:00", "/environments/dev/map"),
    *("/environments/dev/at?beside=staging", "/environments/production/map"),
    *("/environments/dev/map?at=2020-01-01T00:00", "/releases?at=2020-01-01T00:00"),
    *("/releases/1.0.0?at=2020-01-01T00:00", "/deployments/3?at=2020-01-01T00:00"),
    *("/deployments?at=2020-01-01T00:00", "/journal?at=2020-01-01T00:00"),
    *("/environments/diff?left=dev&right=staging", "/environments/diff?left=dev&right=dev"),
    *("/releases", "/releases/1.0.0", "/deployments", "/deployments?environment=production"),
    *("/deployments/1", "/deployments/3", "/journal", "/journal?stream=people", "/journal/0"),
    *("/journal?kind=Nothing", "/people", "/people?at=2020-01-01T00:00", "/patterns"),
    *("/errors/plan.parent.moved", "/findings", "/findings?state=&text=sql"),
    *("/findings?at=2020-01-01T00:00", "/findings?state=fixed&scope=api-sast"),
    *("/environments/dev/devices", "/environments/staging/devices"),
    *("/environments/dev/devices?at=2020-01-01T00:00", "/environments/dev/devices/device-0"),
    "/environments/dev/devices?state=failed&version=-&standing=accepted&text=x&hardware=y",
)


TIMELESS = {
    "/environments/{name}/proof": "a file; the proof's own test gives it a time",
    "/environments/{name}/devices/{id}/proof": "a file; the operation's own test gives it a time",
    "/journal/checkpoint": "a file; the operation's own test gives it a time",
    "/journal/{index:int}": "an entry never changes",
    "/journal/{index:int}/raw": "an entry never changes",
    "/deployments/{number:int}/approval": "a plan never changes",
    "/deployments/{number:int}/gates/{step}": "evidence never changes",
    "/deployments/{number:int}/gates/{step}/report": "a report never changes",
    "/deployments/{number:int}/gates/{step}/raw": "a report never changes",
    "/environments/{name}/rollouts/plan": "about what would be done now",
    "/environments/{name}/rollouts/{number:int}": "of now; its deployment's page takes a time",
    "/errors/{code}": "about an error's code, not about a state",
    "/patterns": "about the interface, not about a state",
}


class Answer(NamedTuple):
    status: int
    headers: dict[str, str]
    text: str


class Browser:
    """A cookie and an address; no more is needed to read a page."""

    def __init__(self, address: str) -> None:
        self.place = urlsplit(address).netloc
        self.cookie = ""

    def ask(
        self, method: str, path: str, body: str | None = None, headers: dict[str, str] | None = None
    ) -> Answer:
        connection = http.client.HTTPConnection(self.place, timeout=90)
        sent = {"cookie": self.cookie, **(headers or {})}
        connection.request(method, path, body, {k: v for k, v in sent.items() if v})
        found = connection.getresponse()
        answer = Answer(
            found.status, {k.lower(): v for k, v in found.getheaders()}, found.read().decode()
        )
        connection.close()
        return answer

    def get(self, path: str) -> Answer:
        return self.ask("GET", path)

    def post(self, path: str, origin: str = "", **fields: str) -> Answer:
        headers = {
            "content-type": "application/x-www-form-urlencoded",
            "origin": origin or f"http://{self.place}",
        }
        return self.ask("POST", path, urlencode(fields), headers)

    def form_token(self) -> str:
        found = re.search(r'name="form_token" value="([^"]+)"', self.get("/people").text)
        assert found
        return found[1]


@pytest.fixture(scope="session")
def sign_in(place: Any) -> Callable[[str], Browser]:
    """A browser with an open session."""

    def open_session(who: str) -> Browser:
        browser = Browser(place.address)
        answer = browser.get(urlsplit(place.login_link(who)).path)
        browser.cookie = answer.headers["set-cookie"].split(";")[0]
        return browser

    return open_session


@pytest.mark.parametrize("path", PAGES)
def test_a_page_is_strict_and_complete(sign_in: Callable[[str], Browser], path: str) -> None:
    answer = sign_in("bob").get(path)
    assert answer.status == 200
    assert answer.headers["content-security-policy"] == CONTENT_POLICY
    assert answer.headers["cache-control"] == "no-store"
    assert re.findall(r"<script|<style|\sstyle=|\son[a-z]+=|javascript:", answer.text) == []
    assert answer.text.count("<h1") == 1
    assert answer.text.count("<main") == 1
    assert 'href="#main"' in answer.text
    assert answer.text.count("<table") == answer.text.count("<caption")
    identities = re.findall(r'\sid="([^"]+)"', answer.text)
    assert len(identities) == len(set(identities))
    named = re.findall(r'(?:aria-labelledby|\sfor)="([^"]+)"', answer.text)
    assert set(named) <= set(identities)


def test_the_page_of_a_gate_is_too_and_what_has_no_report_says_so(
    sign_in: Callable[[str], Browser],
) -> None:
    found = re.search(
        r"/deployments/1/gates/[0-9]+-smoke", sign_in("bob").get("/deployments/1").text
    )
    assert found
    test_a_page_is_strict_and_complete(sign_in, found[0])
    absent = sign_in("bob").get(f"{found[0]}/report")
    assert absent.status >= 400 and "evidence.unknown" in absent.text


def test_every_link_of_every_page_leads_somewhere(sign_in: Callable[[str], Browser]) -> None:
    browser = sign_in("bob")
    links = {
        link.replace("&amp;", "&").split("#")[0]
        for path in PAGES
        for link in re.findall(r'href="(/[^"]*)"', browser.get(path).text)
    }
    broken = {link: s for link in sorted(links) if (s := browser.get(link).status) != 200}
    assert len(links) > 30
    assert broken == {}


def test_drift_freeze_and_silent_devices_are_shown(sign_in: Callable[[str], Browser]) -> None:
    browser = sign_in("bob")
    matrix = browser.get("/").text
    assert re.search(r"drift: \d+ difference", matrix)
    assert "freeze holidays" in matrix
    assert 'not reported yet <span class="strong">3</span>' in matrix
    dev = browser.get("/environments/dev").text
    assert "process/api/configuration/greeting" in dev
    assert "changed by hand" in dev
    assert "surefoot drift revert dev" in dev
    assert "holidays" in browser.get("/environments/staging").text


@pytest.mark.parametrize("path", [*PAGES[2:], "/deployments/3/approval", "/nowhere"])
def test_without_a_session_there_is_the_login_page_alone(place: Any, path: str) -> None:
    answer = Browser(place.address).get(path)
    assert answer.status == 401
    assert "surefoot login" in answer.text
    assert "production" not in answer.text
    assert "ann" not in re.sub(r"<[^>]+>", "", answer.text)


def test_a_spent_link_and_an_ended_session_open_nothing(
    place: Any, sign_in: Callable[[str], Browser]
) -> None:
    link = urlsplit(place.login_link("bob")).path
    assert Browser(place.address).get(link).status == 303
    assert Browser(place.address).get(link).status == 401
    browser = sign_in("bob")
    ended = browser.post("/logout", form_token=browser.form_token())
    assert ended.status == 303
    assert "Max-Age=0" in ended.headers["set-cookie"]
    assert browser.get("/people").status == 401


@pytest.mark.parametrize(
    ("path", "status", "code"),
    [
        ("/environments/nope", 404, "environment.unknown"),
        ("/environments/dev?at=tomorrow", 422, "time.form.input"),
        ("/environments/dev?before=x", 422, "request.argument.input"),
        ("/releases/9.9.9", 404, "release.unknown"),
        ("/deployments/99", 404, "deployment.unknown"),
        ("/deployments/3/approval?verdict=perhaps", 422, "approval.verdict.input"),
        ("/journal/99999999", 404, "journal.entry.unknown"),
        ("/nowhere", 404, "page.unknown"),
        ("/errors/no.such.code", 404, "explain.code.unknown"),
        ("/environments/%3Cscript%3E", 404, "environment.unknown"),
    ],
)
def test_an_error_is_a_page_made_from_its_record(
    sign_in: Callable[[str], Browser], path: str, status: int, code: str
) -> None:
    answer = sign_in("bob").get(path)
    assert answer.status == status
    assert f'href="/errors/{code}"' in answer.text
    assert "What to do" in answer.text
    assert "<script>" not in answer.text


def _approval(place: Any, browser: Browser, **changed: str) -> dict[str, str]:
    plan = place.call("deployment plan-bytes", "bob", number=3)["digest"]
    return {
        "form_token": browser.form_token(),
        "journal_size": "1",
        "plan": plan,
        "verdict": "approve",
        "signature": "-----BEGIN SSH SIGNATURE-----\nAAAA\n-----END SSH SIGNATURE-----",
        **changed,
    }


@pytest.mark.parametrize(
    ("changed", "origin", "status", "code"),
    [
        ({"form_token": "guessed"}, "", 401, "session.form.unauthenticated"),
        ({}, "http://elsewhere.test", 401, "session.form.unauthenticated"),
        ({}, "null", 401, "session.form.unauthenticated"),
        ({"journal_size": "all"}, "", 422, "form.size.input"),
        ({"journal_size": "9000000000"}, "", 500, "form.size.differs"),
        ({"plan": "sha256:" + "0" * 64}, "", 409, "plan.page.moved"),
        ({"verdict": ""}, "", 422, "approval.verdict.input"),
        ({"signature": " "}, "", 422, "approval.paste.input"),
        ({}, "", 403, "approval.envelope.signature"),
        ({"signature": "x" * 70_000}, "", 413, "form.body.oversize"),
    ],
)
def test_a_form_that_is_not_sound_records_no_approval(
    place: Any,
    sign_in: Callable[[str], Browser],
    changed: dict[str, str],
    origin: str,
    status: int,
    code: str,
) -> None:
    browser = sign_in("bob")
    before = place.call("deployment show", "bob", number=3)["approvals"]
    fields = _approval(place, browser, **changed)
    answer = browser.post("/deployments/3/approval", origin, **fields)
    assert (answer.status, f'href="/errors/{code}"' in answer.text) == (status, True)
    assert place.call("deployment show", "bob", number=3)["approvals"] == before


def test_a_form_without_a_session_is_shown_the_login_page(place: Any) -> None:
    answer = Browser(place.address).post("/deployments/3/approval", verdict="approve")
    assert answer.status == 401
    assert "surefoot login" in answer.text


def test_the_form_accepts_nothing_but_a_form(sign_in: Callable[[str], Browser]) -> None:
    browser = sign_in("bob")
    headers = {"content-type": "application/json", "origin": f"http://{browser.place}"}
    answer = browser.ask("POST", "/deployments/3/approval", "{}", headers)
    assert answer.status == 422
    assert browser.ask("DELETE", "/deployments/3").status == 404


def test_static_files_are_kept_for_ever_and_name_their_content(
    place: Any, sign_in: Callable[[str], Browser]
) -> None:
    page = sign_in("bob").get("/").text
    addresses = set(re.findall(r'"(/static/[^"#]+)', page))
    assert len(addresses) == 3
    for address in addresses:
        answer = Browser(place.address).get(address)
        assert answer.status == 200
        assert "immutable" in answer.headers["cache-control"]
    assert Browser(place.address).get("/static/nothing").status == 404


@pytest.mark.parametrize("path", [path for path, _ in application.PAGES if path not in TIMELESS])
def test_every_page_takes_a_time(sign_in: Callable[[str], Browser], path: str) -> None:
    named = {"name": "dev", "version": "1.0.0", "number": 1}
    named |= {"scope": "api-sast", "fingerprint": "0" * 64, "id": "device-0"}
    here = path.replace(":int", "").format(**named)
    assert "{" not in here
    answer = sign_in("bob").get(f"{here}?left=dev&right=staging&at=2020-01-01T00:00")
    assert answer.status == 200
    assert "2020-01-01T00:00" in answer.text
    assert re.search("did not exist then|then|not there then", answer.text)
    assert sign_in("bob").get(f"{here}?left=dev&right=staging&at=2999-01-01").status == 422


def test_every_page_without_a_time_says_why() -> None:
    assert set(TIMELESS) <= {path for path, _ in application.PAGES}


def test_prove_it_downloads_what_a_stranger_verifies(
    place: Any, sign_in: Callable[[str], Browser]
) -> None:
    browser, key = sign_in("bob"), place.installation.app.log_key
    page = browser.get("/environments/staging").text
    assert '<a href="/environments/staging/proof">Prove it</a>' in page
    answer = browser.get("/environments/staging/proof")
    assert answer.headers["content-disposition"] == 'attachment; filename="proof-staging.json"'
    proved = verify(answer.text.encode(), key)
    assert proved.state is not None and proved.state["release_version"] == "1.0.0"
    release = proved.state["release"]
    assert isinstance(release, str) and release.startswith("sha256:")
    then = browser.get("/environments/staging?at=2020-01-01T00:00").text
    link = re.search(r'href="(/environments/staging/proof\?at=[^"]+)">Prove it', then)
    assert link is not None
    assert verify(browser.get(link[1]).text.encode(), key).entry is None
    assert len(answer.text) < 5 * 1024 + len(json.dumps(proved.state))


def test_a_release_that_runs_is_never_proved_away(place: Any) -> None:
    with pytest.raises(Refused) as refused:
        place.call(
            "release never", "bob", version="1.0.0", name="staging", **{"from": "2020-01-01"}
        )
    assert refused.value.code == "proof.release.present"
