"""The device door described in OpenAPI 3.1: paths, bodies and statuses of hawkBit's DDI.

Keeps: every route of the door is described, and nothing else is; the statuses are all it may give.
Does not: describe what clients leave out or add, which is ignored (`bodies`).
Source: OpenAPI Specification 3.1.0; docs/reference/device-api.md.
"""

from __future__ import annotations

import json
import re
from typing import Any, get_args

from surefoot import __version__
from surefoot.core.device import Execution, Finished
from surefoot.core.offer import ACTION_MAX, ATTRIBUTE_LENGTH_MAX, ATTRIBUTES_MAX
from surefoot.doors.devices.bodies import MODES

ROOT = "/{tenant}/controller/v1/{device}"
_PARAMETER = re.compile(r"\{(\w+)\}")
_TEXT = {"type": "string", "maxLength": ATTRIBUTE_LENGTH_MAX}
_DETAILS = {"type": "array", "items": {"type": "string"}}


def _object(required: tuple[str, ...], **properties: Any) -> dict[str, Any]:
    return {"type": "object", "required": list(required), "properties": properties}


_STATUS = _object(
    ("execution", "result"),
    execution={"enum": list(get_args(Execution))},
    result=_object(("finished",), finished={"enum": list(get_args(Finished))}),
    details=_DETAILS,
)
_FEEDBACK = _object(("status",), status=_STATUS, id={"type": ["string", "integer"]})
_ATTRIBUTES = _object(
    ("data",),
    mode={"enum": list(MODES)},
    data={
        "type": "object",
        "maxProperties": ATTRIBUTES_MAX,
        "propertyNames": _TEXT,
        "additionalProperties": _TEXT,
    },
)
_CONSENT = _object(
    ("confirmation",), confirmation={"enum": ["confirmed", "denied"]}, details=_DETAILS
)
_INSTALLED = _object(("name", "version"), name=_TEXT, version=_TEXT)
_AUTOMATIC = _object((), initiator=_TEXT, remark=_TEXT)

# Path below the device's root, method, what it is for, statuses beside 400 and 401, body.
_TABLE: tuple[tuple[str, str, str, tuple[int, ...], dict[str, Any] | None], ...] = (
    ("", "get", "interval and links", (200, 304, 429), None),
    ("/configData", "put", "the device's attributes", (200, 408, 413), _ATTRIBUTES),
    ("/deploymentBase/{action}", "get", "work to do", (200, 304, 404), None),
    (
        *("/deploymentBase/{action}/feedback", "post", "progress and result"),
        (200, 404, 408, 410, 413),
        _FEEDBACK,
    ),
    ("/cancelAction/{action}", "get", "what to cancel", (200, 404), None),
    (
        *("/cancelAction/{action}/feedback", "post", "outcome of the cancel"),
        (200, 404, 405, 408, 413),
        _FEEDBACK,
    ),
    ("/installedBase/{action}", "get", "last finished action", (200, 304, 404), None),
    (
        "/installedBase",
        "put",
        "what the device says it runs",
        (200, 201, 404, 408, 413),
        _INSTALLED,
    ),
    ("/confirmationBase", "get", "automatic confirmation", (200,), None),
    (
        *("/confirmationBase/activateAutoConfirm", "post", "actions confirm themselves"),
        (200, 408, 409, 413),
        _AUTOMATIC,
    ),
    ("/confirmationBase/deactivateAutoConfirm", "post", "undo that", (200,), None),
    ("/confirmationBase/{action}", "get", "action that waits for the user", (200, 304, 404), None),
    (
        *("/confirmationBase/{action}/feedback", "post", "the user's answer"),
        (200, 404, 408, 410, 413),
        _CONSENT,
    ),
    ("/softwaremodules/{action}/artifacts", "get", "the module's files", (200, 404), None),
    (
        *(
            "/softwaremodules/{action}/artifacts/{file}",
            "get",
            "image, or .MD5SUM of it",
        ),
        (200, 206, 404, 412, 416),
        None,
    ),
)


def document() -> dict[str, Any]:
    """The whole description as plain JSON."""
    paths: dict[str, Any] = {}
    for path, method, purpose, statuses, body in _TABLE:
        paths.setdefault(ROOT + path, {})[method] = _operation(path, purpose, statuses, body)
    about = {"title": "Surefoot device door", "version": __version__}
    scheme = {"type": "apiKey", "in": "header", "name": "Authorization"}
    return {
        "openapi": "3.1.0",
        "info": about,
        "paths": paths,
        "components": {"securitySchemes": {"token": scheme}},
        "security": [{"token": []}],
    }


def document_bytes() -> bytes:
    """The description as the documentation keeps it."""
    return json.dumps(document(), indent=1, sort_keys=True).encode() + b"\n"


def _operation(
    path: str, purpose: str, statuses: tuple[int, ...], body: dict[str, Any] | None
) -> dict[str, Any]:
    parameters = [
        {"name": name, "in": "path", "required": True, "schema": _schema(name)}
        for name in _PARAMETER.findall(ROOT + path)
    ]
    if path.endswith("{file}"):
        for name in ("Range", "If-Range", "If-Match"):
            parameters.append({"name": name, "in": "header", "schema": {"type": "string"}})
    answers = {str(n): {"description": "see the reference"} for n in sorted({400, 401, *statuses})}
    found: dict[str, Any] = {"summary": purpose, "parameters": parameters, "responses": answers}
    if body is not None:
        found["requestBody"] = {"required": True, "content": {"application/json": {"schema": body}}}
    return found


def _schema(name: str) -> dict[str, Any]:
    if name == "action":
        return {"type": "integer", "minimum": 1, "maximum": ACTION_MAX}
    return {"type": "string", "minLength": 1, "maxLength": 256}
