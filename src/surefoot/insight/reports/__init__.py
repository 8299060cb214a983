"""Reports of other tools, read as findings; one reader for each form.

Keeps: a tool's exit code is never looked at; whether a report is conclusive is decided from what
it says it covered. Does not: run a tool, store.
"""

from __future__ import annotations

from collections.abc import Callable

from surefoot.core.errors import Refused
from surefoot.core.finding import Report
from surefoot.insight.reports.form import BadReport
from surefoot.insight.reports.hosts import read_junit, read_lynis, read_xccdf
from surefoot.insight.reports.kubernetes import read as read_kube_bench
from surefoot.insight.reports.matchers import read_debsecan, read_grype
from surefoot.insight.reports.packages import read_trivy, read_vex
from surefoot.insight.reports.sarif import read as read_sarif
from surefoot.insight.reports.web import read_wapiti, read_zap

FORMS: dict[str, Callable[[bytes, str], Report]] = {
    "debsecan": read_debsecan,
    "grype": read_grype,
    "junit": read_junit,
    "kube-bench": read_kube_bench,
    "lynis": read_lynis,
    "sarif": read_sarif,
    "trivy": read_trivy,
    "vex": read_vex,
    "wapiti": read_wapiti,
    "xccdf": read_xccdf,
    "zap": read_zap,
}


def read_report(form: str, content: bytes, component: str) -> Report:
    """The report as findings of a component. Raises `Refused("finding.report.input")`."""
    try:
        return FORMS[form](content, component)
    except KeyError:
        expected, found = f"one of {', '.join(FORMS)}", form[:40]
    except BadReport as error:
        expected, found = f"a whole report of the form {form}", str(error)
    raise Refused(
        "finding.report.input",
        "report",
        expected=expected,
        found=found,
        remedy="have the tool write its report again, in this form",
    )
