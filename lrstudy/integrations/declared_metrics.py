"""The values that a trial reports, out of all that a framework measured."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from lrstudy.engine.function import Trial


def report_declared(trial: Trial, measured: Mapping[str, Any], names: Mapping[str, str]) -> None:
    """Report the study's metrics, and ``train_loss`` if it was measured.

    ``names`` says what the framework calls a metric where that is not its name in the study. Without declared
    metrics (``try_training``), everything is reported whose name a report can have.
    """
    declared = trial.settings.declared
    if declared is None:
        called = {name: name for name in measured if name.isidentifier()} | dict(names)
    else:
        called = {name: names.get(name, name) for name in (*declared, "train_loss")}
    trial.report(**{name: measured[key] for name, key in called.items() if key in measured})
