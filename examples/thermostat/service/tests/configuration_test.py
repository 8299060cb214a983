"""What the service is started with is checked, and a secret is never shown."""

import json
import tempfile
import unittest
from pathlib import Path

from thermostat.configuration import Unusable, database_path, read

KEY = "a key of enough letters"


class Reading(unittest.TestCase):
    def read(self, configuration, secrets):
        with tempfile.TemporaryDirectory() as folder:
            paths = [Path(folder) / name for name in ("configuration.json", "secrets.json")]
            for path, content in zip(paths, (configuration, secrets), strict=True):
                path.write_text(content if isinstance(content, str) else json.dumps(content))
            return read(*paths)

    def test_values_may_be_flat_or_under_values(self):
        for configuration in (
            {"database": "/d", "sample_seconds": 30},
            {"database": "sqlite:/d", "values": {"sample_seconds": 30}},
        ):
            found = self.read(configuration, {"session_key": KEY})
            self.assertEqual((str(found.database), found.sample_seconds), ("/d", 30))
            self.assertNotIn(KEY, repr(found))

    def test_unusable_files_are_told_without_their_content(self):
        good = {"database": "/d"}
        for configuration, secrets in [
            ("{", {"session_key": KEY}),
            (good, {}),
            (good, {"session_key": "short"}),
            (good, '{"session_key": "' + KEY),
            ({"database": 5}, {"session_key": KEY}),
            ({"database": "/d", "sample_seconds": 0}, {"session_key": KEY}),
        ]:
            with self.subTest(configuration=configuration), self.assertRaises(Unusable) as caught:
                self.read(configuration, secrets)
            self.assertNotIn(KEY, str(caught.exception))

    def test_a_postgresql_address_is_refused_clearly(self):
        for address in ("postgresql://localhost/x", "host=localhost dbname=x"):
            with self.assertRaisesRegex(Unusable, "PostgreSQL"):
                database_path(address)

    def test_sqlite_addresses(self):
        for address in ("/d/main.sqlite", "sqlite:/d/main.sqlite", "sqlite:///d/main.sqlite"):
            self.assertEqual(str(database_path(address)), "/d/main.sqlite")


if __name__ == "__main__":
    unittest.main()
