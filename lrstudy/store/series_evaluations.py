"""The evaluations of a run that is counted by steps: its validated moments, and what led up to each."""

from __future__ import annotations

from typing import Final

import numpy as np

from lrstudy.errors import InputError
from lrstudy.rules.clocks import CLOCKS
from lrstudy.store.cells import Cells, Index, Mask, none_of
from lrstudy.store.columns import LOG_STEP, is_validation
from lrstudy.store.log_series import (
    Ordered,
    Series,
    is_metric,
    ordered,
    repeat_remedy,
)
from lrstudy.store.recorded_run import RecordedRun, diverged_evaluation, drop_false_clocks
from lrstudy.store.series_clocks import clock_name, clocks_of

_SURELY_EVEN: Final = 5  # one gap that tells; steps 1 and 3 may be any
_BEFORE: Final = "a validation before the training is left out"
_AFTER: Final = "a validation after the training is left out"
_ENDED: Final = 2  # longest gaps between evaluations after which no other one is expected


def settle_series(
    series: Series, *, has_seeds: bool, judged: str | None = None, clock: str | None = None
) -> RecordedRun:
    """Return a run's evaluations; raises ``InputError`` for rows that no training can have written.

    ``judged`` is the column of the metric that was asked for, ``clock`` the clock: what only they need is
    taken too.
    """
    with np.errstate(all="ignore"):  # of losses that are infinite or NaN
        return _settled(series, ordered(series, has_seeds), has_seeds, judged, clock)


def _settled(
    series: Series, rows: Ordered, has_seeds: bool, judged: str | None, clock: str | None
) -> RecordedRun:
    _null_unlogged(rows)
    _refuse_repeated(series, rows, has_seeds)
    offset = _count_from_one(series, rows, _is_evaluated(rows, judged))
    evaluated = _drop_after(series, rows, _is_evaluated(rows, judged))
    _null_unvalidated(rows, evaluated)
    at = np.flatnonzero(evaluated)
    _note_other_clock(series, rows, at)
    columns = clocks_of(series, rows, at, offset, clock) | _metrics(rows, at)
    for name in drop_false_clocks(columns, CLOCKS):
        series.note(f"{name} does not rise from evaluation to evaluation: not used", int(rows.source[0]))
    diverged = diverged_evaluation(columns)
    if diverged is None and _ends_in_nan(rows, at):
        diverged = len(at)
    return RecordedRun(
        series.where, series.task, series.schedule, series.seed, columns, diverged, notes=series.notes
    )


def _note_other_clock(series: Series, rows: Ordered, at: Index) -> None:
    """Keep a note if training continues long after the last evaluation, as where this counts epochs."""
    trained = np.flatnonzero(_any(rows, [n for n in rows.metrics() if not is_validation(n)], "known"))
    if len(at) < 2 or not trained.size or rows.clock == "epoch":
        return
    moments, end = rows.moments[at], rows.time[trained[-1]].item()
    if end - moments[-1] > _ENDED * np.diff(moments, prepend=0).max():
        name, last = clock_name(series, rows.clock), moments[-1].item()
        text = (
            f"the last validation is at {name} {last:g}, training continues to {end:g}: do both count alike?"
        )
        series.note(text, int(rows.source[trained[-1]]))


def _is_evaluated(rows: Ordered, judged: str | None) -> Mask:
    """Return a mask of the moments at which a validation metric, else any metric, was measured."""
    names = [name for name in rows.metrics() if is_validation(name) or name == judged]
    if not any(rows.columns[name].known.any() for name in names):
        names = list(rows.metrics())
    mask = np.zeros(rows.group[-1] + 1, bool)
    for name in names:
        mask[rows.group[rows.columns[name].known]] = True
    return mask


def _null_unlogged(rows: Ordered) -> None:
    """Take NaN for "not logged" in rows that have a finite value of the other split: pandas writes it so."""
    splits = {True: [n for n in rows.metrics() if is_validation(n)], False: []}
    splits[False] = [n for n in rows.metrics() if n not in splits[True]]
    finite = {side: _any(rows, names, "finite") for side, names in splits.items()}
    for side, names in splits.items():
        for name in names:
            cells = rows.columns[name]
            absent = cells.known & np.isnan(cells.values) & finite[not side] & ~finite[side]
            if absent.any() and cells.finite.any():
                rows.columns[name] = cells.without(absent)


def _any(rows: Ordered, names: list[str], kind: str) -> Mask:
    mask = np.zeros(len(rows.time), bool)
    for name in names:
        mask |= getattr(rows.columns[name], kind)
    return mask


def _refuse_repeated(series: Series, rows: Ordered, has_seeds: bool) -> None:
    """Raise ``InputError`` for two values of one moment, but for a validation after the training."""
    late: list[Index] = []
    for name in rows.metrics():
        if not is_validation(name):
            continue
        cells = rows.columns[name]
        at = np.flatnonzero(cells.known)
        values = cells.values[at]
        again = np.flatnonzero((np.diff(rows.group[at]) == 0) & (values[1:] != values[:-1])) + 1
        again = again[~(np.isnan(values[again]) & np.isnan(values[again - 1]))]
        if again.size and (again.size > 1 or rows.group[at[again[0]]] < rows.group[-1]):
            row = at[again[0]]
            moment = rows.time[row].item()
            message = f"{series} is validated twice at {clock_name(series, rows.clock)} {moment:g}"
            remedy = repeat_remedy(has_seeds)
            raise InputError(series.problem(int(rows.source[row]), name, message, remedy))
        late.append(at[again])
    repeated = np.concatenate(late) if late else np.zeros(0, np.int64)
    if repeated.size:
        series.note(_AFTER, int(rows.source[repeated.min()]))
        kept = np.ones(len(rows.time), bool)
        kept[repeated] = False
        rows.keep(kept)


def _count_from_one(series: Series, rows: Ordered, evaluated: Mask) -> int:
    """Return what to add to the steps of a log that counts them from 0; leave out what trained nothing.

    Evaluations at 0, 1, 2 or at n - 1, 2n - 1, 3n - 1 tell that steps count from 0; one at 0 long before the
    next measured an untrained model.
    """
    moments = rows.moments[evaluated]
    gaps = np.diff(moments)
    if rows.clock in ("step", LOG_STEP):
        is_even = len(gaps) > 0 and bool((gaps == gaps[0]).all())
        if is_even and moments[0] == gaps[0] - 1 and (len(gaps) > 1 or gaps[0] >= _SURELY_EVEN):
            return 1
        if moments[0] == 0 and (not len(gaps) or gaps[0] == 1):
            return 1
    if moments[0] == 0 and len(moments) > 1 and rows.clock != "epoch":
        first = np.flatnonzero((rows.time == 0) & _any(rows, list(rows.metrics()), "known"))[0]
        series.note(_BEFORE, int(rows.source[first]))
        rows.keep(rows.time > 0)
    return 0


def _drop_after(series: Series, rows: Ordered, evaluated: Mask) -> Mask:
    """Leave out a last evaluation one step after the one before, where others are further apart."""
    at = np.flatnonzero(evaluated)
    if rows.clock != "step" or len(at) < 3:
        return evaluated
    times = rows.moments[at]
    since = (rows.group > at[-2]) & _any(rows, [n for n in rows.metrics() if not is_validation(n)], "known")
    if times[-1] - times[-2] <= 1 < times[-2] - times[-3] and not since.any():
        row = np.flatnonzero(rows.group == at[-1])[0]
        series.note(_AFTER, int(rows.source[row]))
        evaluated = evaluated.copy()
        evaluated[at[-1]] = False
    return evaluated


def _null_unvalidated(rows: Ordered, evaluated: Mask) -> None:
    """Turn NaN into null at moments that were trained and not validated; ``evaluated`` loses them.

    There every validation metric is NaN while the training loss is finite, for no longer than in an earlier
    gap: a longer one at the end is a loss that became NaN.
    """
    names = [name for name in rows.metrics() if is_validation(name)]
    finite, known = _any(rows, names, "finite"), _any(rows, names, "known")
    trained = rows.columns.get("train_loss", none_of(len(rows.time))).finite
    idle_rows = known & ~finite & trained
    for name in names:
        idle_rows &= ~rows.columns[name].known | np.isnan(rows.columns[name].values)
    if not idle_rows.any():
        return
    idle = np.zeros(len(evaluated), bool)
    idle[rows.group[idle_rows]] = True
    good = np.zeros(len(evaluated), bool)
    good[rows.group[finite]] = True
    last = int(np.flatnonzero(good)[-1]) if good.any() else len(good)
    longest = _longest_run(idle[:last]) if good.any() else len(good)
    allowed = idle & (np.arange(len(idle)) <= last + longest)
    for name in names:
        rows.columns[name] = rows.columns[name].without(idle_rows & allowed[rows.group])
    if good.any():
        evaluated &= ~(allowed & ~good)


def _longest_run(mask: Mask) -> int:
    edges = np.flatnonzero(np.diff(np.concatenate([[0], mask.astype(np.int8), [0]])))
    return int((edges[1::2] - edges[::2]).max()) if edges.size else 0


def _metrics(rows: Ordered, at: Index) -> dict[str, Cells]:
    """Return the metrics of evaluations: validations as measured, means of the rest since the one before."""
    since = np.searchsorted(at, rows.group)  # the evaluation that each row leads up to
    columns: dict[str, Cells] = {}
    for name, cells in rows.columns.items():
        if is_metric(name) and is_validation(name):
            columns[name] = _measured(rows, cells, at)
        elif is_metric(name) or name == "lr":
            columns |= _means(name, cells.take(since < len(at)), since[since < len(at)], len(at))
        elif name in ("train_seconds", "estimate_seconds", "eval_seconds"):
            kept = cells.known & (since < len(at))
            total = np.bincount(since[kept], cells.values[kept], len(at))
            columns[name] = Cells(total, np.bincount(since[kept], minlength=len(at)) > 0)
    return columns


def _measured(rows: Ordered, cells: Cells, at: Index) -> Cells:
    values, known = np.zeros(rows.group[-1] + 1), np.zeros(rows.group[-1] + 1, bool)
    row = np.flatnonzero(cells.known)
    values[rows.group[row]], known[rows.group[row]] = cells.values[row], True
    return Cells(values[at], known[at])


def _means(name: str, cells: Cells, since: Index, count: int) -> dict[str, Cells]:
    since, values = since[cells.known], cells.values[cells.known].astype(np.float64)
    number = np.bincount(since, minlength=count)
    known = number > 0
    low, high = np.full(count, np.inf), np.full(count, -np.inf)
    np.minimum.at(low, since, values)
    np.maximum.at(high, since, values)
    mean = np.bincount(since, values, count) / np.maximum(number, 1)
    mean = np.where(low == high, low, mean)
    if name != "lr":
        return {name: Cells(mean, known)}
    return {"lr": Cells(mean, known), "lr_min": Cells(low, known), "lr_max": Cells(high, known)}


def _ends_in_nan(rows: Ordered, at: Index) -> bool:
    """Return True if the training loss became NaN or infinite after the last evaluation."""
    loss = rows.columns.get("train_loss")
    after = np.zeros(0, np.int64) if loss is None else np.flatnonzero(loss.known & (rows.group > at[-1]))
    return loss is not None and bool(after.size) and not np.isfinite(loss.values[after[-1]])
