"""The one test: the service's file compiles."""

import sys
from pathlib import Path

source = Path(__file__).parent / "web.py"
compile(source.read_text(), source.name, "exec")
Path(sys.argv[1]).write_text(
    '<testsuite name="service" tests="1" failures="0" errors="0" skipped="0">'
    '<testcase classname="service" name="compiles" time="0.001"/></testsuite>'
)
