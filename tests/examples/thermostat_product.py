"""The example as a product: its releases built, its database migrated, its service run."""

from __future__ import annotations

import json
import shutil
import signal
import sqlite3
import subprocess
import sys
import tarfile
from pathlib import Path

EXAMPLE = Path(__file__).resolve().parents[2] / "examples" / "thermostat"
RELEASES = ("1.0.0", "1.1.0", "1.2.0", "1.2.1")


def checkouts(folder: Path) -> dict[str, Path]:
    """A copy of the example at each release."""
    found: dict[str, Path] = {}
    for release in RELEASES:
        found[release] = folder / release
        before = EXAMPLE if release == "1.0.0" else found[RELEASES[RELEASES.index(release) - 1]]
        ignored = shutil.ignore_patterns("__pycache__")
        shutil.copytree(before, found[release], ignore=ignored)
        if release != "1.0.0":
            apply(release, found[release])
    return found


def apply(release: str, folder: Path) -> None:
    """Bring a checkout to a later release, as its README says."""
    command = [sys.executable, EXAMPLE / "releases" / "apply.py", release, "--into", folder]
    subprocess.run(command, check=True, stdout=subprocess.DEVNULL)


def build(component: Path, out: Path) -> Path:
    """Run a component's build script."""
    subprocess.run([sys.executable, "build.py", out], cwd=component, check=True)
    return out


def migrate(database: Path, checkout: Path, *classes: str) -> None:
    """Apply a checkout's migrations of some classes, each in one transaction, once."""
    connection = sqlite3.connect(database, isolation_level=None, timeout=90)
    connection.execute("CREATE TABLE IF NOT EXISTS applied (name TEXT PRIMARY KEY)")
    done = {row[0] for row in connection.execute("SELECT name FROM applied")}
    try:
        for path in sorted((checkout / "migrations").glob("*.sql")):
            if path.name.split("_")[1] in classes and path.name not in done:
                noted = f"INSERT INTO applied VALUES ('{path.name}');"
                connection.executescript(f"BEGIN;\n{path.read_text()}\n{noted}\nCOMMIT;")
    finally:
        if connection.in_transaction:
            connection.execute("ROLLBACK")
        connection.close()


class Service:
    """A running service, from the built artifact as it would be deployed."""

    def __init__(
        self, artifact: Path, folder: Path, database: Path, *, sample_seconds: int
    ) -> None:
        folder.mkdir()
        with tarfile.open(artifact) as archive:
            # Python before 3.11.4 has no filters; the archive was built here.
            guarded = {"filter": "data"} if hasattr(tarfile, "data_filter") else {}
            archive.extractall(folder, **guarded)
        values = {"database": str(database), "greeting": "test", "sample_seconds": sample_seconds}
        (folder / "configuration.json").write_text(json.dumps(values))
        (folder / "secrets.json").write_text(json.dumps({"session_key": "for these tests only"}))
        words = ["--config", "configuration.json", "--secrets", "secrets.json"]
        self._process = subprocess.Popen(
            [sys.executable, "-m", "thermostat", "--listen", "tcp:127.0.0.1:0", *words],
            cwd=folder,
            stdout=subprocess.PIPE,
            text=True,
        )
        assert self._process.stdout is not None
        line = self._process.stdout.readline()
        self.address = "http://" + line.strip().partition("tcp:")[2]

    def stop(self) -> int:
        """End it in order; its exit status."""
        self._process.send_signal(signal.SIGTERM)
        self._process.communicate(timeout=300)
        return self._process.returncode
