"""The log of a run: the messages of Ray, Tune and Optuna go to a file, not to the screen."""

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
_SHOWN: Final = ("lrstudy",)  # to the screen and the file
_FORMAT: Final = "%(asctime)s %(levelname)s %(name)s: %(message)s"


def log_file(store: Location) -> Path:
    """Return a run's log file: in its folder, or in this system's temporary folder if the run is remote."""
    if store.local is not None:
        return store.local / _FILE
    return Path(tempfile.gettempdir()) / f"lrstudy-{store.name}.log"


class _RunLog(logging.FileHandler):
    """The run's log file. A full disk must not fill the screen: writing rows reports it once."""

    def handleError(self, record: logging.LogRecord) -> None:  # noqa: N802 - logging's name
        """Drop a record that cannot be written."""

    def close(self) -> None:
        """Close the file; if the disk is full, the rest of its buffer is lost."""
        with suppress(OSError):
            super().close()


@contextmanager
def logged(store: Location) -> Iterator[None]:
    """Write the log records of those libraries and of lrstudy to the run's log file during the block."""
    file = _RunLog(log_file(store), encoding="utf-8", errors="backslashreplace", delay=True)
    file.setFormatter(logging.Formatter(_FORMAT))
    # At its end Tune reports that each trial has no result file; it is configured to write none.
    file.addFilter(lambda record: not record.name.startswith("ray.tune.analysis"))
    before = []
    for name in (*_QUIET, *_SHOWN):
        logger = logging.getLogger(name)
        before.append((logger, list(logger.handlers), logger.propagate, logger.level))
        logger.setLevel(logging.INFO if name in ("ray", *_SHOWN) else logging.WARNING)
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
