"""Rate sensitivity: how the metric depends on the searched rate, each tuning trial a dot."""

from __future__ import annotations

from collections.abc import Sequence

from lrstudy.report.figures.common import measured
from lrstudy.report.figures.model import STATIC, Axis, Dots, Figure, Panel, Points, table
from lrstudy.report.inputs import ScheduleInput, StudyInput, TunedTrial
from lrstudy.report.text import counted, is_share, metric_words, trim

KEY = "rate-sensitivity"
TITLE = "Rate sensitivity"
# The parameters that are rates, most telling first: one of them is a panel's axis.
_RATES = ("lr", "max_lr", "peak_lr", "initial_lr", "base_lr", "scale")
_CLOSE_POINTS = 0.01  # "as good as the best" for a share: one percentage point
_CLOSE_PART = 0.05  # and for any other metric: a part of the best value


def rate_sensitivity(study: StudyInput) -> Figure:
    """One panel for each schedule that searched a rate: best value of the metric against the rate."""
    searched = [
        (index, schedule, rate)
        for index, schedule in enumerate(study.schedules)
        if (rate := searched_rate(schedule.trials)) is not None
    ]
    if not searched:
        return Figure(KEY, TITLE, "No schedule searched a rate, or too few tuning trials have ended yet.", "")
    edge = _edge(study, [trial for _, schedule, _ in searched for trial in schedule.trials])
    words = metric_words(study.metric)
    panels = tuple(
        Panel(
            f"{schedule.name}: {rate}",
            Axis(rate, log=True, switch=True),
            Axis(f"best {words}", percent=is_share(study.metric)),
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
    columns = ["schedule", "trial", "parameter", "value", f"best {study.metric}", "status"]
    return Figure(KEY, TITLE, _takeaway(study, searched), _reading(study), panels, table(columns, rows))


def searched_rate(trials: Sequence[TunedTrial]) -> str | None:
    """The rate that these trials searched: the first known name with more than one positive value."""
    for name in _RATES:
        values = {trial.params.get(name) for trial in trials}
        numbers = [value for value in values if isinstance(value, int | float) and value > 0]
        if len(numbers) > 1:
            return name
    return None


def _edge(study: StudyInput, trials: Sequence[TunedTrial]) -> float:
    """Where diverged trials are drawn: level with the worst value of any other trial."""
    values = measured(trial.value for trial in trials if trial.status != "diverged")
    if not values:
        return 0.0
    return min(values) if study.higher_is_better else max(values)


def _marks(index: int, schedule: ScheduleInput, rate: str, edge: float) -> tuple[Dots, ...]:
    known = [trial for trial in schedule.trials if _is_rate(trial.params.get(rate))]
    lost = [trial for trial in known if trial.status == "diverged"]
    kept = [trial for trial in known if trial not in lost and measured([trial.value])]
    marks = []
    if kept:
        marks.append(_dots(index, schedule, rate, kept, [trial.value for trial in kept]))
    if lost:
        marks.append(_dots(index, schedule, rate, lost, [edge] * len(lost), crossed=True))
    return tuple(marks)


def _dots(
    index: int,
    schedule: ScheduleInput,
    rate: str,
    trials: Sequence[TunedTrial],
    values: Sequence[float | None],
    *,
    crossed: bool = False,
) -> Dots:
    at = tuple(float(trial.params[rate]) for trial in trials)
    labels = tuple(trial.trial_id + (" (diverged)" if crossed else "") for trial in trials)
    return Dots(index, schedule.name, {STATIC: Points(at, tuple(values))}, labels, crossed)


def _is_rate(value: object) -> bool:
    return isinstance(value, int | float) and value > 0


def _takeaway(study: StudyInput, searched: Sequence[tuple[int, ScheduleInput, str]]) -> str:
    """How wide the rates are that do about as well as the best one."""
    said = []
    for _, schedule, rate in searched:
        kept = [
            t
            for t in schedule.trials
            if t.status != "diverged" and measured([t.value]) and _is_rate(t.params.get(rate))
        ]
        lost = sum(trial.status == "diverged" for trial in schedule.trials)
        if not kept:
            said.append(f"every tuning trial of {schedule.name} diverged")
            continue
        close = _close(study, kept)
        rates = sorted(float(trial.params[rate]) for trial in close)
        text = f"{len(close)} of {schedule.name}'s {counted(len(schedule.trials), 'trial')}"
        if len(close) > 1:
            text += f" lie {_closeness(study)}, with {rate} from {trim(rates[0], 2)} to {trim(rates[-1], 2)}"
        else:
            text += f" lies {_closeness(study)}, with {rate} {trim(rates[0], 2)}"
        said.append(text + (f" ({lost} diverged)" if lost else ""))
    text = "; ".join(said)
    return f"{text[:1].upper()}{text[1:]}."


def _close(study: StudyInput, trials: Sequence[TunedTrial]) -> list[TunedTrial]:
    values = measured(trial.value for trial in trials)
    best = max(values) if study.higher_is_better else min(values)
    slack = _CLOSE_POINTS if is_share(study.metric) else _CLOSE_PART * abs(best)
    return [trial for trial in trials if trial.value is not None and abs(trial.value - best) <= slack]


def _closeness(study: StudyInput) -> str:
    return "within 1 point of its best" if is_share(study.metric) else "within 5% of its best"


def _reading(study: StudyInput) -> str:
    return (
        f"Each dot is one tuning trial: the best {metric_words(study.metric)} of its training against the "
        "rate it was given; other searched parameters differ between the dots. Crosses are trials that "
        "diverged, drawn level with the worst other trial. A wide flat top means that the schedule "
        "forgives a wrong rate."
    )
