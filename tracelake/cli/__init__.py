"""The command line: `tracelake COMMAND`.

Data goes to standard output, progress and errors to standard error. Exit codes: 0 ok, 1 failed,
2 usage.
"""

from tracelake.cli.main import main

__all__ = ["main"]
