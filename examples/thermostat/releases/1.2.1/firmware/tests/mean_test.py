"""What 1.2.0 lacked: the program where a minute has more than one reading."""

import json
import unittest

from tests import program_test


class TwiceAMinute(program_test.Program):
    sample_seconds = 30

    def test_the_mean_is_a_number(self):
        self.assertEqual(self.run_program().returncode, 0)
        [sent] = self.server.posted
        self.assertEqual((type(sent["temperature"]), sent["readings"]), (float, 2))
        self.assertEqual(json.loads(json.dumps(sent))["unit"], "celsius")


del program_test.Program  # its tests run in its own module

if __name__ == "__main__":
    unittest.main()
