"""DDI answers: the JSON documents, byte for byte what clients in the field accept.

Keeps: links are absolute and echo the request's own spelling; JSON is never chunked or
compressed; `sleep` is always HH:MM:SS; identifiers are decimal text. Does not: decide.
"""

from __future__ import annotations

import json
from functools import lru_cache
from urllib.parse import quote

from starlette.responses import FileResponse, Response

from surefoot.core.errors import SurefootError
from surefoot.core.offer import Firmware, Image, Offer, Poll
from surefoot.doors import codes

JSON_TYPE = "application/json"


class ImageResponse(FileResponse):
    """A download in pieces of 1 MiB: as fast as the disk, and bounded in memory."""

    chunk_size = 1024 * 1024


def json_response(document: object, status: int = 200) -> Response:
    """A JSON answer with its length."""
    body = json.dumps(document, separators=(",", ":")).encode()
    return Response(body, status, media_type=JSON_TYPE)


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
    elif poll.action:
        links.append(_link("deploymentBase", f"{root}/deploymentBase/{poll.action}"))
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


def deployment_document(root: str, offer: Offer, *, messages: bool) -> dict[str, object]:
    """An action for deploymentBase and installedBase: one chunk with one artifact."""
    document: dict[str, object] = {
        "id": str(offer.action),
        "deployment": {
            "download": "forced",
            "update": "forced",
            "chunks": [_chunk(root, offer.action, offer.firmware)],
        },
    }
    if messages:
        document["actionHistory"] = {
            "status": "RUNNING",
            "messages": list(offer.messages),
        }
    return document


def _chunk(root: str, action: int, firmware: Firmware) -> dict[str, object]:
    address = f"{root}/softwaremodules/{action}/artifacts/{quote(firmware.file, safe='')}"
    file, sums = {"href": address}, {"href": f"{address}.MD5SUM"}
    return {
        "part": "bApp",
        "version": firmware.version,
        "name": firmware.name,
        "artifacts": [
            {
                "filename": firmware.file,
                "hashes": {
                    "sha1": firmware.sha1,
                    "md5": firmware.md5,
                    "sha256": firmware.sha256,
                },
                "size": firmware.size_bytes,
                "_links": {
                    "download": file,
                    "md5sum": sums,
                    "download-http": file,
                    "md5sum-http": sums,
                },
            }
        ],
    }


def cancel_document(action: int) -> dict[str, object]:
    """What to cancel: in this protocol both identifiers are the action's own."""
    return {"id": str(action), "cancelAction": {"stopId": str(action)}}


def image_response(image: Image, *, if_match: str | None) -> Response:
    """The image with ranges and a stable ETag; 412 when `if_match` names another."""
    etag = f'"{image.firmware.sha1}"'
    if if_match not in (None, "*") and etag not in [t.strip() for t in str(if_match).split(",")]:
        return Response(status_code=412)
    return ImageResponse(
        image.path,
        media_type="application/octet-stream",
        filename=image.firmware.file,
        headers={"etag": etag, "x-content-type-options": "nosniff"},
    )


def checksum_response(firmware: Firmware) -> Response:
    """The MD5SUM file: digest, two blanks, file name."""
    return Response(f"{firmware.md5}  {firmware.file}\n", media_type="text/plain")
