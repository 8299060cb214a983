"""Browser sessions: a one-time link becomes a cookie; a form must come from its own page.

Keeps: tokens are random, single use, and held only as digests, so that a memory dump opens no
session; a session ends after eight hours, on request, or when its key is revoked; a form counts
only with the session's own token and from the page's own origin; memory is bounded.
A session may ask questions, post approvals signed elsewhere, and hold a deployment or let it go
on: it holds no key and signs nothing.
Does not: survive a restart, speak HTTP, or decide what a person may do.
"""

from __future__ import annotations

import base64
import hashlib
import hmac
import threading
from collections.abc import Callable
from urllib.parse import urlsplit

import msgspec

from surefoot.core.errors import Refused
from surefoot.core.policy import Asker

LINK_SECONDS = 60
SESSION_SECONDS = 8 * 3600

_LINKS_MAX = 1_000
_SESSIONS_MAX = 10_000
_TOKEN_BYTES = 32

PersonOfKey = Callable[[str], "tuple[str, str] | None"]
"""From a key's fingerprint to (person, public key line); None when unknown or revoked."""


class Session(msgspec.Struct, frozen=True, kw_only=True):
    """A person's open browser session. `form_token` goes, hidden, into each form of its pages."""

    person: str
    fingerprint: str
    expires_at_ms: int
    form_token: str

    @property
    def asker(self) -> Asker:
        """Who asks, for the facade."""
        return Asker(type="person", id=self.person)

    @property
    def auth(self) -> str:
        """How that was established, for the facade."""
        return f"session:{self.fingerprint}"


class _Link(msgspec.Struct, frozen=True):
    person: str
    fingerprint: str
    expires_at_ms: int


class Sessions:
    """All sessions of one server process. Safe from many threads."""

    def __init__(
        self,
        *,
        now_ms: Callable[[], int],
        token: Callable[[int], bytes],
        person_of_key: PersonOfKey,
    ) -> None:
        self._now_ms = now_ms
        self._token = token
        self._person_of_key = person_of_key
        self._links: dict[str, _Link] = {}
        self._sessions: dict[str, Session] = {}
        self._lock = threading.Lock()

    def invite(self, person: str, fingerprint: str) -> str:
        """A token for `/login/<token>`, good once, for `LINK_SECONDS`."""
        token = self._new_token()
        expires = self._now_ms() + LINK_SECONDS * 1000
        with self._lock:
            _make_room(self._links, _LINKS_MAX, self._now_ms())
            self._links[_hashed(token)] = _Link(person, fingerprint, expires)
        return token

    def redeem(self, token: str) -> tuple[str, Session]:
        """The cookie's value and the session of a link. Raises `Refused` for a spent link."""
        with self._lock:
            link = self._links.pop(_hashed(token), None)
        if link is None or link.expires_at_ms < self._now_ms():
            raise Refused(
                "session.link.unauthenticated",
                "login link",
                expected=f"a link that is unused and younger than {LINK_SECONDS} seconds",
                found="a link that is spent, too old or unknown",
                remedy="ask for a new one with: surefoot login",
            )
        cookie = self._new_token()
        session = Session(
            person=link.person,
            fingerprint=link.fingerprint,
            expires_at_ms=self._now_ms() + SESSION_SECONDS * 1000,
            form_token=self._new_token(),
        )
        with self._lock:
            _make_room(self._sessions, _SESSIONS_MAX, self._now_ms())
            self._sessions[_hashed(cookie)] = session
        return cookie, session

    def find(self, cookie: str) -> Session | None:
        """The open session of a cookie's value, while its key still counts."""
        session = self._sessions.get(_hashed(cookie))
        if session is None or session.expires_at_ms < self._now_ms():
            return None
        known = self._person_of_key(session.fingerprint)
        return session if known is not None and known[0] == session.person else None

    def end(self, cookie: str) -> None:
        """Log out. May be called twice."""
        with self._lock:
            self._sessions.pop(_hashed(cookie), None)

    def _new_token(self) -> str:
        return base64.urlsafe_b64encode(self._token(_TOKEN_BYTES)).decode().rstrip("=")


def cookie_name(*, secure: bool) -> str:
    """The session cookie's name; under TLS browsers bind the prefixed one to this host alone."""
    return "__Host-surefoot" if secure else "surefoot"


def cookie_header(value: str, *, secure: bool) -> str:
    """The whole `Set-Cookie` value; an empty value ends the session in the browser."""
    life = SESSION_SECONDS if value else 0
    flags = f"Path=/; Max-Age={life}; HttpOnly; SameSite=Strict"
    return f"{cookie_name(secure=secure)}={value}; {flags}" + ("; Secure" if secure else "")


def check_form(session: Session, *, form_token: str, origin: str, host: str) -> None:
    """Refuse a form that did not come from this session's own page.

    `origin` is the Origin header (or, when the browser sent none, the Referer), `host` the Host
    header. Raises `Refused("session.form.unauthenticated")`.
    """
    same_origin = bool(host) and urlsplit(origin).netloc == host
    same_token = hmac.compare_digest(form_token.encode(), session.form_token.encode())
    if not (same_origin and same_token):
        raise Refused(
            "session.form.unauthenticated",
            "form",
            expected="a form sent from a page of this session",
            found="another origin" if not same_origin else "another form token",
            remedy="load the page again and repeat",
        )


def _hashed(token: str) -> str:
    return hashlib.sha256(token.encode()).hexdigest()


def _make_room(table: dict[str, _Link] | dict[str, Session], most: int, now_ms: int) -> None:
    if len(table) < most:
        return
    for name in [name for name, entry in table.items() if entry.expires_at_ms < now_ms]:
        del table[name]
    while len(table) >= most:
        del table[next(iter(table))]
