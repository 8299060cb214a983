"""Puts the example product into the wheel, where `surefoot init --example` and `demo` find it."""

import shutil
from pathlib import Path

from setuptools import setup
from setuptools.command.build_py import build_py

EXAMPLES = Path(__file__).resolve().parent / "examples"
LEFT_OUT = shutil.ignore_patterns("__pycache__", "*.pyc", ".pytest_cache")


class WithExamples(build_py):
    """An editable installation finds them in the repository that it runs from."""

    def run(self) -> None:
        """Build as always, then copy."""
        super().run()
        if not self.editable_mode:
            place = Path(self.build_lib) / "surefoot" / "examples"
            shutil.copytree(EXAMPLES, place, ignore=LEFT_OUT, dirs_exist_ok=True)


setup(cmdclass={"build_py": WithExamples})
