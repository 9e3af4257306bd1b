"""The ``lrstudy`` command: the application with its commands, its streams, its signals and its exit code."""

from __future__ import annotations

import sys
from typing import Any, NoReturn

from lrstudy.cli.app import app
from lrstudy.cli.environment import settle_environment
from lrstudy.cli.interrupts import end_on_signals, interruptible
from lrstudy.cli.output import print_error
from lrstudy.cli.streams import guard_streams, lost_output
from lrstudy.errors import EXIT_BAD_INPUT, EXIT_INTERRUPTED, InputError, Problem


def main() -> NoReturn:
    """Run the command line of this process, then end the process with its exit code."""
    guard_streams()
    settle_environment()
    with interruptible():
        try:
            # Here, not above: Ctrl-C while the commands are imported ends like any other.
            from lrstudy.cli import commands  # noqa: F401 - importing it registers the commands

            app()
        except KeyboardInterrupt:  # before the first command runs, or after the last line
            code: Any = EXIT_INTERRUPTED
        except SystemExit as done:
            code = done.code
    lost = lost_output()
    if lost is not None:
        remedy = "Send it where there is room; files that the command wrote are whole."
        problem = Problem("standard output", "", f"cannot be written: {lost.strerror}", remedy)
        print_error(InputError(problem))
        code = code or EXIT_BAD_INPUT
    # From here on Python and libraries clean up, which may take seconds.
    end_on_signals(code if isinstance(code, int) else int(code is not None))
    sys.exit(code)
