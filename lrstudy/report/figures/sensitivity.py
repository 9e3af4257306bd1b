"""Rate sensitivity: the metric against the searched rate, each tuning trial a dot."""

from __future__ import annotations

from collections.abc import Sequence

from lrstudy.analysis.summary import ScheduleSummary, Summary, TunedTrial
from lrstudy.report.figures.common import measured, no_tuning_trials, tunings, tunings_in_words
from lrstudy.report.figures.model import STATIC, Axis, Dots, Figure, Panel, Points, table
from lrstudy.report.text import metric_words, trim
from lrstudy.rules.counting import counted

KEY = "rate-sensitivity"
TITLE = "Rate sensitivity"
# The parameters that are rates, in order of preference for a panel's axis.
_RATES = ("lr", "max_lr", "peak_lr", "initial_lr", "base_lr", "scale")
_Searched = tuple[int, ScheduleSummary, str]  # a schedule's index, the schedule, the rate it searched
# Dots of a panel: more overlap, and make the page large.
_MOST_DOTS = 250
_CLOSE_POINTS = 0.01  # "as good as the best" for a share: one percentage point
_CLOSE_PART = 0.05  # and for any other metric: a part of the best value


def rate_sensitivity(study: Summary) -> Figure:
    """One panel for each schedule that searched a rate: best value of the metric against the rate."""
    searched = [
        (index, schedule, rate)
        for index, schedule in enumerate(study.schedules)
        if (rate := searched_rate(schedule.trials)) is not None
    ]
    if not searched:
        why = no_tuning_trials(study) or "No schedule searched a rate, or too few tuning trials have ended."
        return Figure(KEY, TITLE, why, "")
    edge = _edge(study, [trial for _, schedule, _ in searched for trial in schedule.trials])
    ends = _common_range(searched)
    words = metric_words(study.metric)
    panels = tuple(
        Panel(
            f"{schedule.name}: {rate}",
            Axis(rate, log=True, switch=True, range=ends if rate != "scale" else None),
            Axis(f"best {words}", percent=study.metric.is_share),
            _marks(index, schedule, rate, edge),
        )
        for index, schedule, rate in searched
    )
    rows = [
        [schedule.name, trial.trial_id, rate, trial.params[rate], trial.value, trial.status]
        for _, schedule, rate in searched
        for trial in schedule.trials
        if rate in trial.params
    ]
    columns = ["schedule", "trial", "parameter", "value", f"best {study.metric.name}", "status"]
    if not any(_kept(schedule, rate) for _, schedule, rate in searched):
        takeaway = "Every tuning trial of every schedule that searched a rate diverged or failed."
        return Figure(KEY, TITLE, takeaway, _reading(study), (), table(columns, rows))
    return Figure(KEY, TITLE, _takeaway(study, searched), _reading(study), panels, table(columns, rows))


def _common_range(searched: Sequence[_Searched]) -> tuple[float, float] | None:
    """The same axis for all rates, so that panels can be compared; a scale is no rate."""
    values = [
        float(trial.params[rate])
        for _, schedule, rate in searched
        for trial in schedule.trials
        if rate != "scale" and _is_rate(trial.params.get(rate))
    ]
    return (min(values) / 1.3, max(values) * 1.3) if values else None


def searched_rate(trials: Sequence[TunedTrial]) -> str | None:
    """The rate that these trials searched: the first known name with more than one positive value."""
    for name in _RATES:
        values = (trial.params.get(name) for trial in trials)
        if len({value for value in values if _is_rate(value)}) > 1:
            return name
    return None


def _edge(study: Summary, trials: Sequence[TunedTrial]) -> float:
    """Return the height of diverged trials: the worst value of any other trial."""
    values = measured(trial.value for trial in trials if trial.status != "diverged")
    if not values:
        return 0.0
    return min(values) if study.metric.higher_is_better else max(values)


def _marks(index: int, schedule: ScheduleSummary, rate: str, edge: float) -> tuple[Dots, ...]:
    kept = _kept(schedule, rate)
    lost = [
        trial for trial in schedule.trials if trial.status == "diverged" and _is_rate(trial.params.get(rate))
    ]
    kept, lost = _thinned(kept, rate), _thinned(lost, rate)
    marks = []
    if kept:
        marks.append(_dots(index, schedule, rate, kept, [trial.value for trial in kept]))
    if lost:
        marks.append(_dots(index, schedule, rate, lost, [edge] * len(lost), crossed=True))
    return tuple(marks)


def _dots(
    index: int,
    schedule: ScheduleSummary,
    rate: str,
    trials: Sequence[TunedTrial],
    values: Sequence[float | None],
    *,
    crossed: bool = False,
) -> Dots:
    at = tuple(float(trial.params[rate]) for trial in trials)
    labels = tuple(trial.trial_id + (" (diverged)" if crossed else "") for trial in trials)
    return Dots(index, schedule.name, {STATIC: Points(at, tuple(values))}, labels, crossed)


def _thinned(trials: list[TunedTrial], rate: str) -> list[TunedTrial]:
    """Return at most ``_MOST_DOTS`` trials, evenly spread over the rates."""
    if len(trials) <= _MOST_DOTS:
        return trials
    ordered = sorted(trials, key=lambda trial: (float(trial.params[rate]), trial.trial_id))
    last = len(ordered) - 1
    return [ordered[round(place * last / (_MOST_DOTS - 1))] for place in range(_MOST_DOTS)]


def _is_rate(value: object) -> bool:
    return isinstance(value, int | float) and value > 0


def _takeaway(study: Summary, searched: Sequence[_Searched]) -> str:
    """Give the width of the rates that do about as well as the best, and the number of lost trials."""
    trials = sum(len(schedule.trials) for _, schedule, _ in searched)
    lost = sum(trial.status == "diverged" for _, schedule, _ in searched for trial in schedule.trials)
    tail = f"; {lost} of these {counted(trials, 'tuning trial')} diverged." if lost else "."
    spans = {
        schedule.name: (rates[0], rates[-1], rate)
        for _, schedule, rate in searched
        if len(rates := sorted(float(t.params[rate]) for t in _close(study, _kept(schedule, rate)))) > 1
    }
    if not spans:
        return f"No schedule had two trials {_closeness(study)}{tail}"
    widest = max(spans, key=lambda name: spans[name][1] / spans[name][0])
    low, high, rate = spans[widest]
    text = f"Of the trials drawn, those of {widest} {_closeness(study)} span the widest range of rates, "
    text += f"{rate} {trim(low, 2)} to {trim(high, 2)} (a factor of {trim(high / low, 2)})"
    narrowest = min(spans, key=lambda name: spans[name][1] / spans[name][0])
    if narrowest != widest:
        low, high, _ = spans[narrowest]
        text += f"; those of {narrowest} the narrowest (a factor of {trim(high / low, 2)})"
    return f"{text}{tail}"


def _kept(schedule: ScheduleSummary, rate: str) -> list[TunedTrial]:
    """The trials that gave a value for a rate."""
    return [
        trial
        for trial in schedule.trials
        if trial.status != "diverged" and measured([trial.value]) and _is_rate(trial.params.get(rate))
    ]


def _close(study: Summary, trials: Sequence[TunedTrial]) -> list[TunedTrial]:
    values = measured(trial.value for trial in trials)
    if not values:
        return []
    best = max(values) if study.metric.higher_is_better else min(values)
    slack = _CLOSE_POINTS if study.metric.is_share else _CLOSE_PART * abs(best)
    return [trial for trial in trials if trial.value is not None and abs(trial.value - best) <= slack]


def _closeness(study: Summary) -> str:
    return "within 1 point of its best" if study.metric.is_share else "within 5% of its best"


def _reading(study: Summary) -> str:
    return (
        f"Each dot is one tuning trial{_of_tunings(study)}: the best {metric_words(study.metric)} of its "
        "training against its rate; other searched parameters differ between the dots. Crosses are trials "
        "that diverged, drawn at the height of the worst other trial. A wide flat top means that the "
        "result depends little on the rate."
        + (
            f" At most {_MOST_DOTS} trials are drawn per schedule, evenly over the rates."
            if any(len(schedule.trials) > _MOST_DOTS for schedule in study.schedules)
            else ""
        )
    )


def _of_tunings(study: Summary) -> str:
    return f" of one of {tunings_in_words(study)} tunings" if tunings(study) > 1 else ""
