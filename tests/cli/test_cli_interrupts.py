"""A signal never replaces the exit code of a command that is done."""

from __future__ import annotations

import signal
import subprocess
import sys

import pytest

# A command whose process takes long to end, as with libraries that clean up.
COMMAND = """
import atexit, signal, sys, time

for name in ("SIGINT", "SIGTERM", "SIGHUP"):  # whoever runs the tests may ignore some
    signal.signal(getattr(signal, name), signal.SIG_DFL)
signal.signal(signal.SIGINT, signal.default_int_handler)

def clean_up():
    print("cleaning up", flush=True)
    time.sleep(600)

atexit.register(clean_up)
from lrstudy.cli import main

main()
"""


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, signal.SIGHUP])
@pytest.mark.parametrize(("words", "code"), [(["--version"], 0), (["report", "no-such-run"], 2)])
def test_a_signal_while_the_process_ends_keeps_the_exit_code(
    words: list[str], code: int, number: signal.Signals
) -> None:
    command = subprocess.Popen(
        [sys.executable, "-c", COMMAND, *words], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    )
    assert command.stdout is not None
    while command.stdout.readline() != "cleaning up\n":
        assert command.poll() is None
    command.send_signal(number)
    try:
        _, said = command.communicate(timeout=60)
    finally:
        command.kill()
    assert command.returncode == code
    assert "Traceback" not in said
