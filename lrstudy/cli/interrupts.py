"""Signals that end a command: Ctrl-C, SIGTERM, and SIGHUP of a terminal that is closed."""

from __future__ import annotations

import os
import signal
import sys
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from types import FrameType
from typing import TYPE_CHECKING, Any, Final

import typer

from lrstudy.errors import EXIT_INTERRUPTED, StoreError

if TYPE_CHECKING:
    from lrstudy.store import Location

_Handler = Callable[[int, FrameType | None], None]
_SIGNALS: Final = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)
_MOMENT_SECONDS: Final = 0.05
_MOST: Final = 3


@contextmanager
def interruptible() -> Iterator[None]:
    """Let SIGTERM and SIGHUP raise ``KeyboardInterrupt`` while the block runs, as Ctrl-C does."""

    def on_signal(*_: object) -> None:
        raise KeyboardInterrupt

    def on_dropped(dropped: Any) -> None:
        if not issubclass(dropped.exc_type, KeyboardInterrupt | SystemExit):
            hook(dropped)
        else:  # Python dropped the exception, for instance in a finalizer: send the signal again
            threading.Timer(_MOMENT_SECONDS, os.kill, (os.getpid(), signal.SIGINT)).start()

    hook, sys.unraisablehook = sys.unraisablehook, on_dropped
    try:
        with _handled(on_signal):
            yield
    finally:
        sys.unraisablehook = hook


def end_on_signals(code: int) -> None:
    """From now on, let a signal end this process at once with the exit code of a command that is done."""
    for number in _SIGNALS:
        if signal.getsignal(number) != signal.SIG_IGN:
            signal.signal(number, lambda *_: os._exit(code))


@contextmanager
def draining(run: Location) -> Iterator[list[int]]:
    """While the block runs, let a signal request a stop of the study, and a second one stop it at once.

    Yields the signals so far. The fourth ends this process immediately, in case the others had no effect.
    """
    from lrstudy.tuning import request_stop

    seen: list[int] = []

    def on_signal(number: int, _: FrameType | None) -> None:
        seen.append(number)
        if len(seen) > _MOST:
            os._exit(EXIT_INTERRUPTED)
        if len(seen) > 1:
            raise KeyboardInterrupt
        try:
            request_stop(run)
        except StoreError as error:
            raise KeyboardInterrupt from error
        # The handler may interrupt another write to the same stream.
        with suppress(OSError, RuntimeError):
            typer.echo(
                "stopping: running trials end after their next evaluation; Ctrl-C again stops at once",
                err=True,
            )

    with _handled(on_signal):
        yield seen


@contextmanager
def _handled(handler: _Handler) -> Iterator[None]:
    if threading.current_thread() is not threading.main_thread():
        yield  # only the main thread may set handlers
        return
    before = {number: signal.getsignal(number) for number in _SIGNALS}
    for number in _SIGNALS:
        # nohup sets SIGHUP to be ignored, so that the command continues without its terminal.
        if not (number == signal.SIGHUP and before[number] == signal.SIG_IGN):
            signal.signal(number, handler)
    try:
        yield
    finally:
        for number, kept in before.items():
            if kept is not None:  # else it was not set from Python
                signal.signal(number, kept)
