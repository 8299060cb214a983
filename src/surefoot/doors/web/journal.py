"""Pages of the journal: entries with filters, one entry with its bytes, the checkpoint, proofs."""

from __future__ import annotations

import base64

from starlette.responses import Response

from surefoot.doors.web.visit import Visit

_ROWS = 50


def listing(visit: Visit) -> Response:
    """Entries, newest first, all or of one stream or kind."""
    stream, kind, before, at = (visit.query(n) for n in ("stream", "kind", "before", "at"))
    page = visit.ask("journal show", stream=stream, kind=kind, before=before, limit=_ROWS, at=at)
    rows = page["entries"]
    return visit.render(
        "journal.html",
        rows=rows,
        stream=stream,
        kind=kind,
        before=before,
        at=at,
        checkpoint=visit.ask("journal checkpoint", at=at)["checkpoint"],
        older=rows[-1]["index"] if len(rows) == _ROWS else 0,
    )


def entry(visit: Visit) -> Response:
    """One entry, and the exact bytes that are hashed."""
    found = visit.ask("journal entry", index=visit.incoming.path["index"])
    raw = base64.b64decode(found["raw"])
    return visit.render("entry.html", entry=found, raw=raw.decode(), size=len(raw))


def raw(visit: Visit) -> Response:
    """The bytes of an entry as a file."""
    found = visit.ask("journal entry", index=visit.incoming.path["index"])
    name = f"entry-{found['index']}.json"
    return download(base64.b64decode(found["raw"]), name)


def checkpoint(visit: Visit) -> Response:
    """The newest signed checkpoint as a file, to be kept somewhere else."""
    text = visit.ask("journal checkpoint", at=visit.query("at"))["checkpoint"]
    return download(text.encode(), "checkpoint.txt")


def proof(visit: Visit) -> Response:
    """A proof of what an environment is, or was at a time, as a file for a stranger."""
    name, at = visit.incoming.path["name"], visit.query("at")
    bundle = visit.ask("journal prove", name=name, at=at)["bundle"]
    return download(bundle.encode(), f"proof-{name}.json")


def download(content: bytes, name: str) -> Response:
    """Bytes as a file. `name` is one of ours, never what somebody typed."""
    headers = {
        "content-disposition": f'attachment; filename="{name}"',
        "cache-control": "no-store",
    }
    return Response(content, 200, headers, media_type="application/octet-stream")
