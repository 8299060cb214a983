"""The pages' ASGI application: who visits, which page, and what becomes of an error.

Keeps: without a session there is the login page and nothing else; a form counts only with the
session's token and from the page's own origin, and is read to at most 64 KiB; every error is a page
made from its record, an unexpected one shows no more than the request's number.
Does not: hold a rule, sign, or know a private key.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Mapping
from typing import NoReturn
from urllib.parse import parse_qsl

import anyio
from anyio import to_thread
from starlette.applications import Starlette
from starlette.requests import ClientDisconnect
from starlette.requests import Request as Http
from starlette.responses import RedirectResponse, Response
from starlette.routing import Route

from surefoot.app.facade import App
from surefoot.app.operation import Operation
from surefoot.core.errors import Failed, Refused, SurefootError
from surefoot.doors.session import Session, Sessions, check_form, cookie_header, cookie_name
from surefoot.doors.web import (
    approval,
    deployments,
    devices,
    environments,
    findings,
    gates,
    journal,
    patterns,
    people,
    releases,
    rollouts,
    steering,
    time_machine,
)
from surefoot.doors.web.visit import Incoming, Visit, static_files, template_environment

_LOG = logging.getLogger("surefoot.web")
_FORM_BYTES_MAX = 64 * 1024
_FORM_FIELDS_MAX = 20
_AT_ONCE_MAX = 20
_YEAR = "public, max-age=31536000, immutable"

Page = Callable[[Visit], Response]

PAGES: tuple[tuple[str, Page], ...] = (
    ("/", environments.matrix),
    ("/environments/diff", environments.diff),
    ("/environments/{name}", environments.show),
    ("/environments/{name}/at", time_machine.show),
    ("/environments/{name}/map", environments.map_page),
    ("/environments/{name}/proof", journal.proof),
    ("/findings", findings.listing),
    ("/findings/{scope}/{fingerprint}", findings.show),
    ("/environments/{name}/devices", devices.fleet),
    ("/environments/{name}/rollouts/plan", rollouts.plan),
    ("/environments/{name}/rollouts/{number:int}", rollouts.show),
    ("/environments/{name}/devices/{id}", devices.show),
    ("/environments/{name}/devices/{id}/proof", devices.proof),
    ("/releases", releases.listing),
    ("/releases/{version}", releases.show),
    ("/deployments", deployments.listing),
    ("/deployments/{number:int}", deployments.show),
    ("/deployments/{number:int}/approval", approval.signed_bytes),
    ("/deployments/{number:int}/gates/{step}", gates.show),
    ("/deployments/{number:int}/gates/{step}/report", gates.report),
    ("/deployments/{number:int}/gates/{step}/raw", gates.raw),
    ("/journal", journal.listing),
    ("/journal/checkpoint", journal.checkpoint),
    ("/journal/{index:int}", journal.entry),
    ("/journal/{index:int}/raw", journal.raw),
    ("/people", people.listing),
    ("/patterns", patterns.show),
    ("/errors/{code}", patterns.explain),
)
FORMS: tuple[tuple[str, Page], ...] = (
    ("/deployments/{number:int}/approval", approval.post),
    ("/deployments/{number:int}/pause", steering.pause),
    ("/deployments/{number:int}/resume", steering.resume),
    ("/deployments/{number:int}/stop", steering.stop),
)


class Pages:
    """What all pages share."""

    def __init__(
        self,
        app: App,
        operations: Mapping[str, Operation],
        sessions: Sessions,
        *,
        token: Callable[[int], bytes],
        secure: bool,
    ) -> None:
        self._app = app
        self._operations = operations
        self._sessions = sessions
        self._token = token
        self._secure = secure
        self.files = static_files()
        self._templates = template_environment(self.files)
        self._running = anyio.CapacityLimiter(_AT_ONCE_MAX)

    def page(self, answer: Page) -> Callable[[Http], object]:
        """The endpoint of a page that is read."""

        async def endpoint(http: Http) -> Response:
            session = self._session(http)
            if session is None:
                return await self._answer(self._visit(http, None), _login)
            return await self._answer(self._visit(http, session), answer)

        return endpoint

    def form(self, answer: Page) -> Callable[[Http], object]:
        """The endpoint of a form that is posted."""

        async def endpoint(http: Http) -> Response:
            session = self._session(http)
            if session is None:
                return await self._answer(self._visit(http, None), _login)
            try:
                form = await _form(http)
                _check(http, session, form)
            except SurefootError as error:
                refusal = error
                return await self._answer(self._visit(http, session), lambda v: v.error(refusal))
            except ClientDisconnect:
                return Response(status_code=400)
            return await self._answer(self._visit(http, session, form), answer)

        return endpoint

    async def logout(self, http: Http) -> Response:
        """End the session, here and in the browser."""
        session = self._session(http)
        if session is not None:
            try:
                _check(http, session, await _form(http))
            except SurefootError as error:
                refusal = error
                return await self._answer(self._visit(http, session), lambda v: v.error(refusal))
            self._sessions.end(http.cookies[cookie_name(secure=self._secure)])
        answer = RedirectResponse("/", 303)
        answer.headers["set-cookie"] = cookie_header("", secure=self._secure)
        return answer

    async def static(self, http: Http) -> Response:
        """A packaged file; its address changes with its content, so it may be kept for ever."""
        file = self.files.get(http.path_params["name"])
        if file is None:
            return Response("not found\n", 404, media_type="text/plain")
        return Response(file.content, 200, {"cache-control": _YEAR}, media_type=file.media_type)

    async def missing(self, http: Http, _: Exception) -> Response:
        """Any other address."""
        session = self._session(http)
        visit = self._visit(http, session)
        return await self._answer(visit, _login if session is None else _unknown)

    def _session(self, http: Http) -> Session | None:
        cookie = http.cookies.get(cookie_name(secure=self._secure), "")
        return self._sessions.find(cookie) if cookie else None

    def _visit(
        self, http: Http, session: Session | None, form: Mapping[str, str] | None = None
    ) -> Visit:
        known = http.scope.get("surefoot.request")
        incoming = Incoming(
            path={name: str(value) for name, value in http.path_params.items()},
            query=dict(http.query_params),
            form=form or {},
            url=http.url.path,
            request_id=known or self._token(8).hex(),
        )
        return Visit(self._app, self._operations, self._templates, incoming, session)

    async def _answer(self, visit: Visit, answer: Page) -> Response:
        return await to_thread.run_sync(_guarded, visit, answer, limiter=self._running)


def pages_app(
    app: App,
    operations: Mapping[str, Operation],
    sessions: Sessions,
    *,
    token: Callable[[int], bytes],
    secure: bool = False,
) -> Starlette:
    """The ASGI application of all pages. `secure` says that browsers reach it over TLS."""
    pages = Pages(app, operations, sessions, token=token, secure=secure)
    return Starlette(
        routes=[
            Route("/static/{name}", pages.static, methods=["GET"]),
            Route("/logout", pages.logout, methods=["POST"]),
            *(Route(path, pages.page(answer), methods=["GET"]) for path, answer in PAGES),
            *(Route(path, pages.form(answer), methods=["POST"]) for path, answer in FORMS),
        ],
        exception_handlers={404: pages.missing, 405: pages.missing},
    )


def _guarded(visit: Visit, answer: Page) -> Response:
    try:
        return answer(visit)
    except SurefootError as error:
        return visit.error(error)
    except Exception:  # noqa: BLE001  the last resort: logged with its stack, not shown
        number = visit.incoming.request_id
        _LOG.exception("fault", extra={"request": number})
        return visit.error(_fault(number), 500)


def _login(visit: Visit) -> Response:
    return visit.render("login.html", 200 if visit.incoming.url in ("/", "/login") else 401)


def _unknown(visit: Visit) -> NoReturn:
    raise Refused(
        "page.unknown",
        f"page {visit.incoming.url[:120]}",
        expected="the address of a page",
        found="none there",
        remedy="go on from the overview of environments",
    )


def _fault(number: str) -> Failed:
    return Failed(
        "server.fault",
        "server",
        expected="a page",
        found=f"an unforeseen fault, logged under request {number}",
        remedy="tell the operator the request's number",
    )


async def _form(http: Http) -> dict[str, str]:
    if not http.headers.get("content-type", "").startswith("application/x-www-form-urlencoded"):
        raise _bad_form("fields in URL encoding", "another type of content")
    content = b""
    async for part in http.stream():
        content += part
        if len(content) > _FORM_BYTES_MAX:
            raise Refused(
                "form.body.oversize",
                "form",
                expected=f"at most {_FORM_BYTES_MAX} bytes",
                found="more",
                remedy="paste the signature alone",
            )
    try:
        return dict(
            parse_qsl(
                content.decode(),
                keep_blank_values=True,
                strict_parsing=True,
                errors="strict",
                max_num_fields=_FORM_FIELDS_MAX,
            )
        )
    except ValueError:
        raise _bad_form("fields in URL encoding", "another form") from None


def _bad_form(expected: str, found: str) -> Refused:
    return Refused(
        "form.body.input",
        "form",
        expected=expected,
        found=found,
        remedy="send it from the page",
    )


def _check(http: Http, session: Session, form: Mapping[str, str]) -> None:
    check_form(
        session,
        form_token=form.get("form_token", ""),
        origin=http.headers.get("origin") or http.headers.get("referer", ""),
        host=http.headers.get("host", ""),
    )
