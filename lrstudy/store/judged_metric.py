"""The check that a run can be judged by another metric than the one that it was tuned for."""

from __future__ import annotations

import pyarrow.compute as pc

from lrstudy.errors import Problem, StoreError, did_you_mean
from lrstudy.rules.diagnostics import COLUMNS
from lrstudy.rules.metrics import CLIPPED_SHARE, METRICS, OF_THE_LOSS, metric_of
from lrstudy.store.reader import Store


def check_judged(store: Store, name: str) -> None:
    """Raise ``StoreError`` unless every evaluation of the run has this metric, and can be compared by it."""
    study, where = store.study, str(store.location)

    def problem(message: str, remedy: str) -> StoreError:
        return StoreError(Problem(where, "--metric", message, remedy, name))

    try:
        metric = metric_of(name, study.declared_metrics)
    except KeyError:
        known = sorted({*METRICS, *study.declared_metrics})
        raise problem("is not a metric", did_you_mean(name, known)) from None
    if name in (CLIPPED_SHARE, *COLUMNS):
        raise problem("says how a training went, not how good its result is", "Choose another metric.")
    if metric == study.metric:
        raise problem("is the metric that the run is judged by already", "To see it: lrstudy report.")
    tuned = study.tuned_metric.name
    rerun = f"Start a new run: lrstudy run STUDY --set target.metric={name} --set name=NAME."
    own = [info.name for info in study.schedules if info.loss is not None]
    if own and name in OF_THE_LOSS:
        message = f"is another quantity for {own[0]!r}, which trains with its own loss"
        raise problem(message, "Choose a metric that no loss defines, such as val_accuracy or val_r2.")
    if study.goal.stop == "all":
        raise problem(f"cannot be judged: runs ended once they had reached the targets of {tuned}", rerun)
    if study.spec["target"].get("end_margin") is not None:
        raise problem(f"does not go with target.end_margin, which is given in {tuned}", rerun)
    columns = store.study.schema("evaluations").names
    values = store.evaluations([metric.column])[metric.column] if metric.column in columns else None
    if values is None or values.null_count or not len(values) or pc.all(pc.is_nan(values)).as_py():
        raise problem("is not recorded by every evaluation of the run", rerun)
