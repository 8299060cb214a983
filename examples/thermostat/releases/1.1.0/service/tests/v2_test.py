"""Version 2 of the API, and version 1 while the contract step takes the calibration away."""

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

    def test_a_device_without_a_band_of_its_own_gets_the_usual_one(self):
        status, content = self.service.ask("GET", "/v2/comfort/new-1")
        self.assertEqual((status, content["humidity_low"]), (200, 40))
        self.change("INSERT INTO comfort VALUES ('new-1', 30, 50)")
        self.assertEqual(self.service.ask("GET", "/v2/comfort/new-1")[1]["humidity_low"], 30)

    def test_the_contract_step_ends_the_calibration_and_nothing_else(self):
        self.assertEqual(self.service.ask("GET", "/v1/calibration/d-1")[0], 200)
        self.change("ALTER TABLE device DROP COLUMN calibration_milli")
        status, content = self.service.ask("GET", "/v1/calibration/d-1")
        self.assertEqual((status, content["error"]["code"]), (410, "calibration.gone"))
        self.assertEqual(self.service.ask("POST", "/v1/telemetry", reading())[0], 201)
        self.assertEqual(self.service.ask("GET", "/v1/setpoint/d-1")[0], 200)


if __name__ == "__main__":
    unittest.main()
