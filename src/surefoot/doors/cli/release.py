"""`release create`: build on the server, look at the manifest, sign it here, register it.

Keeps: what is signed is exactly the bytes whose digest was shown; the key stays here.
"""

from __future__ import annotations

import argparse
import base64
from typing import Any

from surefoot.core.errors import Corrupt, Failed, from_record
from surefoot.doors import words
from surefoot.doors.cli import asking, show
from surefoot.doors.cli.client import Client, client_for
from surefoot.doors.cli.progress import Progress, progress_for
from surefoot.engine.clock import SystemClock
from surefoot.trust import envelope
from surefoot.trust.digest import digest_of

_POLL_SECONDS = (0.05, 0.1, 0.2, 0.4)


def create(options: argparse.Namespace) -> None:
    """Build, sign, register."""
    client = client_for(options)
    signer = client.signer
    started = client.ask(
        "POST", "/releases/builds", {"version": options.version, "commit": options.commit}
    )
    result = follow(client, str(started["job"]), options.output, f"release {options.version}")
    manifest = _manifest(result)
    if options.output != "json":
        show.fields([("digest", result["digest"]), ("commit", result.get("commit"))])
        asking.emit(options, result, "components")
    sealed = envelope.seal(words.RELEASE_TYPE, manifest, [signer])
    body = {"envelope": base64.b64encode(sealed).decode()}
    answer = {**client.ask("POST", "/releases", body), "signed_by": signer.keyid}
    if options.output == "json":
        show.as_json(answer)
    else:
        show.line(f"release {options.version} is registered, signed by {signer.keyid}")


def rebuild(options: argparse.Namespace) -> None:
    """Build the same input again; it is identical, or refused."""
    client = client_for(options)
    started = client.ask("POST", "/releases/{version}/rebuilds", {"version": options.version})
    title = f"release {options.version} again"
    asking.emit(options, follow(client, str(started["job"]), options.output, title))


def follow(client: Client, job: str, output: str, title: str) -> dict[str, Any]:
    """Wait for a job's end and return its result. Raises the error it failed with."""
    progress = progress_for(output, title)
    try:
        return _follow(client, job, progress)
    finally:
        progress.end()


def _follow(client: Client, job: str, progress: Progress) -> dict[str, Any]:
    clock, after, asked = SystemClock(), 0, 0
    while True:
        answer = client.ask("GET", "/jobs/{job}", {"job": job, "after": after})
        for line in answer.get("lines", []):
            after = max(after, line["n"])
            progress.step(line["text"])
        progress.at(answer.get("done", 0), answer.get("total", 0))
        if answer["status"] == "done":
            return dict(answer.get("result") or {})
        if answer["status"] != "running":
            raise from_record(answer.get("error") or _unknown(job))
        asked = 0 if answer.get("lines") else asked + 1
        clock.sleep(_POLL_SECONDS[min(asked, len(_POLL_SECONDS) - 1)])


def _unknown(job: str) -> dict[str, str]:
    return Failed("job.end.failed", f"job {job}", expected="an end", found="no word").record()


def _manifest(result: dict[str, Any]) -> bytes:
    manifest = base64.b64decode(result["manifest"])
    if digest_of(manifest) != result["digest"]:
        raise Corrupt(
            "release.manifest.differs",
            "manifest",
            expected=str(result["digest"]),
            found=digest_of(manifest),
            remedy="sign nothing; tell the operator of the server",
        )
    return manifest
