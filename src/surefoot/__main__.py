"""`python -m surefoot`: the command line."""

import sys

from surefoot.doors.cli.main import main

sys.exit(main())
