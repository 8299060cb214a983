"""The page of a load report: one file of HTML with its plots, that needs nothing else.

Keeps: no script, nothing is fetched (its own content policy says so), everything from outside is
escaped; light and dark; colours differ in lightness as well.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from datetime import UTC, datetime
from html import escape
from importlib import resources

from surefoot.core.histogram import Histogram
from surefoot.gates.load.assess import climb, knee
from surefoot.gates.load.plots import Line, Span, lines, spans
from surefoot.gates.load.record import RunRecord
from surefoot.gates.load.report import Report, ScenarioReport

_SHARES = (0.0, 0.25, 0.5, 0.75, 0.9, 0.95, 0.975, 0.99, 0.995, 0.999, 0.9995, 0.9999)
_SHARE_TICKS = ((0.0, "0"), (0.5, "50 %"), (0.9, "90 %"), (0.99, "99 %"), (0.999, "99.9 %"))


def page(report: Report) -> str:
    """The whole page."""
    style = resources.files("surefoot.gates.load").joinpath("page.css").read_text("utf-8")
    when = datetime.fromtimestamp(report.at_ms / 1000, UTC).strftime("%Y-%m-%d %H:%M:%S UTC")
    parts = [
        "<!doctype html><html lang=en><meta charset=utf-8>",
        "<meta http-equiv=Content-Security-Policy "
        "content=\"default-src 'none'; style-src 'unsafe-inline'\">",
        "<meta name=viewport content='width=device-width'>",
        f"<title>Load report, {escape(report.environment)}</title><style>{style}</style>",
        "<header><h1>Load report</h1><dl>",
        f"<dt>environment</dt><dd>{escape(report.environment)}</dd>",
        f"<dt>release</dt><dd><code>{escape(report.subject[:23])}…</code></dd>",
        f"<dt>began</dt><dd>{when}</dd></dl></header><main>",
    ]
    parts += [_scenario(one) for one in report.scenarios]
    parts.append(
        "</main><footer>Latency is from the moment a request was due, not from when it was sent: "
        "a service that stalls is charged for everybody who had to wait.</footer></html>"
    )
    return "".join(parts)


def outcome_of(one: ScenarioReport) -> str:
    """pass, fail or inconclusive, as the gate judges it."""
    return "fail" if one.limits else "inconclusive" if one.open else "pass"


def _scenario(one: ScenarioReport) -> str:
    scenario, outcome = one.scenario, outcome_of(one)
    what = f"{scenario.shape}, {_rate(one)}, {scenario.seconds} s, {scenario.arrivals} arrivals"
    if scenario.poll_seconds:
        what = f"{scenario.devices:,} devices, each every {scenario.poll_seconds} s"
    runs = f"{len(one.runs)} run{'s' if len(one.runs) != 1 else ''}"
    if one.baseline:
        runs += f" against {len(one.baseline)} of the baseline"
    parts = [
        f"<section><h2>{escape(scenario.name)} <b class='badge {outcome}'>{outcome}</b></h2>",
        f"<p class=what>{what}; {runs}</p>",
        _reasons(one),
        _tiles(one),
    ]
    if one.runs:
        last = one.runs[-1]
        parts += ["<div class=plots>", _figure("Latency, second by second", _latency(one, last))]
        parts += [_figure("Requests, second by second", _requests(last))]
        if scenario.shape == "stress":
            parts += [_figure("The climb, rate by rate", _climb(one, last))]
        parts += [_figure("How latencies are spread", _spread(one))]
        if scenario.shape != "stress":
            parts += [_figure("How late the generator was", _lag(last))]
        parts += ["</div>"]
    parts += [_comparison(one), _endpoints(one), _sight(one), _health(one), "</section>"]
    return "".join(parts)


def _rate(one: ScenarioReport) -> str:
    scenario = one.scenario
    if scenario.shape in ("stress", "spike") and scenario.peak_rate:
        return f"{scenario.rate} to {scenario.peak_rate} requests/s"
    return f"{scenario.rate} requests/s"


def _reasons(one: ScenarioReport) -> str:
    rows = [("fail", f"{limit.place}: {limit.words}") for limit in one.limits]
    rows += [("inconclusive", words) for words in one.open]
    items = "".join(f"<li class={kind}>{escape(words)}</li>" for kind, words in rows)
    return f"<ul class=reasons>{items}</ul>" if items else ""


def _tiles(one: ScenarioReport) -> str:
    whole = one.latencies()
    good, bad = sum(run.good for run in one.runs), sum(run.bad for run in one.runs)
    tiles = [
        ("answered", f"{good:,}"),
        ("failed", f"{bad:,}"),
        *((name, _ms(whole.quantile(share))) for name, share in _NAMED),
        ("longest", _ms(whole.highest_us)),
    ]
    if one.scenario.shape == "stress" and one.runs:
        reached = min(knee(one.scenario, run) for run in one.runs)
        tiles.append(("knee", f"{reached:.0f} requests/s"))
    shown = "".join(f"<div><dt>{name}</dt><dd>{value}</dd></div>" for name, value in tiles)
    return f"<dl class=tiles>{shown}</dl>"


_NAMED = (("p50", 0.5), ("p95", 0.95), ("p99", 0.99))


def _latency(one: ScenarioReport, run: RunRecord) -> str:
    rows = [
        Line(
            name=name,
            colour=colour,
            points=[(s.second, getattr(s, key) / 1000) for s in run.series],
        )
        for name, colour, key in (
            ("p50", "c1", "p50_us"),
            ("p95", "c2", "p95_us"),
            ("p99", "c3", "p99_us"),
        )
    ]
    limits = [
        (f"limit {name} {value} ms", float(value))
        for name, value in (
            ("p50", one.scenario.limits.p50_ms),
            ("p95", one.scenario.limits.p95_ms),
            ("p99", one.scenario.limits.p99_ms),
        )
        if value is not None
    ]
    return lines("latency by second", rows, unit="ms", across="seconds", limits=limits)


def _requests(run: RunRecord) -> str:
    rows = [
        Line(
            name=name,
            colour=colour,
            points=[
                *((s.second, float(getattr(s, key))) for s in run.series),
                *((s.second + 1, float(getattr(s, key))) for s in run.series[-1:]),
            ],
            stairs=True,
        )
        for name, colour, key in (
            ("due", "c4", "due"),
            ("answered", "c1", "good"),
            ("failed", "bad", "bad"),
        )
    ]
    return lines("requests by second", rows, unit="requests", across="seconds")


def _lag(run: RunRecord) -> str:
    points = [(s.second, s.lag_us / 1000) for s in run.series]
    rows = [Line(name="largest lag", colour="c4", points=points)]
    return lines("lag by second", rows, unit="ms", across="seconds")


def _climb(one: ScenarioReport, run: RunRecord) -> str:
    stairs = climb(one.scenario, run)
    points = [(stair.rate, stair.p95_us / 1000) for stair in stairs]
    rows = [Line(name="p95 at this rate", colour="c2", points=points)]
    limit = one.scenario.limits.p95_ms
    limits = [(f"limit p95 {limit} ms", float(limit))] if limit else []
    return lines("latency by rate", rows, unit="ms", across="requests a second", limits=limits)


def _spread(one: ScenarioReport) -> str:
    def points(whole: Histogram) -> list[tuple[float, float]]:
        shares = [s for s in _SHARES if s < 1 - 1 / max(2, whole.total)]
        return [(_nines(share), whole.quantile(share) / 1000) for share in shares]

    rows = [Line(name="this release", colour="c1", points=points(one.latencies()))]
    if one.baseline:
        rows.append(Line(name="baseline", colour="c4", points=points(one.baseline_latencies())))
    last = max((x for row in rows for x, _ in row.points), default=0.0)
    ticks = [(_nines(share), label) for share, label in _SHARE_TICKS if _nines(share) <= last]
    return lines(
        "latency by share",
        rows,
        unit="ms",
        across="share of requests that took no longer",
        ticks=ticks,
    )


def _nines(share: float) -> float:
    """How many nines: 0.9 is 1, 0.99 is 2."""
    return -math.log10(1 - share)


def _comparison(one: ScenarioReport) -> str:
    if one.comparison is None:
        return ""
    rows = [row for row in one.comparison.rows if row.measure != "errors" and row.baseline]
    plot = spans(
        "change against the baseline",
        [
            Span(
                name=f"{row.measure} {row.endpoint}",
                low=row.low,
                middle=row.ratio,
                high=row.high,
                limit=row.margin,
                outcome=row.outcome,
            )
            for row in rows
        ],
    )
    table = _table(
        ("endpoint", "measure", "baseline", "this release", "change", "95 % interval", "verdict"),
        [
            (
                row.endpoint,
                row.measure,
                f"{row.baseline:.2f} %" if row.measure == "errors" else _ms(row.baseline),
                f"{row.candidate:.2f} %" if row.measure == "errors" else _ms(row.candidate),
                "" if row.measure == "errors" else f"{100 * (row.ratio - 1):+.1f} %",
                ""
                if row.measure == "errors"
                else f"{100 * (row.low - 1):+.1f} to {100 * (row.high - 1):+.1f} %",
                f"{row.outcome}: {row.reason}",
            )
            for row in one.comparison.rows
        ],
    )
    how = "<p>A bar is the interval over all runs, the dashed mark the margin.</p>"
    return _figure("Change against the baseline", how + plot) + table


def _endpoints(one: ScenarioReport) -> str:
    rows = []
    for run in one.runs[-1:]:
        for end in run.endpoints:
            wrong = "; ".join(f"{count}× {kind}" for kind, count in end.errors.items())
            times = [_ms(t) for t in (end.p50_us, end.p95_us, end.p99_us, end.max_us)]
            rows.append((end.label, f"{end.good:,}", *times, wrong or "none"))
    head = ("endpoint, last run", "answered", "p50", "p95", "p99", "longest", "failed")
    return _table(head, rows)


def _sight(one: ScenarioReport) -> str:
    rows = [(s.endpoint, s.measure, str(s.runs), f"{s.percent:.0f} %") for s in one.sight]
    return _table(
        ("what this environment can see", "measure", "runs", "least slowdown found"), rows
    )


def _health(one: ScenarioReport) -> str:
    rows = []
    for side, kept in (("this release", one.runs), ("baseline", one.baseline)):
        for number, run in enumerate(kept, 1):
            health = run.health
            rows.append(
                (
                    f"{side}, run {number}",
                    f"{health.sent:,} of {health.due:,}",
                    _ms(health.lag_p50_us),
                    _ms(health.lag_p95_us),
                    _ms(health.lag_max_us),
                    f"{health.cpu_percent} %",
                    str(health.connections),
                )
            )
    head = ("generator", "sent", "lag p50", "lag p95", "lag most", "processor", "connections")
    sent = sum(run.health.sent for run in (*one.runs, *one.baseline))
    runs = f"{len(rows)} run{'s' if len(rows) > 1 else ''}"
    title = f"<summary>The generator: {runs}, {sent:,} requests sent</summary>"
    return f"<details>{title}{_table(head, rows)}</details>"


def _table(head: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    if not rows:
        return ""
    heads = "".join(f"<th>{escape(word)}</th>" for word in head)
    body = "".join(
        "<tr>" + "".join(f"<td>{escape(cell)}</td>" for cell in row) + "</tr>" for row in rows
    )
    whole = f"<table><thead><tr>{heads}</tr></thead><tbody>{body}</tbody></table>"
    return f"<div class=table>{whole}</div>"


def _figure(title: str, content: str) -> str:
    return f"<figure><figcaption>{escape(title)}</figcaption>{content}</figure>" if content else ""


def _ms(microseconds: float) -> str:
    milliseconds = microseconds / 1000
    digits = 2 if milliseconds < 10 else 1 if milliseconds < 100 else 0
    return f"{milliseconds:.{digits}f} ms"
