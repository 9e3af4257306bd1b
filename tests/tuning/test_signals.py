"""A signal that comes while Ray shuts down interrupts the command after it, never halfway."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator

import pytest

from lrstudy.tuning.cluster.signals import signals_deferred

# Shuts Ray down, with a signal as soon as that begins and one as soon as Ray has ended. Tune forgets the
# trainable at the process's exit.
SHUTDOWN = """
import os, signal, sys
import ray
from ray import tune
from lrstudy.spec import Resources
from lrstudy.tuning.cluster.session import ray_session

shutdown = ray.shutdown

def interrupted():
    os.kill(os.getpid(), signal.SIGTERM)
    shutdown()
    os.kill(os.getpid(), signal.SIGTERM)

def on_signal(*_):
    raise KeyboardInterrupt

ray.shutdown = interrupted
signal.signal(signal.SIGTERM, on_signal)
try:
    with ray_session(None, Resources()):
        tune.register_trainable("nothing", lambda config: None)
except KeyboardInterrupt:
    print("interrupted", flush=True)
    sys.exit(130)
"""

REPEATED = """
import signal, time
from lrstudy.tuning.cluster.signals import signals_deferred

with signals_deferred():
    for _ in range(3):
        signal.raise_signal(signal.SIGTERM)
    time.sleep(600)
"""


@pytest.fixture(autouse=True)
def handled() -> Iterator[list[int]]:
    """The signals that this process's own handler got."""
    got: list[int] = []

    def on_signal(number: int, _: object) -> None:
        got.append(number)
        raise KeyboardInterrupt

    kept = {number: signal.signal(number, on_signal) for number in (signal.SIGTERM, signal.SIGHUP)}
    yield got
    for number, handler in kept.items():
        signal.signal(number, handler)


def test_a_signal_is_delivered_after_the_block(handled: list[int]) -> None:
    done = []

    def block() -> None:
        with signals_deferred():
            os.kill(os.getpid(), signal.SIGTERM)
            time.sleep(0.01)
            done.append(list(handled))

    with pytest.raises(KeyboardInterrupt):
        block()
    assert (done, handled) == ([[]], [signal.SIGTERM])
    with pytest.raises(KeyboardInterrupt):
        signal.raise_signal(signal.SIGTERM)


def test_an_exception_in_the_block_hides_no_signal(handled: list[int]) -> None:
    def block() -> None:
        with signals_deferred():
            signal.raise_signal(signal.SIGHUP)
            raise RuntimeError

    with pytest.raises(KeyboardInterrupt):
        block()
    assert handled == [signal.SIGHUP]


def test_without_a_signal_an_exception_is_the_blocks_own(handled: list[int]) -> None:
    with pytest.raises(RuntimeError), signals_deferred():
        raise RuntimeError
    assert handled == []


def test_an_ignored_signal_stays_ignored(handled: list[int]) -> None:
    signal.signal(signal.SIGHUP, signal.SIG_IGN)
    with signals_deferred():
        for _ in range(5):
            signal.raise_signal(signal.SIGHUP)
    assert handled == []


def test_a_handler_from_before_python_stays(handled: list[int], monkeypatch: pytest.MonkeyPatch) -> None:
    """Python shows it as None, and could not restore it."""
    monkeypatch.setattr(signal, "getsignal", lambda _: None)
    with pytest.raises(KeyboardInterrupt), signals_deferred():
        signal.raise_signal(signal.SIGHUP)
    assert handled == [signal.SIGHUP]
    with pytest.raises(KeyboardInterrupt):
        signal.raise_signal(signal.SIGHUP)


def test_the_third_signal_ends_a_process_that_does_not_shut_down() -> None:
    done = subprocess.run([sys.executable, "-c", REPEATED], timeout=60, check=False)
    assert done.returncode == 130


@pytest.mark.cluster
def test_a_signal_while_ray_shuts_down_comes_after_it() -> None:
    done = subprocess.run(
        [sys.executable, "-c", SHUTDOWN], capture_output=True, text=True, timeout=300, check=False
    )
    assert (done.returncode, done.stdout) == (130, "interrupted\n"), done.stderr
