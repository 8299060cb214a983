"""DDI request bodies: bounded reading, lenient parsing, strict meaning.

Keeps: at most 64 KiB within ten seconds; unknown fields are ignored, identifiers may be text or
numbers, control characters inside strings are taken (a real client sends them); what is then
missing or wrong is a clear `Refused`. Does not: store or answer.
"""

from __future__ import annotations

import asyncio
import json
from typing import Any, get_args

from starlette.requests import Request

from surefoot.core.device import (
    CancelFeedback,
    Consented,
    Execution,
    Feedback,
    Finished,
    clean_details,
    clean_text,
)
from surefoot.core.errors import Refused
from surefoot.core.offer import ATTRIBUTE_LENGTH_MAX, ATTRIBUTES_MAX, AutoConfirm

BODY_BYTES_MAX = 64 * 1024
BODY_SECONDS_MAX = 10.0
MODES = ("merge", "replace", "remove")
_EXECUTIONS = get_args(Execution)
_FINISHED = get_args(Finished)


class TooLarge(Exception):
    """The body is larger than the door takes."""


async def read_body(request: Request, seconds_max: float = BODY_SECONDS_MAX) -> bytes:
    """The whole body. Raises `TooLarge`, `TimeoutError` when it comes too slowly."""
    announced = request.headers.get("content-length", "0")
    if announced.isdecimal() and int(announced[:20]) > BODY_BYTES_MAX:
        raise TooLarge
    content = bytearray()
    async with asyncio.timeout(seconds_max):
        async for piece in request.stream():
            content += piece
            if len(content) > BODY_BYTES_MAX:
                raise TooLarge
    return bytes(content)


def parse_object(content: bytes) -> dict[str, Any]:
    """The body as a JSON object. Raises `Refused`."""
    try:
        found = json.loads(content, strict=False)
    except (ValueError, RecursionError) as error:
        raise _bad(
            "a JSON object", f"{type(error).__name__}: {clean_text(str(error), 120)}"
        ) from None
    if not isinstance(found, dict):
        raise _bad("a JSON object", type(found).__name__)
    return found


def parse_feedback(content: bytes) -> Feedback:
    """The report in a feedback body. Raises `Refused`."""
    execution, finished, details = _status(parse_object(content))
    return Feedback(execution, finished, details)


def parse_cancel_feedback(content: bytes) -> CancelFeedback:
    """The outcome in a cancel's feedback body. Raises `Refused`."""
    execution, finished, details = _status(parse_object(content))
    return CancelFeedback(execution, finished, details)


def _status(body: dict[str, Any]) -> tuple[Execution, Finished, tuple[str, ...]]:
    status = body.get("status")
    if not isinstance(status, dict):
        raise _bad("status: an object", type(status).__name__)
    result = status.get("result")
    if not isinstance(result, dict):
        raise _bad("status.result: an object", type(result).__name__)
    execution: Any = status.get("execution")
    finished: Any = result.get("finished")
    if execution not in _EXECUTIONS:
        raise _bad(f"status.execution: one of {', '.join(_EXECUTIONS)}", _shown(execution))
    if finished not in _FINISHED:
        raise _bad(f"status.result.finished: one of {', '.join(_FINISHED)}", _shown(finished))
    return execution, finished, clean_details(status.get("details"))


def parse_consent(content: bytes) -> Consented:
    """The user's answer in a confirmation's feedback body. Raises `Refused`."""
    body = parse_object(content)
    said: Any = body.get("confirmation")
    if said not in ("confirmed", "denied"):
        raise _bad("confirmation: one of confirmed, denied", _shown(said))
    return Consented(given=said == "confirmed", details=clean_details(body.get("details")))


def parse_auto_confirm(content: bytes) -> AutoConfirm:
    """Who wants actions to confirm themselves; the body may be left out. Raises `Refused`."""
    body = parse_object(content) if content.strip() else {}
    initiator, remark = body.get("initiator") or "", body.get("remark") or ""
    return AutoConfirm(initiator=_text(initiator), remark=_text(remark))


def parse_installed(content: bytes) -> tuple[str, str]:
    """Name and version of what a device says it runs. Raises `Refused`."""
    body = parse_object(content)
    name, version = _text(body.get("name")), _text(body.get("version"))
    if not name or not version:
        raise _bad("name and version: texts", _shown([name, version]))
    return name, version


def parse_attributes(content: bytes) -> tuple[str, dict[str, str]]:
    """Mode and attributes of a configData body. Raises `Refused`."""
    body = parse_object(content)
    mode, values = body.get("mode", "merge"), body.get("data")
    if mode not in MODES:
        raise _bad(f"mode: one of {', '.join(MODES)}", _shown(mode))
    if not isinstance(values, dict):
        raise _bad("data: an object", type(values).__name__)
    if len(values) > ATTRIBUTES_MAX:
        raise _bad(f"at most {ATTRIBUTES_MAX} attributes", str(len(values)))
    return mode, {_text(name): _text(value) for name, value in values.items()}


def _text(text: object) -> str:
    if not isinstance(text, str) or len(text) > ATTRIBUTE_LENGTH_MAX:
        raise _bad(f"texts of at most {ATTRIBUTE_LENGTH_MAX} characters", _shown(text))
    return clean_text(text, ATTRIBUTE_LENGTH_MAX)


def _shown(value: object) -> str:
    return clean_text(repr(value)[:80], 80)


def _bad(expected: str, found: str) -> Refused:
    return Refused(
        "device.body.input",
        "request body",
        expected=expected,
        found=found,
        remedy="send a body as the device API's reference describes",
    )
