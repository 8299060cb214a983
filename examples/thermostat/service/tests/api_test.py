"""The service as a client sees it: a real process, a real database, real connections."""

import http.client
import json
import signal
import sqlite3
import subprocess
import sys
import tempfile
import unittest
from pathlib import Path

HERE = Path(__file__).resolve().parent
SCHEMA = HERE / "schema.sql"


class Service:
    """One running service on a port of its own."""

    def __init__(self, folder, schema=None, sample_seconds=60):
        self.database = folder / "main.sqlite"
        with sqlite3.connect(self.database) as connection:
            connection.executescript(SCHEMA.read_text() if schema is None else schema)
        connection.close()
        config = {
            "database": str(self.database),
            "sample_seconds": sample_seconds,
            "greeting": "hi",
        }
        (folder / "configuration.json").write_text(json.dumps(config))
        (folder / "secrets.json").write_text(json.dumps({"session_key": "0123456789abcdef"}))
        self.process = subprocess.Popen(
            [
                sys.executable,
                "-m",
                "thermostat",
                "--listen",
                "tcp:127.0.0.1:0",
                "--config",
                folder / "configuration.json",
                "--secrets",
                folder / "secrets.json",
            ],
            cwd=HERE.parent,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )
        line = self.process.stdout.readline()
        self.port = int(line.rpartition(":")[2]) if line else 0

    def ask(self, method, path, content=None, headers=None):
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=10)
        body = content if isinstance(content, bytes | None) else json.dumps(content)
        connection.request(method, path, body, headers or {})
        answer = connection.getresponse()
        content = json.loads(answer.read())
        connection.close()
        return answer.status, content

    def stop(self):
        self.process.send_signal(signal.SIGTERM)
        _, self.errors = self.process.communicate(timeout=10)
        return self.process.returncode


def reading(**changes):
    return {"device": "d-1", "sequence": 1, "temperature": 21.5, "room": "hall", **changes}


class WithService(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        cls.folder = tempfile.TemporaryDirectory()
        cls.service = Service(Path(cls.folder.name))

    @classmethod
    def tearDownClass(cls):
        cls.service.stop()
        cls.folder.cleanup()

    def rows(self, sql, *values):
        connection = sqlite3.connect(self.service.database)
        found = connection.execute(sql, values).fetchall()
        connection.close()
        return found

    def test_health_looks_into_the_database(self):
        status, content = self.service.ask("GET", "/health")
        self.assertEqual((status, content["status"], content["greeting"]), (200, "ok", "hi"))

    def test_version_is_told(self):
        status, content = self.service.ask("GET", "/version")
        self.assertEqual(status, 200)
        self.assertEqual(len(content["http"]), 2)

    def test_an_acknowledged_reading_is_in_the_database(self):
        status, _ = self.service.ask("POST", "/v1/telemetry", reading(device="stored"))
        self.assertEqual(status, 201)
        found = self.rows("SELECT temperature, room FROM telemetry WHERE device = 'stored'")
        self.assertEqual(found, [(21.5, "hall")])

    def test_the_same_reading_twice_is_stored_once(self):
        answers = [
            self.service.ask("POST", "/v1/telemetry", reading(device="twice"))[0] for _ in "ab"
        ]
        self.assertEqual(answers, [201, 200])
        self.assertEqual(self.rows("SELECT count(*) FROM telemetry WHERE device = 'twice'"), [(1,)])

    def test_another_reading_under_the_same_number_is_refused(self):
        self.service.ask("POST", "/v1/telemetry", reading(device="other"))
        status, content = self.service.ask(
            "POST", "/v1/telemetry", reading(device="other", temperature=3)
        )
        self.assertEqual((status, content["error"]["code"]), (409, "telemetry.sequence"))

    def test_each_field_is_checked(self):
        for key, value in [
            ("temperature", "71.6 F"),
            ("temperature", True),
            ("temperature", 126),
            ("temperature", None),
            ("sequence", -1),
            ("sequence", 1.5),
            ("room", ""),
            ("room", "x" * 65),
            ("device", "../x"),
            ("device", "x" * 65),
        ]:
            with self.subTest(key=key, value=value):
                status, content = self.service.ask("POST", "/v1/telemetry", reading(**{key: value}))
                self.assertEqual((status, content["error"]["code"]), (422, f"field.{key}"))

    def test_a_set_point_changes_only_with_the_tag_of_the_one_read(self):
        _, before = self.service.ask("GET", "/v1/setpoint/hall-1")
        self.assertEqual((before["celsius"], before["sample_seconds"]), (20.0, 60))
        change = {"celsius": 22.5}
        status, _ = self.service.ask("PUT", "/v1/setpoint/hall-1", change, {"If-Match": "wrong"})
        self.assertEqual(status, 412)
        quoted = {"If-Match": f'"{before["tag"]}"'}
        status, after = self.service.ask("PUT", "/v1/setpoint/hall-1", change, quoted)
        self.assertEqual((status, after["celsius"]), (200, 22.5))
        status, _ = self.service.ask("PUT", "/v1/setpoint/hall-1", {"celsius": 5}, quoted)
        self.assertEqual(status, 412)

    def test_what_cannot_be_read_is_refused_with_its_limit(self):
        for body, status in [(b"{", 400), (b"[]", 400), (b"x" * 65537, 413)]:
            with self.subTest(size=len(body)):
                self.assertEqual(self.service.ask("POST", "/v1/telemetry", body)[0], status)
        self.assertEqual(self.service.ask("GET", "/nothing")[0], 404)
        self.assertEqual(self.service.ask("DELETE", "/v1/telemetry")[0], 405)
        self.assertEqual(self.service.ask("GET", "/health", headers={"X": "y" * 20000})[0], 431)

    def test_one_connection_serves_many_requests(self):
        connection = http.client.HTTPConnection("127.0.0.1", self.service.port, timeout=10)
        for number in range(20):
            connection.request(
                "POST", "/v1/telemetry", json.dumps(reading(device="k", sequence=number))
            )
            answer = connection.getresponse()
            answer.read()
            self.assertEqual(answer.status, 201)
        connection.close()


class StartAndStop(unittest.TestCase):
    def test_a_missing_table_refuses_the_start(self):
        with tempfile.TemporaryDirectory() as folder:
            service = Service(Path(folder), schema="CREATE TABLE device (device TEXT)")
            self.assertEqual(service.process.wait(timeout=10), 3)
            errors = service.process.communicate()[1]
            self.assertIn("run this release's migrations first", errors)
            self.assertNotIn("0123456789abcdef", errors)

    def test_it_stops_in_order_with_a_client_connected(self):
        with tempfile.TemporaryDirectory() as folder:
            service = Service(Path(folder))
            connection = http.client.HTTPConnection("127.0.0.1", service.port, timeout=10)
            connection.request("GET", "/health")
            connection.getresponse().read()
            self.assertEqual(service.stop(), 0)
            connection.close()
            self.assertEqual(service.errors, "")

    def test_a_write_waits_for_a_migration_and_a_health_check_does_not(self):
        with tempfile.TemporaryDirectory() as folder:
            service = Service(Path(folder))
            migration = sqlite3.connect(service.database, isolation_level=None)
            migration.execute("BEGIN IMMEDIATE")
            connection = http.client.HTTPConnection("127.0.0.1", service.port, timeout=10)
            connection.request("POST", "/v1/telemetry", json.dumps(reading()))
            self.assertEqual(service.ask("GET", "/health")[0], 200)
            migration.execute("COMMIT")
            self.assertEqual(connection.getresponse().status, 201)
            connection.close()
            migration.close()
            service.stop()


if __name__ == "__main__":
    unittest.main()
