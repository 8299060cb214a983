"""Your own copy of the example through the pipeline: what is bad in it is stopped, and why."""

from __future__ import annotations

import signal
import sys
import tempfile
from pathlib import Path

from surefoot.demo import acts
from surefoot.demo.stage import Stage, Unexpected, end_on_signals
from surefoot.demo.voice import voice

_USAGE_STATUS = 2
_INTERRUPTED_STATUS = 130


def main(product: Path) -> int:
    """Cut release 1.0.0 of a folder and bring it to dev and staging. Returns the exit status:
    0 when it reached staging, 1 when something stopped it, 2 when there is no such product."""
    if not (product / "surefoot.yaml").is_file():
        sys.stderr.write(
            f"{product}: no surefoot.yaml there\n"
            "copy the example and change the copy: cp -r examples/thermostat yours\n"
        )
        return _USAGE_STATUS
    speaker = voice()
    stage = Stage(Path(tempfile.mkdtemp(prefix="surefoot-yours-")), product.absolute(), speaker)
    end_on_signals()
    try:
        _perform(stage)
        speaker.quiet()
        speaker.good("your product reached staging; production would ask two people")
        return 0
    except Unexpected as stopped:
        speaker.quiet()
        speaker.caught(f"stopped: {stopped}")
        for line in _said_by_devices(stage):
            speaker.note(line)
        return 1
    except KeyboardInterrupt:
        return _INTERRUPTED_STATUS
    finally:
        signal.signal(signal.SIGINT, signal.SIG_IGN)  # one Ctrl-C more would leave processes behind
        speaker.quiet()
        stage.close()
        stage.remove()


def _perform(stage: Stage) -> None:
    voice = stage.voice
    voice.act(1, "An installation, people and devices")
    voice.passing("making it")
    acts.install(stage)
    acts.enrol_devices(stage)
    voice.act(2, f"Release 1.0.0 of {stage.product.name}: build, tests, gates")
    acts.cut(stage, "1.0.0")
    voice.act(3, "1.0.0 to dev")
    acts.deploy(stage, "dev", "1.0.0")
    voice.act(4, "1.0.0 to staging")
    acts.deploy(stage, "staging", "1.0.0")


def _said_by_devices(stage: Stage) -> list[str]:
    """What the first device that failed in each environment gave as its reason."""
    lines = []
    for environment in stage.fleets:
        listed = stage.run("olga", "device", "list", environment)["devices"]
        for name in (row["device"] for row in listed):
            reports = stage.run("olga", "device", "show", environment, name)["reports"]
            failed = next((r for r in reports if r.get("to") == "failed" and r.get("reason")), None)
            if failed:
                lines.append(f"{name} said: {failed['reason']}")
                break
    return lines
