"""The log of a run: what Ray, Tune and Optuna report goes to a file, not to the screen."""

from __future__ import annotations

import logging
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Final

from lrstudy.store import Location

_FILE: Final = "run.log"
_QUIET: Final = ("ray", "optuna", "alembic", "mlflow", "sqlalchemy", "wandb")  # to the file only
_HEARD: Final = ("lrstudy",)  # to the file as well
_FORMAT: Final = "%(asctime)s %(levelname)s %(name)s: %(message)s"


def log_file(store: Location) -> Path:
    """Return a run's log: in its folder, or among this system's temporary files where that is remote."""
    if store.local is not None:
        return store.local / _FILE
    return Path(tempfile.gettempdir()) / f"lrstudy-{store.name}.log"


class _RunLog(logging.FileHandler):
    """The run's log. A full disk must not fill the screen: the rows, which need it too, say so once."""

    def handleError(self, record: logging.LogRecord) -> None:  # noqa: N802 - logging's name
        """Drop what cannot be written."""

    def close(self) -> None:
        """Close the file; what is still in its buffer is lost where the disk is full."""
        with suppress(OSError):
            super().close()


@contextmanager
def logged(store: Location) -> Iterator[None]:
    """While the block runs, what those libraries log goes to the run's log file; lrstudy's own notes, too."""
    file = _RunLog(log_file(store), encoding="utf-8", errors="backslashreplace", delay=True)
    file.setFormatter(logging.Formatter(_FORMAT))
    # At its end Tune reports that each trial has no result file: it was told to write none.
    file.addFilter(lambda record: not record.name.startswith("ray.tune.analysis"))
    before = []
    for name in (*_QUIET, *_HEARD):
        logger = logging.getLogger(name)
        before.append((logger, list(logger.handlers), logger.propagate, logger.level))
        logger.setLevel(logging.INFO if name in ("ray", *_HEARD) else logging.WARNING)
        if name in _QUIET:
            logger.handlers, logger.propagate = [file], False
            continue
        # A logger that has a handler does not use Python's last resort, which shows warnings.
        if not logger.hasHandlers() and logging.lastResort is not None:
            logger.addHandler(logging.lastResort)
        logger.addHandler(file)
    try:
        yield
    finally:
        for logger, handlers, propagate, level in before:
            logger.handlers, logger.propagate = handlers, propagate
            logger.setLevel(level)
        file.close()
