"""`demo`: the main job on a real product, as a user would do it; loaded only when asked for."""

from __future__ import annotations

import argparse
import importlib
import sys
from pathlib import Path

from surefoot.doors.cli import setup


def demo(options: argparse.Namespace) -> int:
    """Perform it on the example, or the pipeline on the reader's edited copy."""
    if options.yours:
        yours: int = importlib.import_module("surefoot.demo.yours").main(Path(options.yours))
        return yours
    stay = sys.stdout.isatty() and not options.exit
    keep = Path(options.folder).absolute() if options.folder else None
    play = importlib.import_module("surefoot.demo.run")
    seed = options.seed or play.SEED
    status: int = play.main(setup.example(), stay=stay, seed=seed, keep=keep)
    return status
