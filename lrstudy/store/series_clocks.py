"""The clocks of a run's evaluations: as logged at them, or between the rows that have them."""

from __future__ import annotations

from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from lrstudy.store.cells import Cells, Index, none_of
from lrstudy.store.columns import ELAPSED, LOG_STEP, MOMENT
from lrstudy.store.log_series import Ordered, Series

_MILLISECONDS: Final = 1e11  # as seconds, the year 5138
_BETWEEN: Final = "{} at evaluations is interpolated between the rows that have it"
_FIRST: Final = "the time before the first evaluation is not known: taken as long as the one after it"


def clocks_of(series: Series, rows: Ordered, at: Index, offset: int, judged: str | None) -> dict[str, Cells]:
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
        series.note(_BETWEEN.format(clock_name(series, name)), int(rows.source[0]))
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
        series.note(f"{clock_name(series, name)} is missing or goes back: not used", int(rows.source[0]))
        return None
    total = values[place] - (values[0] if name == MOMENT else 0.0)
    seconds, whole = np.diff(total, prepend=0.0), np.ones(len(total), bool)
    if seconds[0] == 0:
        whole[0] = False
        if judged == "seconds" and len(seconds) > 1:
            seconds[0], whole[0] = seconds[1], True
            series.note(_FIRST, int(rows.source[0]))
    return Cells(seconds, whole)


def clock_name(series: Series, clock: str) -> str:
    """Return the log's own name of a clock."""
    return next((found[clock] for _, found, _ in series.parts if clock in found), clock)
