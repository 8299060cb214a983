"""Long work in the background, with lines of progress; lost with the process, safe to repeat."""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable

import msgspec

from surefoot.app.moment import shown
from surefoot.core.errors import Failed, Refused, SurefootError
from surefoot.core.target import Plain

_log = logging.getLogger("surefoot.jobs")

Report = Callable[[str], None]
"""Takes one line of progress."""

LINES_MAX = 5000
JOBS_MAX = 200


class Line(msgspec.Struct, frozen=True, kw_only=True):
    """A line of progress."""

    n: int
    time_ms: int
    text: str


class Job(msgspec.Struct, kw_only=True):
    """One piece of work."""

    id: str
    owner: str
    status: str = "running"
    lines: list[Line] = []
    error: dict[str, str] | None = None
    result: Plain | None = None


class Jobs:
    """Runs jobs, one thread each, a bounded number remembered."""

    def __init__(self, now_ms: Callable[[], int], token: Callable[[int], bytes]) -> None:
        self._now_ms = now_ms
        self._token = token
        self._jobs: dict[str, Job] = {}
        self._guard = threading.Lock()

    def start(self, owner: str, work: Callable[[Report], Plain]) -> str:
        """Begin work, which gets a function to report lines with; returns the job's id."""
        with self._guard:
            if sum(j.status == "running" for j in self._jobs.values()) >= 4:
                raise Failed(
                    "job.too-many",
                    "job",
                    expected="fewer than 4 jobs at a time",
                    found="4 under way",
                    remedy="wait for one to end",
                )
            while len(self._jobs) >= JOBS_MAX:
                del self._jobs[next(iter(self._jobs))]
            job = Job(id=self._token(8).hex(), owner=owner, lines=[])
            self._jobs[job.id] = job
        threading.Thread(target=self._run, args=(job, work), name="job", daemon=True).start()
        return job.id

    def show(self, job_id: str, after: int) -> Plain:
        """A job's state and its lines after a number. Raises `Refused("job.unknown")`."""
        with self._guard:
            job = self._jobs.get(job_id)
        if job is None:
            raise Refused(
                "job.unknown",
                f"job {job_id[:40]}",
                expected="a job of this server's present run",
                found="none of that name",
                remedy="start it again; what was built is found again",
            )
        answer: Plain = {
            "job": job.id,
            "status": job.status,
            "lines": [
                {"n": line.n, "at": shown(line.time_ms), "text": line.text}
                for line in job.lines[max(0, after) :]
            ],
        }
        if job.error is not None:
            answer["error"] = dict(job.error)
        if job.result is not None:
            answer["result"] = job.result
        return answer

    def _run(self, job: Job, work: Callable[[Report], Plain]) -> None:
        def report(text: str) -> None:
            if len(job.lines) < LINES_MAX:
                job.lines.append(
                    Line(n=len(job.lines) + 1, time_ms=self._now_ms(), text=text[:1000])
                )

        try:
            job.result = work(report)
            job.status = "done"
        except SurefootError as error:
            job.error, job.status = error.record(), "failed"
        except Exception as error:  # noqa: BLE001 -- the thread's last place: the asker must hear of it
            _log.exception("job %s", job.id)
            job.error = Failed(
                "job.fault", "job", expected="an end", found=type(error).__name__
            ).record()
            job.status = "failed"
