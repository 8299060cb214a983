"""Your own copy of the example through the pipeline: what is bad in it is stopped, and why."""

from __future__ import annotations

import tempfile
from pathlib import Path

from surefoot.demo import acts
from surefoot.demo.stage import Stage, Unexpected


def main(product: Path) -> int:
    """Cut release 1.0.0 of a folder and bring it to dev and staging. Returns the exit status."""
    if not (product / "surefoot.yaml").is_file():
        print(f"{product}: no surefoot.yaml; copy examples/thermostat and edit the copy")
        return 2
    stage = Stage(Path(tempfile.mkdtemp(prefix="surefoot-yours-")), product, _say)
    try:
        acts.install(stage)
        acts.enrol_devices(stage)
        acts.cut(stage, "1.0.0")
        acts.deploy(stage, "dev", "1.0.0")
        acts.deploy(stage, "staging", "1.0.0")
        _say("\nyour product reached staging; production would ask two people")
        return 0
    except Unexpected as stopped:
        _say(f"\nstopped: {stopped}")
        return 1
    finally:
        stage.close()
        stage.remove()


def _say(line: str) -> None:
    print(line, flush=True)
