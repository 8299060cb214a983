"""The register of operations: name, method, path, arguments, and the function that answers.

An operation's arguments are one frozen struct (from path, query and body together); its answer is
plain JSON. A question changes nothing; a command is written to the journal.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Annotated, Any, Literal, TypeVar

import msgspec

from surefoot.core.policy import Asker

Method = Literal["GET", "POST", "PUT", "DELETE"]


class Arguments(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Base of every operation's arguments."""


Reason = Annotated[str, msgspec.Meta(max_length=1000, pattern=r"^[^\x00-\x1f\x7f]*$")]
"""A person's words on one line; they are kept beside the journal, where they can be erased."""

A = TypeVar("A", bound=Arguments)


class Request(msgspec.Struct, frozen=True, kw_only=True):
    """Who asks, how that was established, and the request's own identity.

    `auth` is a key's fingerprint or `session:<fingerprint>`; `id` makes a repeat recognisable.
    """

    asker: Asker
    auth: str
    id: str


class Operation(msgspec.Struct, frozen=True, kw_only=True):
    """One thing a door can ask for. `path` has its parameters in braces.

    A question takes `at`, a time that has been, or `timeless` says why it makes no sense for it.
    """

    name: str
    method: Method
    path: str
    arguments: type[Arguments]
    call: Callable[[Any, Request, Any], Any]
    sentence: str
    public: bool = False
    timeless: str = ""

    @property
    def question(self) -> bool:
        """Whether it changes nothing."""
        return self.method == "GET"


OPERATIONS: dict[str, Operation] = {}


def operation(
    name: str,
    method: Method,
    path: str,
    arguments: type[A],
    *,
    public: bool = False,
    timeless: str = "",
) -> Callable[[Callable[[Any, Request, A], Any]], Callable[[Any, Request, A], Any]]:
    """Register a function `(app, request, arguments) -> plain JSON` as an operation."""

    def register(call: Callable[[Any, Request, A], Any]) -> Callable[[Any, Request, A], Any]:
        sentence = (call.__doc__ or "").strip().split("\n")[0]
        OPERATIONS[name] = Operation(
            name=name,
            method=method,
            path=path,
            arguments=arguments,
            call=call,
            sentence=sentence,
            public=public,
            timeless=timeless,
        )
        return call

    return register
