"""DDI answers: the JSON documents, byte for byte what clients in the field accept.

Keeps: links are absolute and echo the request's own spelling; JSON is never chunked or
compressed; `sleep` is always HH:MM:SS; identifiers are decimal text. Does not: decide.
"""

from __future__ import annotations

import hashlib
import json
from functools import lru_cache
from urllib.parse import quote

from starlette.responses import Response

from surefoot.core.errors import SurefootError
from surefoot.core.offer import AutoConfirm, Firmware, Offer, Poll
from surefoot.doors import codes

JSON_TYPE = "application/json"


def json_bytes(document: object) -> bytes:
    """JSON as it is sent."""
    return json.dumps(document, separators=(",", ":")).encode()


def json_response(document: object, status: int = 200) -> Response:
    """A JSON answer with its length."""
    return Response(json_bytes(document), status, media_type=JSON_TYPE)


def tag_of(body: bytes) -> str:
    """The ETag of an answer: the same for the same bytes."""
    return f'"{hashlib.blake2b(body, digest_size=8).hexdigest()}"'


def poll_tag(poll: Poll) -> str:
    """The ETag of a poll's answer: of its content, since the rest of it is the address asked."""
    content = (
        poll.sleep_seconds,
        poll.action,
        poll.cancel,
        poll.confirm,
        poll.installed,
        poll.change,
        poll.wants_attributes,
    )
    # Numbers have the same hash in every process, and this is asked for with each poll.
    return f'"{hash(content) & 0xFFFF_FFFF_FFFF_FFFF:x}"'


def tagged_response(if_none_match: str | None, body: bytes, tag: str) -> Response:
    """A JSON answer with its ETag; 304 when the client has it already."""
    if is_held(if_none_match or "", tag):
        return Response(status_code=304, headers={"etag": tag})
    response = Response(body, media_type=JSON_TYPE)
    response.headers["etag"] = tag
    return response


def is_held(if_none_match: str, tag: str) -> bool:
    """Whether the client has the answer of this ETag already."""
    return tag in [each.strip().removeprefix("W/") for each in if_none_match[:1000].split(",")]


def error_response(error: SurefootError, status: int | None = None) -> Response:
    """An error in hawkBit's form, with our record beside it."""
    document = {
        "exceptionClass": error.kind,
        "errorCode": error.code,
        "message": str(error),
        "info": codes.complete(error.record()),
    }
    return json_response(document, status or error.status())


@lru_cache(maxsize=86_400)
def sleep_text(seconds: int) -> str:
    """HH:MM:SS of at most 23:59:59, as strict clients parse it."""
    bounded = min(max(seconds, 1), 86_399)
    return f"{bounded // 3600:02d}:{bounded // 60 % 60:02d}:{bounded % 60:02d}"


def poll_body(root: str, poll: Poll) -> bytes:
    """The answer to a poll; `root` is the device's own absolute address."""
    links = []
    if poll.cancel:
        links.append(_link("cancelAction", f"{root}/cancelAction/{poll.cancel}"))
    elif poll.confirm:
        links.append(_link("confirmationBase", _changing(f"{root}/confirmationBase", poll)))
    elif poll.action:
        links.append(_link("deploymentBase", _changing(f"{root}/deploymentBase", poll)))
    if poll.installed:
        links.append(_link("installedBase", f"{root}/installedBase/{poll.installed}"))
    if poll.wants_attributes:
        links.append(_link("configData", f"{root}/configData"))
    sleep = sleep_text(poll.sleep_seconds)
    text = f'{{"config":{{"polling":{{"sleep":"{sleep}"}}}},"_links":{{{",".join(links)}}}}}'
    return text.encode()


def _link(name: str, address: str) -> str:
    # The root was built from checked parts, so it holds nothing that JSON would escape.
    return f'"{name}":{{"href":"{address}"}}'


def _changing(address: str, poll: Poll) -> str:
    # Zephyr holds `deploymentBase/<number>?c=<number>` in 50 characters: this has at most 39.
    query = f"?c={poll.change}" if poll.change else ""
    return f"{address}/{poll.confirm or poll.action}{query}"


def confirmations(root: str, poll: Poll, active: AutoConfirm | None) -> dict[str, object]:
    """Whether the device's actions confirm themselves, and the one that waits."""
    about: dict[str, object] = {"active": active is not None}
    if active is not None:
        about |= {"initiator": active.initiator, "remark": active.remark}
        about["activatedAt"] = active.activated_ms
    other = "deactivateAutoConfirm" if active is not None else "activateAutoConfirm"
    links = {other: {"href": f"{root}/confirmationBase/{other}"}}
    if poll.confirm:
        links["confirmationBase"] = {"href": _changing(f"{root}/confirmationBase", poll)}
    return {"autoConfirm": about, "_links": links}


def offer_document(root: str, offer: Offer, key: str, *, messages: bool) -> dict[str, object]:
    """An action for deploymentBase, installedBase and confirmationBase: one chunk, one artifact.

    `update: skip` only to download: never to clients that do not hold an image, such as swupdate,
    which answers it with success.
    """
    chunk = {
        "part": offer.part,
        "version": offer.firmware.version,
        "name": offer.firmware.name,
        "artifacts": [artifact(root, offer.action, offer.firmware)],
    }
    handling = "forced" if offer.forced else "attempt"
    document: dict[str, object] = {
        "id": str(offer.action),
        key: {
            "download": handling,
            "update": "skip" if offer.download_only else handling,
            "chunks": [chunk],
        },
    }
    if messages:
        document["actionHistory"] = {
            "status": "WAIT_FOR_CONFIRMATION" if key == "confirmation" else "RUNNING",
            "messages": list(offer.messages),
        }
    return document


def artifact(root: str, action: int, firmware: Firmware) -> dict[str, object]:
    """One file: its digests, its size, and both names of its links for clients that know one."""
    address = f"{root}/softwaremodules/{action}/artifacts/{quote(firmware.file, safe='')}"
    file, sums = {"href": address}, {"href": f"{address}.MD5SUM"}
    return {
        "filename": firmware.file,
        "hashes": {"sha1": firmware.sha1, "md5": firmware.md5, "sha256": firmware.sha256},
        "size": firmware.size_bytes,
        "_links": {
            "download": file,
            "md5sum": sums,
            "download-http": file,
            "md5sum-http": sums,
        },
    }


def cancel_document(action: int) -> dict[str, object]:
    """What to cancel: in this protocol both identifiers are the action's own."""
    return {"id": str(action), "cancelAction": {"stopId": str(action)}}


def checksum_response(firmware: Firmware) -> Response:
    """The MD5SUM file: digest, two blanks, file name."""
    return Response(f"{firmware.md5}  {firmware.file}\n", media_type="text/plain")
