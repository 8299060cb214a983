"""The approval form: the bytes to sign as a file, and the signature that was made elsewhere.

Keeps: nothing is signed here; a form made from a journal that is longer than the present one is
refused, because then something was cut off; so is one made from another plan.
Does not: decide whose approval counts.
"""

from __future__ import annotations

from starlette.responses import RedirectResponse, Response

from surefoot.core.errors import Corrupt, Refused, SurefootError
from surefoot.doors.web import deployments
from surefoot.doors.web.signing import VERDICTS, file_name, message
from surefoot.doors.web.visit import Visit


def signed_bytes(visit: Visit) -> Response:
    """The exact bytes to sign, as a file."""
    number, verdict = int(visit.incoming.path["number"]), _verdict(visit.query("verdict"))
    deployment = visit.ask("deployment show", number=number)
    headers = {
        "content-disposition": f'attachment; filename="{file_name(number, verdict)}"',
        "cache-control": "no-store",
    }
    content = message(deployment, verdict)
    return Response(content, 200, headers, media_type="application/octet-stream")


def post(visit: Visit) -> Response:
    """Count the pasted signature; then the deployment's page, with the result or the error."""
    number, form = int(visit.incoming.path["number"]), visit.incoming.form
    pasted = form.get("signature", "").replace("\r\n", "\n").strip()
    try:
        _check_rendered(visit, number, form.get("journal_size", ""), form.get("plan", ""))
        known = _judges(visit, number)
        visit.ask(
            "deployment approve",
            number=number,
            signature=_signature(pasted, number),
            verdict=_verdict(form.get("verdict", "")),
        )
    except SurefootError as error:
        return deployments.page(visit, error, pasted)
    fresh = [entry for entry in _judges(visit, number) if entry not in known]
    noted = f"?noted={fresh[-1][0]}" if fresh else ""
    return RedirectResponse(f"/deployments/{number}{noted}", 303)


def _judges(visit: Visit, number: int) -> list[tuple[str, str]]:
    approvals = visit.ask("deployment show", number=number)["approvals"]
    return [(a["person"], a["verdict"]) for a in approvals]


def _check_rendered(visit: Visit, number: int, size: str, plan: str) -> None:
    """The page that was looked at must be of this journal and of this plan."""
    if not (size.isascii() and size.isdigit() and len(size) <= 16):
        raise Refused(
            "form.size.input",
            f"deployment {number}",
            expected="the journal size the page was made from",
            found=size[:20] or "none",
            remedy="load the page again and repeat",
        )
    now = visit.app.log.size()
    if int(size) > now:
        raise Corrupt(
            "form.size.differs",
            f"deployment {number}",
            expected=f"a journal of at least {size} leaves, as on the page",
            found=f"{now}",
            remedy="the journal was cut or exchanged: keep the page, run surefoot journal verify",
        )
    digest = visit.ask("deployment show", number=number)["digest"]
    if plan != digest:
        raise Refused(
            "plan.page.moved",
            f"deployment {number}",
            expected=digest,
            found=plan[:80] or "no plan",
            remedy="look at the present plan and sign that one",
        )


def _signature(pasted: str, number: int) -> str:
    if not pasted:
        raise Refused(
            "approval.paste.input",
            f"deployment {number}",
            expected="an SSH signature, from BEGIN to END",
            found="an empty field",
            remedy="run the command the page shows and paste all it prints",
        )
    return pasted + "\n"


def _verdict(text: str) -> str:
    if text not in VERDICTS:
        raise Refused(
            "approval.verdict.input",
            "approval",
            expected="approve or reject",
            found=text[:40] or "no choice",
            remedy="choose the verdict that was signed",
        )
    return text
