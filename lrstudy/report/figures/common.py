"""Functions that several figures share."""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from dataclasses import replace

from lrstudy.analysis.summary import Curve, ScheduleSummary, Summary
from lrstudy.report.figures.model import Line, Points, Values
from lrstudy.report.text import listed
from lrstudy.rules.counting import counted

CurveOf = tuple[int, ScheduleSummary, Curve]  # a schedule's index, the schedule, one of its curves

# More points than pixels cost space and show nothing; the tables folder keeps them all.
_MOST_POINTS = 400
_MOST_IN_PANEL = 4000
# A logarithmic axis shows the ends of bands within this factor of the means.
_REACH = 3.0


def measured(values: Iterable[float | None]) -> list[float]:
    """The values that are finite numbers."""
    return [value for value in values if value is not None and math.isfinite(value)]


def curve_lines(items: Sequence[CurveOf]) -> tuple[Line, ...]:
    """The curves of one panel as lines; the more there are, the fewer points each needs."""
    most = min(_MOST_POINTS, max(40, _MOST_IN_PANEL // max(1, len(items))))
    return tuple(curve_line(index, schedule.name, curve, most) for index, schedule, curve in items)


def curve_line(index: int, label: str, curve: Curve, most: int = _MOST_POINTS) -> Line:
    """Return a curve as a line, thinned evenly to ``most`` points; the last epoch is always kept."""
    count = len(curve.value)
    stride = math.ceil(count / most) if count else 1
    kept = sorted({*range(0, count, stride), count - 1} if count else set())

    def take(values: Values) -> Values:
        return tuple(values[i] for i in kept) if values else ()

    points = {
        time: Points(take(x), take(curve.value), take(curve.low), take(curve.high))
        for time, x in curve.times.items()
    }
    return Line(index, label, points)


def with_curve(study: Summary, column: str) -> list[CurveOf]:
    """Return the schedules that have a measured curve of this column, each with its index.

    The band of a share ends at 0 and 1: a mean of shares is a share.
    """
    is_share = column == study.metric.name and study.metric.is_share
    is_share = is_share or any(metric.name == column and metric.is_share for metric in study.declared)
    found = []
    for index, schedule in enumerate(study.schedules):
        curve = schedule.curves.get(column)
        if curve is not None and measured(curve.value):
            found.append((index, schedule, _share_band(curve) if is_share else curve))
    return found


def _share_band(curve: Curve) -> Curve:
    low = tuple(None if end is None else max(end, 0.0) for end in curve.low)
    return replace(curve, low=low, high=tuple(None if end is None else min(end, 1.0) for end in curve.high))


def curve_rows(items: Sequence[CurveOf], times: Sequence[str]) -> list[list[object]]:
    """A table's rows for curves: schedule, each way to count time, mean, interval, runs."""
    rows: list[list[object]] = []
    for _, schedule, curve in items:
        for at, value in enumerate(curve.value):
            rows.append(
                [
                    schedule.name,
                    *(curve.times[time][at] if time in curve.times else None for time in times),
                    value,
                    curve.low[at] if curve.low else None,
                    curve.high[at] if curve.high else None,
                    curve.runs[at] if curve.runs else None,
                ]
            )
    return rows


def times_of(curves: Iterable[Curve]) -> list[str]:
    """The ways to count time that any of the curves has, in their order."""
    found: dict[str, None] = {}
    for curve in curves:
        found.update(dict.fromkeys(curve.times))
    return list(found)


def without_runs(study: Summary) -> str:
    """Return the sentence for a study without a confirm trial that ended."""
    done = sum(schedule.tune_trials for schedule in study.schedules)
    so_far = f"{counted(done, 'tuning trial')} ended so far" if done else "no trial has ended"
    return f"No confirm trial has ended yet ({so_far}): this figure shows confirm trials only."


def no_curves(study: Summary) -> str:
    """Return the sentence for confirm trials that all diverged or failed; empty if some gave a curve."""
    runs = sum(schedule.confirm_trials for schedule in study.schedules)
    if runs and not any(with_curve(study, study.metric.name)):
        return f"All {counted(runs, 'confirm trial')} diverged or failed before the metric was measured."
    return ""


def no_tuning_trials(study: Summary) -> str:
    """Return the sentence for a store without tuning trials, such as imported logs; empty for any other."""
    if study.complete and not any(schedule.tune_trials for schedule in study.schedules):
        return "The store holds no tuning trials."
    return ""


def runs_each(study: Summary) -> int:
    """Return the largest number of confirm runs of any schedule: the base of the intervals so far."""
    counted_runs = [reach.runs for schedule in study.schedules for reach in schedule.reach]
    return max(counted_runs or [schedule.confirm_trials for schedule in study.schedules], default=0)


def searches(schedule: ScheduleSummary) -> bool:
    """Return True if several configurations of a schedule were tried in a tuning."""
    return schedule.tune_trials > max(1, len(schedule.winners))


def tunings(study: Summary) -> int:
    """Return the largest number of replicates of any schedule."""
    return max((reach.replicates for schedule in study.schedules for reach in schedule.reach), default=1)


def tunings_in_words(study: Summary) -> str:
    """Return the number of tunings of the schedules that were searched: "8", or "4 to 8"."""
    most = tunings(study)
    least = min((len(s.winners) for s in study.schedules if searches(s) and s.winners), default=most)
    return f"{least} to {most}" if least < most else str(most)


def reference_runs(study: Summary) -> int:
    """Return the number of confirm runs of the reference that count."""
    return max(
        (reach.runs for s in study.schedules if s.name == study.reference for reach in s.reach), default=0
    )


def no_comparison(study: Summary) -> str:
    """Return the reason why schedules cannot be compared on targets yet, or an empty text."""
    if not any(schedule.confirm_trials for schedule in study.schedules):
        return without_runs(study)
    if lost := no_curves(study):
        return lost
    if not study.targets:
        return f"There is no target yet: targets are derived from the confirm runs of {study.reference}."
    if not reference_runs(study):
        return f"The reference {study.reference} has no confirm run yet."
    return ""


def by_name(names: Sequence[str], most: int = 4) -> str:
    """Names in a sentence, at most ``most`` of them.

    >>> by_name(["a", "b", "c", "d", "e", "f"])
    'a, b, c, d and 2 more'
    """
    if len(names) <= most:
        return listed(list(names))
    return f"{', '.join(names[:most])} and {len(names) - most} more"


def all_positive(items: Sequence[CurveOf]) -> bool:
    """Return True if every value is above zero, so that a logarithmic axis can show them all."""
    return all(value > 0 for _, _, curve in items for value in measured(curve.value))


def log_range(items: Sequence[CurveOf]) -> tuple[float, float] | None:
    """Return the ends of a logarithmic axis: of the means, and of bands that are near them.

    A band that ends just above zero would stretch the axis over decades without a line in them. Returns
    None if ``all_positive`` is False: the axis is linear then.
    """
    if not all_positive(items):
        return None
    means = measured(value for _, _, curve in items for value in curve.value)
    ends = measured(end for _, _, curve in items for end in (*curve.low, *curve.high))
    least, most = min(means), max(means)
    low = min([least, *(end for end in ends if end > least / _REACH)])
    high = max([most, *(end for end in ends if end < most * _REACH)])
    return low / 1.2, high * 1.2
