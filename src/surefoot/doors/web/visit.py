"""One request of a signed-in person: ask operations as that person, answer with a rendered page.

Keeps: templates escape everything and know every name they use; a page says from which journal
size it was answered; an argument that does not fit is refused as a record, as on the other doors.
Does not: route, or hold a rule.
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from importlib import resources
from typing import Any, NamedTuple

import msgspec
from jinja2 import Environment, PackageLoader, StrictUndefined
from starlette.responses import Response

from surefoot.app.facade import App
from surefoot.app.operation import Operation, Request
from surefoot.core.errors import Refused, SurefootError
from surefoot.core.policy import Asker
from surefoot.doors import codes
from surefoot.doors.session import Session
from surefoot.doors.web import shape

CONTENT_POLICY = (
    "default-src 'none'; style-src 'self'; img-src 'self'; form-action 'self'; "
    "script-src 'none'; base-uri 'none'; frame-ancestors 'none'"
)
_HEADERS = {"content-security-policy": CONTENT_POLICY, "cache-control": "no-store"}
_FILES = {
    "surefoot.css": "text/css; charset=utf-8",
    "icons.svg": "image/svg+xml",
    "mark.svg": "image/svg+xml",
}


class StaticFile(NamedTuple):
    """A packaged file and the address that changes with its content."""

    content: bytes
    media_type: str
    address: str


def static_files() -> dict[str, StaticFile]:
    """The style sheet and the icons, by name."""
    folder = resources.files("surefoot.doors.web") / "static"
    files = {}
    for name, media_type in _FILES.items():
        content = (folder / name).read_bytes()
        mark = hashlib.sha256(content).hexdigest()[:12]
        files[name] = StaticFile(content, media_type, f"/static/{name}?{mark}")
    return files


def template_environment(files: Mapping[str, StaticFile]) -> Environment:
    """Strict templates: everything escaped, an unknown name is an error."""
    made = Environment(
        loader=PackageLoader("surefoot.doors.web"),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    made.filters |= {
        "short": shape.short,
        "moment": shape.moment,
        "local": shape.local,
        "duration": shape.duration,
        "size": shape.size,
        "flat": shape.flat,
        "tone": shape.tone,
        "word": shape.word,
        "hold": shape.hold,
        "plural": shape.plural,
        "step_name": shape.step_name,
        "visible": shape.visible,
    }
    made.tests["digest"] = shape.is_digest
    made.globals["files"] = {name: file.address for name, file in files.items()}
    return made


class Incoming(NamedTuple):
    """What of an HTTP request a page may read: path parameters, query, form."""

    path: Mapping[str, str]
    query: Mapping[str, str]
    form: Mapping[str, str]
    url: str
    request_id: str


class Visit:
    """See the module. Used in one thread."""

    def __init__(
        self,
        app: App,
        operations: Mapping[str, Operation],
        templates: Environment,
        incoming: Incoming,
        session: Session | None,
    ) -> None:
        self.app = app
        self.incoming = incoming
        self._operations = operations
        self._templates = templates
        self._session = session

    @property
    def session(self) -> Session:
        """The open session. Only pages that need none are asked without."""
        assert self._session is not None
        return self._session

    @property
    def request(self) -> Request:
        """Who asks, for the facade."""
        return Request(
            asker=self.session.asker, auth=self.session.auth, id=self.incoming.request_id
        )

    def query(self, name: str) -> str:
        """A query parameter, empty when it was not sent."""
        return self.incoming.query.get(name, "").strip()

    def ask(self, name: str, /, **arguments: Any) -> Any:
        """The answer of an operation; an argument that is empty text is left to its default."""
        operation = self._operations[name]
        given = {key.rstrip("_"): value for key, value in arguments.items() if value != ""}
        try:
            read = msgspec.convert(given, operation.arguments, strict=False)
        except msgspec.ValidationError as error:
            raise Refused(
                "request.argument.input",
                name,
                expected="arguments in their own form",
                found=str(error)[:200],
                remedy="go back and correct the value",
            ) from None
        return operation.call(self.app, self.request, read)

    def render(self, template: str, status: int = 200, /, **names: Any) -> Response:
        """The page. `names` are what the template shows."""
        about = self._about()
        page = self._templates.get_template(template).render(
            about=about,
            session=self._session,
            here=self.incoming.url,
            request_id=self.incoming.request_id,
            watch_alarms=self._watch_alarms(),
            **names,
        )
        return Response(page, status, _HEADERS, media_type="text/html")

    def _watch_alarms(self) -> list[Any]:
        """What gates found that run again and again; for those who are signed in."""
        if self._session is None:
            return []
        return [row for row in self.ask("watch list")["watches"] if row["alarm"]]

    def _about(self) -> Any:
        """The installation, which everybody may know."""
        operation = self._operations["installation show"]
        nobody = Asker(type="anonymous", id="anonymous")
        request = Request(asker=nobody, auth="none", id=self.incoming.request_id)
        answer = operation.call(self.app, request, operation.arguments())
        return {"alarm": None, "witness_alarm": None, **answer}

    def error(self, error: SurefootError, status: int = 0) -> Response:
        """The error's record as a page."""
        return self.render(
            "error.html", status or error.status(), error=codes.complete(error.record())
        )
