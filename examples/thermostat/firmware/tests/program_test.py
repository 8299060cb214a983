"""The program as the boot loader runs it: from a built image, against a service that answers."""

import json
import subprocess
import sys
import tempfile
import threading
import unittest
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import build

NEWEST = 34_000


class Answering(BaseHTTPRequestHandler):
    """Answers like the service; remembers what was posted."""

    protocol_version = "HTTP/1.1"
    status = 201

    def do_GET(self):
        self.server.asked.append(self.path)
        self.send(
            200,
            {
                "celsius": 20.0,
                "sample_seconds": self.server.sample_seconds,
                "milli_celsius": 250,
                "humidity_low": 40,
                "humidity_high": 60,
            },
        )

    def do_POST(self):
        self.server.asked.append(self.path)
        self.server.posted.append(json.loads(self.rfile.read(int(self.headers["Content-Length"]))))
        error = {"error": {"code": "field.x", "expected": "a number", "found": "'x'"}}
        self.send(self.status, {} if self.status == 201 else error)

    def send(self, status, content):
        body = json.dumps(content).encode()
        self.send_response(status)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_):
        pass


class Program(unittest.TestCase):
    sample_seconds = 60

    @classmethod
    def setUpClass(cls):
        cls.folder = tempfile.TemporaryDirectory()
        build.main(Path(cls.folder.name))

    @classmethod
    def tearDownClass(cls):
        cls.folder.cleanup()

    def setUp(self):
        self.state = tempfile.TemporaryDirectory()
        self.addCleanup(self.state.cleanup)
        self.fit(
            {"curve": "10k-3950", "room": "hall", "readings": [[30_000, 9_000], [NEWEST, 30_000]]}
        )
        answering = type("Own", (Answering,), {})
        self.server = ThreadingHTTPServer(("127.0.0.1", 0), answering)
        self.server.sample_seconds = self.sample_seconds
        self.server.asked, self.server.posted, self.answering = [], [], answering
        threading.Thread(target=self.server.serve_forever, args=(0.02,)).start()
        self.addCleanup(self.server.server_close)
        self.addCleanup(self.server.shutdown)

    def fit(self, hardware):
        (Path(self.state.name) / "hardware.json").write_text(json.dumps(hardware))

    def run_program(self, what="--health"):
        image = str(Path(self.folder.name) / "firmware.img")
        service = f"http://127.0.0.1:{self.server.server_port}"
        command = [sys.executable, "-I", "-S", image, what, service, "d-1", self.state.name]
        return subprocess.run(command, capture_output=True, text=True, timeout=20)

    def test_health_sends_a_reading_and_says_which_version_ran(self):
        done = self.run_program()
        self.assertEqual((done.returncode, done.stderr), (0, ""))
        described = json.loads((Path(build.__file__).parent / "firmware.json").read_bytes())
        self.assertEqual(json.loads(done.stdout)["version"], described["version"])
        [reading] = self.server.posted
        self.assertEqual(
            (reading["device"], reading["room"], reading["sequence"]), ("d-1", "hall", 0)
        )
        self.assertIsInstance(reading["temperature"], float)

    def test_each_reading_has_a_number_of_its_own(self):
        for _ in range(3):
            self.assertEqual(self.run_program("--sample").returncode, 0)
        self.assertEqual([reading["sequence"] for reading in self.server.posted], [0, 1, 2])

    def test_a_refused_reading_fails_with_the_reason_on_one_line(self):
        self.answering.status = 422
        done = self.run_program()
        self.assertEqual(done.returncode, 1)
        self.assertRegex(done.stderr, r"422: field\.x: expected a number, found 'x'\n$")

    def test_a_silent_service_fails(self):
        self.server.shutdown()
        self.server.server_close()
        self.assertEqual(self.run_program().returncode, 1)

    def test_a_missing_sensor_fails(self):
        self.fit({"curve": "unknown", "room": "hall", "readings": [[1, 1]]})
        self.assertIn("no curve", self.run_program().stderr)
        self.fit({})
        self.assertIn("cannot be read", self.run_program().stderr)


if __name__ == "__main__":
    unittest.main()
