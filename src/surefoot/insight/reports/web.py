"""ZAP and Wapiti: dynamic tests of web applications, both as JSON."""

from __future__ import annotations

from typing import Any

from surefoot.core.finding import (
    TITLE_MAX,
    Location,
    Report,
    Seen,
    Severity,
    cwe_of,
    route_of,
    severity_of,
)
from surefoot.insight.reports.form import BadReport, at, items, json_of, number, text

_RISK: dict[str, Severity] = {"0": "info", "1": "low", "2": "medium", "3": "high"}
_LEVEL: dict[int, Severity] = {0: "info", 1: "low", 2: "medium", 3: "high", 4: "critical"}
_BROKEN = "Internal Server Error"


def read_zap(content: bytes, component: str) -> Report:
    """Never conclusive by itself: the report does not say what was reached, or as whom."""
    document = json_of(content)
    sites = at(document, "site")
    if not isinstance(sites, list):
        sites = [sites] if isinstance(sites, dict) else None
    if sites is None or "@version" not in document:
        raise BadReport("no ZAP report")
    alerts = [alert for site in sites for alert in items(site, "alerts")]
    seen = [each for alert in alerts for each in _zap_alert(alert, component)]
    empty = "no site was reached" if not sites else ""
    return Report(
        form="zap",
        tool="zap",
        version=text(document, "@version", length=60),
        trouble=empty or "the report does not say what was reached, or whether the login held",
        figures={"sites": len(sites), "alerts": len(alerts)},
        seen=tuple(seen),
    )


def _zap_alert(alert: dict[str, Any], component: str) -> list[Seen]:
    if text(alert, "confidence") == "0":
        return []  # marked as a false alarm in the tool
    cwe = cwe_of(f"CWE-{text(alert, 'cweid')}") if number(alert, "cweid") else ""
    return [
        Seen(
            rule=f"zap-{text(alert, 'pluginid', length=40)}",
            title=text(alert, "name", length=TITLE_MAX) or text(alert, "alert", length=TITLE_MAX),
            severity=_RISK.get(text(alert, "riskcode"), "medium"),
            location=Location(
                kind="url",
                component=component,
                method=text(instance, "method", length=10).upper(),
                path=route_of(text(instance, "uri", length=500)),
                parameter=text(instance, "param", length=100),
            ),
            cwe=cwe,
            remedy=text(alert, "solution", length=300),
        )
        for instance in items(alert, "instances") or [{}]
    ]


def read_wapiti(content: bytes, component: str) -> Report:
    """Conclusive when pages were reached and the application did not answer with errors."""
    document = json_of(content)
    if not isinstance(at(document, "vulnerabilities"), dict) or not at(document, "infos"):
        raise BadReport("no Wapiti report")
    classes = document["vulnerabilities"]
    seen = [
        _wapiti_one(kind, each, component) for kind in classes for each in items(classes, str(kind))
    ]
    pages = number(document, "infos", "crawled_pages_nbr")
    pages = pages or len(items(document, "infos", "crawled_pages"))
    broken = len(items(document, "anomalies", _BROKEN))
    trouble = ""
    if not pages:
        trouble = "no page was reached"
    elif broken:
        trouble = f"the application answered {broken} requests with an error of its own"
    return Report(
        form="wapiti",
        tool="wapiti",
        version=text(document, "infos", "version", length=60),
        conclusive=not trouble,
        trouble=trouble,
        figures={"pages": pages, "server_errors": broken, "classes": len(classes)},
        seen=tuple(seen),
    )


def _wapiti_one(kind: str, found: dict[str, Any], component: str) -> Seen:
    return Seen(
        rule=f"wapiti-{text(found, 'module', length=60) or kind[:60]}",
        title=kind[:TITLE_MAX],
        severity=_LEVEL.get(number(found, "level"), severity_of(text(found, "level"))),
        location=Location(
            kind="url",
            component=component,
            method=text(found, "method", length=10).upper(),
            path=route_of(text(found, "path", length=500)),
            parameter=text(found, "parameter", length=100),
        ),
        cwe=_WAPITI_CWE.get(kind.casefold(), ""),
    )


_WAPITI_CWE = {
    "sql injection": "CWE-89",
    "blind sql injection": "CWE-89",
    "cross site scripting": "CWE-79",
    "reflected cross site scripting": "CWE-79",
    "stored cross site scripting": "CWE-79",
    "command execution": "CWE-78",
    "path traversal": "CWE-22",
    "open redirect": "CWE-601",
    "server side request forgery": "CWE-918",
    "xml external entity": "CWE-611",
    "crlf injection": "CWE-93",
    "cross site request forgery": "CWE-352",
}
