"""The evaluations of a run that is counted by steps: its validated moments, and what led up to each."""

from __future__ import annotations

from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from lrstudy.errors import InputError
from lrstudy.store.cells import Cells, Index, Mask, none_of
from lrstudy.store.columns import ELAPSED, LOG_STEP, MOMENT, is_validation
from lrstudy.store.log_series import (
    Ordered,
    Series,
    is_metric,
    ordered,
    repeat_remedy,
)
from lrstudy.store.recorded_run import RecordedRun, diverged_evaluation

_MILLISECONDS: Final = 1e11  # as seconds, the year 5138
_SURELY_EVEN: Final = 5  # one gap that tells; steps 1 and 3 may be any
_BEFORE: Final = "a validation before the training is left out"
_AFTER: Final = "a validation after the training is left out"
_BETWEEN: Final = "{} at evaluations is interpolated between the rows that have it"
_FIRST: Final = "the time before the first evaluation is not known: taken as long as the one after it"


def settle_series(
    series: Series, *, has_seeds: bool, judged: str | None = None, clock: str | None = None
) -> RecordedRun:
    """Return a run's evaluations; raises ``InputError`` for rows that no training can have written.

    ``judged`` is the column of the metric that was asked for, ``clock`` the clock: what only they need is
    taken too.
    """
    rows = ordered(series, has_seeds)
    _null_unlogged(rows)
    _refuse_repeated(series, rows, has_seeds)
    offset = _count_from_one(series, rows, _is_evaluated(rows, judged))
    evaluated = _drop_after(series, rows, _is_evaluated(rows, judged))
    _null_unvalidated(rows, evaluated)
    at = np.flatnonzero(evaluated)
    columns = _clocks(series, rows, at, offset, clock) | _metrics(rows, at)
    diverged = diverged_evaluation(columns)
    if diverged is None and _ends_in_nan(rows, at):
        diverged = len(at)
    return RecordedRun(
        series.where, series.task, series.schedule, series.seed, columns, diverged, notes=series.notes
    )


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
            message = f"{series} is validated twice at {_name(series, rows.clock)} {moment:g}"
            remedy = repeat_remedy(has_seeds)
            raise InputError(series.problem(int(rows.source[row]), name, message, remedy))
        late.append(at[again])
    repeated = np.concatenate(late) if late else np.zeros(0, np.int64)
    if repeated.size:
        series.note(_AFTER, int(rows.source[repeated.min()]))
        kept = np.ones(len(rows.time), bool)
        kept[repeated] = False
        rows.keep(kept)


def _name(series: Series, clock: str) -> str:
    return next((found[clock] for _, found, _ in series.parts if clock in found), clock)


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
    with np.errstate(invalid="ignore", over="ignore"):
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


def _clocks(series: Series, rows: Ordered, at: Index, offset: int, judged: str | None) -> dict[str, Cells]:
    """Return the clocks of evaluations: as logged at them, else between the rows before and after."""
    columns: dict[str, Cells] = {}
    times = rows.moments[at]
    for name in ("step", "samples", "tokens"):
        cells = rows.columns.get(name)
        if cells is None and name == "step" and _counts_calls(rows, judged):
            series.note("_step counts calls of W&B's log: taken for steps", int(rows.source[0]))
            cells = rows.columns[LOG_STEP]
        if cells is not None and cells.known.any():
            found = _known_at(series, rows, name, cells, times)
            columns[name] = Cells(np.floor(found.values).astype(np.int64), found.known)
    if "step" in columns:
        columns["step"] = Cells(columns["step"].values + offset, columns["step"].known)
    if "epoch" in rows.columns and rows.columns["epoch"].known.any():
        columns["epoch"] = _epochs(series, rows, times, offset)
    if "train_seconds" not in rows.columns:
        seconds = _seconds(series, rows, times, judged)
        if seconds is not None:
            columns["train_seconds"] = seconds
    return columns


def _counts_calls(rows: Ordered, judged: str | None) -> bool:
    """Return True if W&B's counter of log calls is needed as the steps: nothing else counts the training."""
    others = ("epoch", "tokens", "samples")
    return rows.clock == LOG_STEP and (judged == "steps" or not any(name in rows.columns for name in others))


def _known_at(series: Series, rows: Ordered, name: str, cells: Cells, times: NDArray[Any]) -> Cells:
    """Return a clock at some times: the largest value known by then, else one in proportion to ``time``."""
    known = np.flatnonzero(cells.known)
    last = np.append(np.diff(rows.group[known]) > 0, True)  # of several rows at one moment the last
    known = known[last]
    moments, values = rows.time[known], cells.values[known]
    place = np.searchsorted(moments, times)
    exact = (place < len(moments)) & (moments[np.minimum(place, len(moments) - 1)] == times)
    found = values[np.minimum(place, len(moments) - 1)]
    if not exact.all():
        between = np.interp(times, np.append(0.0, moments), np.append(0.0, values))
        found = np.where(exact, found, between)
        series.note(_BETWEEN.format(_name(series, name)), int(rows.source[0]))
    return Cells(found, np.ones(len(times), bool))


def _epochs(series: Series, rows: Ordered, times: NDArray[Any], offset: int) -> Cells:
    """Return the epochs done at evaluations. Whole numbers name the epoch that is running."""
    cells = rows.columns["epoch"]
    is_clock = rows.clock == "epoch"
    known = np.flatnonzero(cells.known & (is_clock | (rows.time + offset > 0)))
    values = cells.values[known].astype(np.float64)
    if not len(values):
        return none_of(len(times))
    is_whole = bool((values == np.floor(values)).all())
    if is_clock or not is_whole:
        found = _known_at(series, rows, "epoch", cells, times)
        return Cells(found.values + float(is_whole and values.min() == 0), found.known)
    last = np.append(np.diff(values) > 0, True)
    ends = rows.time[known][last].astype(np.float64) + offset
    done = values[last] + float(values[0] == 0)
    lengths = np.diff(ends, prepend=0.0)
    if len(ends) > 1 and lengths[-1] < lengths[-2]:
        ends[-1] = ends[-2] + lengths[-2]  # the last epoch was cut short
    begin = (0.0, 0.0) if done[0] == 1 else (ends[0] - 1, done[0] - 1)
    found = np.interp(times + float(offset), np.append(begin[0], ends), np.append(begin[1], done))
    return Cells(found, np.ones(len(times), bool))


def _seconds(series: Series, rows: Ordered, times: NDArray[Any], judged: str | None) -> Cells | None:
    """Return the seconds since the evaluation before, from a column of elapsed time or of moments."""
    name = next((n for n in (ELAPSED, MOMENT) if n in rows.columns and rows.columns[n].known.any()), None)
    if name is None:
        return None
    cells = rows.columns[name]
    known = np.flatnonzero(cells.known)
    moments, values = rows.time[known], cells.values[known].astype(np.float64)
    if name == MOMENT and values.max() > _MILLISECONDS:
        values /= 1000
    place = np.minimum(np.searchsorted(moments, times, side="right") - 1, len(moments) - 1)
    if bool((place < 0).any()) or bool((np.diff(values) < 0).any()):
        series.note(f"{_name(series, name)} is missing or goes back: not used", int(rows.source[0]))
        return None
    total = values[place] - (values[0] if name == MOMENT else 0.0)
    seconds, whole = np.diff(total, prepend=0.0), np.ones(len(total), bool)
    if seconds[0] == 0:
        whole[0] = False
        if judged == "seconds" and len(seconds) > 1:
            seconds[0], whole[0] = seconds[1], True
            series.note(_FIRST, int(rows.source[0]))
    return Cells(seconds, whole)
