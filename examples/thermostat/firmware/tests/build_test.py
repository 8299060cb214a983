"""The image is the same on every build, complete, and its curves are right."""

import hashlib
import json
import tempfile
import unittest
from pathlib import Path

import build
import tables


def at(curve, step):
    return int.from_bytes(curve[2 * step : 2 * step + 2], "little", signed=True)


class Image(unittest.TestCase):
    def test_two_builds_are_the_same_and_the_manifest_is_true(self):
        images = []
        for _ in range(2):
            with tempfile.TemporaryDirectory() as folder:
                build.main(Path(folder))
                images.append((Path(folder) / "firmware.img").read_bytes())
                manifest = json.loads((Path(folder) / "manifest.json").read_bytes())
        self.assertEqual(images[0], images[1])
        self.assertGreaterEqual(len(images[0]), 1024 * 1024)
        self.assertEqual(manifest["size"], len(images[0]))
        self.assertEqual(manifest["sha256"], hashlib.sha256(images[0]).hexdigest())

    def test_the_header_tells_what_the_payload_is(self):
        image = build.image_of({"name": "x"}, b"payload")
        length = int.from_bytes(image[8:12], "big")
        header = json.loads(image[12 : 12 + length])
        self.assertEqual(image[12 + length :], b"payload")
        self.assertEqual(header["payload_sha256"], hashlib.sha256(b"payload").hexdigest())


class Curves(unittest.TestCase):
    def test_room_temperature_is_where_the_resistances_are_equal(self):
        for name, fitted in tables.THERMISTORS.items():
            with self.subTest(name=name):
                step = round(tables.STEPS * fitted[0] / (fitted[0] + tables.SERIES_OHM))
                self.assertAlmostEqual(tables.hundredths(step, *fitted), 2500, delta=2)

    def test_more_resistance_is_colder_and_all_values_are_in_range(self):
        for name, fitted in tables.THERMISTORS.items():
            with self.subTest(name=name):
                values = [tables.hundredths(step, *fitted) for step in range(0, tables.STEPS, 64)]
                self.assertEqual(values, sorted(values, reverse=True))
                self.assertEqual(values[0], tables.HIGHEST)
                self.assertEqual(tables.hundredths(65_535, *fitted), tables.LOWEST)

    def test_a_curve_holds_the_values_in_order(self):
        fitted = tables.THERMISTORS["10k-3950"]
        curve = tables.curve(*fitted)
        self.assertEqual(len(curve), 2 * tables.STEPS)
        for step in (0, 30_000, 65_535):
            self.assertEqual(at(curve, step), tables.hundredths(step, *fitted))


if __name__ == "__main__":
    unittest.main()
