"""`python -m tracelake.cli` is `tracelake`."""

import sys

from tracelake.cli.main import main

sys.exit(main())
