"""Exports of other tools that are no table of epochs: refused by name, with what to export instead."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

from lrstudy.store.log_formats.table import refusal

_TABLE: Final = "a table with a row per epoch or evaluation and a column per metric (epoch, val_accuracy, …)"
_KEYS: Final = frozenset(("metric", "metric_name", "key", "tag", "name"))


def refuse_exports(where: str, names: Sequence[str]) -> None:
    """Raise ``InputError`` if the columns are those of an export without epochs and metrics by column."""
    lower = {name.lower() for name in names}
    if any(name.endswith(("__MIN", "__MAX")) for name in names) or (
        len(names) > 1 and all(" - " in name for name in names[1:])
    ):
        message = "is W&B's chart export: one metric of many runs, by W&B's own step"
        remedy = (
            "Export each run's history instead: api.run(...).history().to_csv(...), with its column epoch"
        )
        raise refusal(where, message, remedy)
    if {"wall time", "step", "value"} <= lower:
        message = "is TensorBoard's export of one scalar, which does not name the metric or the epoch"
        raise refusal(where, message, f"Join the scalars of a run into {_TABLE}")
    if "value" in lower and lower & _KEYS and lower & {"step", "epoch", "timestamp"}:
        what = "MLflow's list of metrics" if {"key", "timestamp"} <= lower else "a list of metrics"
        key = next(name for name in names if name.lower() in _KEYS)
        remedy = f"Turn it into {_TABLE}: pandas' pivot with columns={key!r}"
        raise refusal(where, f"is {what}: a row per value", remedy)
    if {"name", "state", "runtime"} <= lower:
        raise refusal(
            where, "is W&B's table of runs: a row per run", f"Export each run's history as {_TABLE}"
        )
    if "global_step" in lower and "epoch" not in lower and any(n.startswith("validation/") for n in lower):
        message = "is AlgoPerf's log of evaluations: its rows are counted by global_step, not by epochs"
        remedy = "Add a column epoch that numbers the evaluations 1, 2, 3, … if all runs are evaluated alike"
        raise refusal(where, message, remedy)
