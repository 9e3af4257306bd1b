"""Signals that come while Ray starts or shuts down."""

from __future__ import annotations

import contextlib
import os
import signal
import socket
import threading
from collections.abc import Iterator
from types import FrameType
from typing import Any, Final

from lrstudy.errors import EXIT_INTERRUPTED

_SIGNALS: Final = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)
_MOST: Final = 3


@contextlib.contextmanager
def signals_kept() -> Iterator[None]:
    """Restore this process's signal handlers; raise ``KeyboardInterrupt`` if a signal comes in the block.

    Ray's start installs a SIGTERM handler that exits immediately. The exception that it raises may be lost,
    so that the numbers of signals are recorded too.
    """
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    noted, notes = socket.socketpair()
    with noted, notes:
        noted.setblocking(False)
        notes.setblocking(False)
        wakeup = signal.set_wakeup_fd(notes.fileno(), warn_on_full_buffer=False)
        try:
            with _handlers_restored():
                yield
        except SystemExit as error:
            raise KeyboardInterrupt from error
        finally:
            signal.set_wakeup_fd(wakeup)
        with contextlib.suppress(BlockingIOError):  # none came
            if set(noted.recv(4096)) & set(_SIGNALS):
                raise KeyboardInterrupt


@contextlib.contextmanager
def signals_deferred() -> Iterator[None]:
    """Let this process's handlers get the signals that come in the block after it.

    The third ends this process immediately, in case the block does not come to its end.
    """
    if threading.current_thread() is not threading.main_thread():
        yield  # signals interrupt only the main thread
        return
    came: list[int] = []

    def on_signal(number: int, _: FrameType | None) -> None:
        came.append(number)
        if len(came) == _MOST:
            os._exit(EXIT_INTERRUPTED)

    try:
        with _handlers_restored() as kept:
            for number, handler in kept.items():
                # Ignored: nohup. None: not set from Python, so that it could not be restored.
                if handler is not None and handler != signal.SIG_IGN:
                    signal.signal(number, on_signal)
            yield
    finally:
        for late in came:
            signal.raise_signal(late)


@contextlib.contextmanager
def _handlers_restored() -> Iterator[dict[int, Any]]:
    kept: dict[int, Any] = {number: signal.getsignal(number) for number in _SIGNALS}
    try:
        yield kept
    finally:
        for number, handler in kept.items():
            if handler is not None:  # else it was not set from Python
                signal.signal(number, handler)
