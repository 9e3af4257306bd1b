"""The state of the process, restored after users' code has run."""

from __future__ import annotations

import io
import logging
import operator
import os
import random
import signal
import sys
import threading
import warnings
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager, redirect_stdout, suppress
from types import FrameType
from typing import Any, Final

from lrstudy.rules.source_files import is_installed

_PARSERS: Final = ("argparse", "optparse", "getopt", "click.", "typer.", "docopt", "fire.", "absl.")


class CommandLineRead(SystemExit):
    """Raised in a module that parses the command line (lrstudy's) while it is imported."""


@contextmanager
def surroundings_kept() -> Iterator[None]:
    """Undo what the block does to the process, and send what it prints to standard error.

    Kept are the current folder, the arguments, signal handlers, the root logger, torch's defaults and the
    random states. The block sees no command line, and a parser that asks for it ends in ``CommandLineRead``.
    """
    with ExitStack() as stack:
        for keep in (output_to_stderr, _folder_kept, _signals_kept, _root_logger_kept, _torch_defaults_kept):
            stack.enter_context(keep())
        stack.enter_context(random_states_kept())
        before, sys.argv = sys.argv, _NoArguments(sys.argv[:1])
        stack.callback(setattr, sys, "argv", before)
        yield


@contextmanager
def process_kept() -> Iterator[None]:
    """Undo what the block does to the process, on whatever thread: what a trial sets is not the next one's.

    Kept are the current folder, the environment, the root logger, the filters of warnings, torch's settings
    and the random states.
    """
    with ExitStack() as stack:
        for keep in (_folder_kept, _environment_kept, _root_logger_kept, _torch_defaults_kept):
            stack.enter_context(keep())
        stack.enter_context(random_states_kept())
        filters = warnings.filters[:]
        stack.callback(_restore_filters, filters)
        yield


def _restore_filters(filters: Sequence[Any]) -> None:
    if warnings.filters[:] != filters:
        warnings.filters[:] = filters  # type: ignore[index] # a list, which typeshed calls a sequence
        warnings.simplefilter("default", append=True)  # forgets what the changed filters have decided
        warnings.filters.pop()  # type: ignore[attr-defined]


@contextmanager
def no_input() -> Iterator[None]:
    """Let ``input()`` in the block raise ``EOFError`` instead of waiting for a line."""
    before, sys.stdin = sys.stdin, io.StringIO()
    try:
        yield
    finally:
        sys.stdin = before


@contextmanager
def random_states_kept(seed: int | None = None) -> Iterator[None]:
    """Put the global random states of Python, numpy and torch's CPU back after the block.

    With a ``seed`` the block starts from the states that it gives, the same in every process.
    """
    states: list[tuple[Callable[[Any], object], Any]] = [(random.setstate, random.getstate())]
    seeds: list[Callable[[int], object]] = [random.seed]
    numpy, torch = (sys.modules.get(name) for name in ("numpy", "torch"))  # what is not loaded has no state
    if (draws := getattr(numpy, "random", None)) is not None:
        states.append((draws.set_state, draws.get_state()))
        seeds.append(lambda seed: draws.seed(seed % 2**32))
    if (generator := getattr(torch, "default_generator", None)) is not None:
        states.append((generator.set_state, generator.get_state()))
        seeds.append(generator.manual_seed)
    if seed is not None:
        for sow in seeds:
            sow(seed)
    try:
        yield
    finally:
        for restore, state in states:
            restore(state)


class _Redirection:
    """The number of blocks that hold standard output, on any thread, and a copy of it from before."""

    def __init__(self) -> None:
        self.lock = threading.Lock()
        self.depth = 0
        self.saved: int | None = None


_redirection = _Redirection()


@contextmanager
def output_to_stderr() -> Iterator[None]:
    """Send to standard error everything that the block prints, from Python, C or a child process."""
    with redirect_stdout(sys.stderr):
        with _redirection.lock:
            if _redirection.depth == 0:
                _redirection.saved = _point_stdout_to_stderr()
            _redirection.depth += 1
        try:
            yield
        finally:
            with _redirection.lock:
                _redirection.depth -= 1
                if _redirection.depth == 0 and _redirection.saved is not None:
                    os.dup2(_redirection.saved, 1)
                    os.close(_redirection.saved)


def _point_stdout_to_stderr() -> int | None:
    """Return a copy of the descriptor of standard output, or None where it has none to redirect."""
    with suppress(OSError, ValueError, AttributeError):  # closed, or no stream at all
        sys.__stdout__.flush()  # type: ignore[union-attr]
    try:
        saved = os.dup(1)
    except OSError:
        return None
    try:
        os.dup2(2, 1)
    except OSError:
        os.close(saved)
        return None
    return saved


class _NoArguments(list[str]):
    """The ``sys.argv`` of a program without arguments; a parser of users' own may not read it."""

    def __getitem__(self, index: Any) -> Any:
        if isinstance(index, slice):
            if _parsed_by_users_code(sys._getframe(1)):  # noqa: SLF001 - the documented way to a caller
                raise CommandLineRead(2)
        elif operator.index(index) not in (-1, 0):
            raise IndexError("there are no command line arguments while lrstudy runs this code")
        return super().__getitem__(index)


def _parsed_by_users_code(frame: FrameType | None) -> bool:
    """Return True if the reader is a parser that was called from no installed package."""
    parsing = False
    while frame is not None and str(frame.f_globals.get("__name__", "")).startswith(_PARSERS):
        parsing, frame = True, frame.f_back
    return parsing and frame is not None and not is_installed(frame.f_code.co_filename)


@contextmanager
def _folder_kept() -> Iterator[None]:
    try:
        before = os.getcwd()  # noqa: PTH109 - a str, as chdir takes it
    except FileNotFoundError:  # it was removed: there is nothing to come back to
        yield
        return
    try:
        yield
    finally:
        os.chdir(before)


@contextmanager
def _signals_kept() -> Iterator[None]:
    if threading.current_thread() is not threading.main_thread():  # only there may they be set
        yield
        return
    handlers = {number: signal.getsignal(number) for number in signal.valid_signals()}
    try:
        yield
    finally:
        for number, handler in handlers.items():
            if handler is not None and signal.getsignal(number) is not handler:
                signal.signal(number, handler)


@contextmanager
def _environment_kept() -> Iterator[None]:
    before = dict(os.environ)
    try:
        yield
    finally:
        for name in os.environ.keys() - before.keys():
            del os.environ[name]
        for name, value in before.items():
            if os.environ.get(name) != value:
                os.environ[name] = value


@contextmanager
def _root_logger_kept() -> Iterator[None]:
    root = logging.getLogger()
    handlers, level, disabled = root.handlers[:], root.level, root.manager.disable
    try:
        yield
    finally:
        root.handlers[:] = handlers
        root.setLevel(level)
        root.manager.disable = disabled


@contextmanager
def _torch_defaults_kept() -> Iterator[None]:
    torch: Any = sys.modules.get("torch")
    if not hasattr(torch, "get_default_dtype"):
        yield
        return
    kept: list[tuple[Callable[[Any], object], Any, Callable[[], Any]]] = [
        (setter, getter(), getter)
        for setter, getter in (
            (torch.set_default_dtype, torch.get_default_dtype),
            (torch.set_grad_enabled, torch.is_grad_enabled),
            (torch.set_num_threads, torch.get_num_threads),
            (torch.use_deterministic_algorithms, torch.are_deterministic_algorithms_enabled),
            (torch.autograd.set_detect_anomaly, torch.is_anomaly_enabled),
            (_set_matmul_precision, _matmul_precision),
            (_set_default_device, torch.get_default_device),
        )
    ]
    cudnn = torch.backends.cudnn
    switches = [(cudnn, name, getattr(cudnn, name)) for name in ("benchmark", "deterministic")]
    try:
        yield
    finally:
        for setter, value, getter in kept:
            if getter() != value:  # some of them cost, or warn, when they are set
                setter(value)
        for owner, name, value in switches:
            if getattr(owner, name) != value:
                setattr(owner, name, value)


def _set_matmul_precision(precision: str | None) -> None:
    if precision is not None:
        torch: Any = sys.modules["torch"]
        torch.set_float32_matmul_precision(precision)


def _matmul_precision() -> str | None:
    """Return torch's precision of matrix products; None where users' code has set it in two ways at once."""
    torch: Any = sys.modules["torch"]
    try:
        return str(torch.get_float32_matmul_precision())
    except RuntimeError:
        return None


def _set_default_device(device: Any) -> None:
    torch: Any = sys.modules["torch"]
    torch.set_default_device(None if device.type == "cpu" else device)  # None: no detour for each tensor
