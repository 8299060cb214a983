"""Who sent this request: an enrolled person's key signed exactly it, a moment ago, once.

Keeps: the key is enrolled and not revoked at this moment; the signature binds method, path, query,
body, time, nonce and installation; a time further away than two minutes, and a nonce that was used,
are refused; nothing is remembered of a request whose signature does not hold; an address that
failed often is told to wait, which never holds off a request that is signed well.
Does not: decide what a person may do.
"""

from __future__ import annotations

import base64
import binascii
import re
from collections.abc import Callable, Mapping
from typing import NoReturn

from surefoot.app.operation import Request
from surefoot.core.errors import Refused
from surefoot.core.policy import Asker
from surefoot.doors import words
from surefoot.doors.api.nonce import Nonces
from surefoot.doors.session import PersonOfKey
from surefoot.trust import keys, sshsig

_NONCE = re.compile(r"[A-Za-z0-9_-]{16,64}")
_TIME = re.compile(r"[0-9]{1,16}")
_HEADERS = (words.KEY_HEADER, words.TIME_HEADER, words.NONCE_HEADER, words.SIGNATURE_HEADER)
_FAILURES_MAX = 30
_ADDRESSES_MAX = 10_000
_FORGIVE_MS = 2_000


class Failures:
    """Counts failed attempts per address: thirty at once, then one every two seconds."""

    def __init__(self, now_ms: Callable[[], int]) -> None:
        self._now_ms = now_ms
        self._until: dict[str, int] = {}

    def check(self, address: str) -> None:
        """Raises `Refused("request.failures.rate")` while the address has failed too often."""
        ahead = self._until.get(address, 0) - self._now_ms()
        if ahead > _FAILURES_MAX * _FORGIVE_MS:
            raise Refused(
                "request.failures.rate",
                "request",
                expected=f"at most {_FAILURES_MAX} failed attempts at once",
                found="more",
                remedy=f"wait {_FORGIVE_MS // 1000} seconds and sign with an enrolled key",
            )

    def note(self, address: str) -> None:
        """One more failed attempt."""
        now = self._now_ms()
        if len(self._until) >= _ADDRESSES_MAX:
            self._until = {a: at for a, at in self._until.items() if at > now}
        if len(self._until) < _ADDRESSES_MAX or address in self._until:
            self._until[address] = max(self._until.get(address, now), now) + _FORGIVE_MS


class Authenticator:
    """Verifies signed requests for one installation."""

    def __init__(
        self,
        *,
        installation: str,
        person_of_key: PersonOfKey,
        now_ms: Callable[[], int],
        nonces: Nonces,
    ) -> None:
        self._installation = installation
        self._person_of_key = person_of_key
        self._now_ms = now_ms
        self._nonces = nonces

    def identify(
        self, method: str, target: str, headers: Mapping[str, str], body: bytes
    ) -> Request:
        """Who asks. Raises `Refused`. `target` is the path with its query exactly as sent."""
        fingerprint, time_text, nonce, signature = _parts(headers)
        self._check_time(int(time_text))
        known = self._person_of_key(fingerprint)
        if known is None:
            _refuse(
                "request.key.unauthenticated",
                "a key that is enrolled and not revoked",
                fingerprint,
                "ask a founder to enrol it: surefoot person request",
            )
        person, line = known
        message = words.request_bytes(
            method,
            target,
            body,
            time_ms=int(time_text),
            nonce=nonce,
            installation=self._installation,
        )
        if not _holds(line, signature, message):
            _refuse(
                "request.signature.unauthenticated",
                "a signature of that key over this request to this installation",
                "one that does not hold",
                "sign exactly what is sent; see the API reference, signed requests",
            )
        self._nonces.use(f"{fingerprint}/{nonce}", int(time_text), durable=method != "GET")
        return Request(asker=Asker(type="person", id=person), auth=fingerprint, id=nonce)

    def _check_time(self, time_ms: int) -> None:
        away = time_ms - self._now_ms()
        if abs(away) > words.SKEW_MS:
            _refuse(
                "request.time.unauthenticated",
                f"a time within {words.SKEW_MS // 1000} s of the server's",
                f"{away / 1000:+.0f} s",
                "set the clock of this machine",
            )


def _parts(headers: Mapping[str, str]) -> tuple[str, str, str, bytes]:
    values = [headers.get(name, "") for name in _HEADERS]
    fingerprint, time_text, nonce, encoded = values
    if not all(values):
        missing = ", ".join(n for n, v in zip(_HEADERS, values, strict=True) if not v)
        _refuse(
            "request.missing.unauthenticated",
            "a signed request",
            f"no header {missing}",
            "sign with an enrolled key: surefoot --key FILE",
        )
    if not (
        keys.is_fingerprint(fingerprint) and _TIME.fullmatch(time_text) and _NONCE.fullmatch(nonce)
    ):
        _refuse(
            "request.header.unauthenticated",
            "a fingerprint, milliseconds since 1970, and 16 to 64 characters of nonce",
            "another form",
            "see the API reference, signed requests",
        )
    try:
        return fingerprint, time_text, nonce, base64.b64decode(encoded, validate=True)
    except (binascii.Error, ValueError):
        _refuse(
            "request.header.unauthenticated",
            "a signature in base64",
            "another form",
            "see the API reference, signed requests",
        )


def _holds(line: str, signature: bytes, message: bytes) -> bool:
    """Raw Ed25519 (64 bytes), or an SSHSIG, armored or not, in the request's namespace."""
    key, _ = keys.parse_public_line(line)
    if len(signature) == keys.SIGNATURE_SIZE_BYTES:
        return key.verify(signature, message)
    try:
        return sshsig.verify(signature, message, words.NAMESPACE) == key
    except sshsig.BadSignature:
        return False


def _refuse(code: str, expected: str, found: str, remedy: str) -> NoReturn:
    raise Refused(code, "signed request", expected=expected, found=found, remedy=remedy)
