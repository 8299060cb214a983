"""Version 2 of the API while the contract step takes the comfort band away."""

import sqlite3
import tempfile
import unittest
from pathlib import Path

from tests.api_test import Service, reading


class VersionTwo(unittest.TestCase):
    def setUp(self):
        self.folder = tempfile.TemporaryDirectory()
        self.addCleanup(self.folder.cleanup)
        self.service = Service(Path(self.folder.name))
        self.addCleanup(self.service.stop)

    def change(self, sql):
        connection = sqlite3.connect(self.service.database)
        connection.execute(sql)
        connection.commit()
        connection.close()

    def test_humidity_is_stored_and_checked(self):
        status, _ = self.service.ask("POST", "/v2/telemetry", reading(humidity=55.5))
        self.assertEqual(status, 201)
        status, content = self.service.ask("POST", "/v2/telemetry", reading(sequence=2))
        self.assertEqual((status, content["error"]["code"]), (422, "field.humidity"))

    def test_the_contract_step_ends_the_comfort_band_and_nothing_else(self):
        self.assertEqual(self.service.ask("GET", "/v2/comfort/d-1")[0], 200)
        self.change("DROP TABLE comfort")
        status, content = self.service.ask("GET", "/v2/comfort/d-1")
        self.assertEqual((status, content["error"]["code"]), (410, "comfort.gone"))
        self.assertEqual(self.service.ask("POST", "/v2/telemetry", reading(humidity=5))[0], 201)
        self.assertEqual(self.service.ask("GET", "/v1/setpoint/d-1")[0], 200)
        self.assertEqual(self.service.ask("GET", "/v1/calibration/d-1")[0], 410)


class VersionThree(VersionTwo):
    def test_both_units_are_stored_in_celsius(self):
        for sequence, unit, value in [(1, "celsius", 22.0), (2, "fahrenheit", 71.6)]:
            sent = reading(sequence=sequence, temperature=value, unit=unit, humidity=5, readings=2)
            self.assertEqual(self.service.ask("POST", "/v3/telemetry", sent)[0], 201)
        connection = sqlite3.connect(self.service.database)
        found = connection.execute("SELECT temperature, readings FROM telemetry").fetchall()
        connection.close()
        self.assertEqual(found, [(22.0, 2), (22.0, 2)])

    def test_text_and_unknown_units_are_refused(self):
        for key, value in [("temperature", "71.6"), ("unit", "kelvin"), ("readings", 0)]:
            sent = reading(**{"unit": "celsius", "humidity": 5, "readings": 1, key: value})
            status, content = self.service.ask("POST", "/v3/telemetry", sent)
            self.assertEqual((status, content["error"]["code"]), (422, f"field.{key}"))


if __name__ == "__main__":
    unittest.main()
