"""Renew the locks: names, versions and hashes, never a host.

Needs uv in the virtual environment. `requirements.lock` runs the product, `requirements-test.lock`
adds what the tests need; `requirements-field.lock` is a device client that the field tests run,
without what Debian has of it.
"""

import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
WORDS = (
    "pip", "compile", "--quiet", "--universal", "--python-version", "3.11", "--generate-hashes",
    "--no-emit-index-url", "--no-header", "--no-annotate", "--upgrade",
)  # fmt: skip
EXTRAS = {
    "requirements.lock": ("server", "postgres", "scan", "build"),
    "requirements-test.lock": ("server", "postgres", "scan", "build", "test"),
}


FIELD = ("--no-emit-package", "pygobject", "--no-emit-package", "pycairo")


def main() -> None:
    """Write the locks."""
    uv = Path(sys.executable).with_name("uv")
    for name, extras in EXTRAS.items():
        chosen = [word for extra in extras for word in ("--extra", extra)]
        subprocess.run(
            [str(uv), *WORDS, *chosen, "pyproject.toml", "-o", name], cwd=ROOT, check=True
        )
    wanted = ("tests/field_real/requirements.in", "-o", "requirements-field.lock")
    subprocess.run([str(uv), *WORDS, *FIELD, *wanted], cwd=ROOT, check=True)


if __name__ == "__main__":
    main()
