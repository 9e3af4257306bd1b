"""From a store to a ``Summary``, without further input or output; every random number is seeded."""

from __future__ import annotations

import json
import math
from collections.abc import Mapping, Sequence
from collections.abc import Set as AbstractSet
from dataclasses import replace
from typing import Any, Protocol

import numpy as np

from lrstudy.analysis.aggregate import interquartile_mean
from lrstudy.analysis.bands import levels_band
from lrstudy.analysis.curves import curves_of
from lrstudy.analysis.ecdf import ecdf_of
from lrstudy.analysis.hits import hits_of
from lrstudy.analysis.intervals import Interval, mean_interval
from lrstudy.analysis.ledger import price_of
from lrstudy.analysis.pairing import pairs_of, restricted_over
from lrstudy.analysis.stability import stability
from lrstudy.analysis.summary import Levels, Reach, ScheduleSummary, Summary, TunedTrial, TuningCurve, Values
from lrstudy.analysis.targets import choose_targets, ladder
from lrstudy.analysis.time_to_target import Contest, reach_target
from lrstudy.analysis.trial_table import Readable, Trial, read_columns
from lrstudy.analysis.tried_configurations import Tried, configurations, ranked
from lrstudy.analysis.tuning_cost import TunedTime, best_of_n, break_even, time_with_tuning
from lrstudy.analysis.warnings import study_warnings
from lrstudy.records import Phase, Status
from lrstudy.rules.metrics import Metric

CONFIDENCE = 0.95


class StudyLike(Protocol):
    """The part of a store's ``StudyInfo`` that an analysis needs."""

    name: str
    spec: dict[str, Any]
    seed: int
    versions: dict[str, str]
    hardware: dict[str, Any]
    git_commit: str | None
    metric: Metric
    targets: list[float] | None
    reference: str
    margin: float
    schedules: tuple[Any, ...]
    epochs: int
    trials: int
    confirm_seeds: int
    lanes: int

    def planned(self, schedule: Any) -> Mapping[Phase, int]:
        """Return the number of trials of each phase that a schedule gets."""


class StoreLike(Readable, Protocol):
    """The part of a ``Store`` that an analysis needs."""

    @property
    def study(self) -> Any:
        """The store's ``StudyInfo``."""


def analyse(store: StoreLike, *, targets: Sequence[float] | None = None, seed: int = 0) -> Summary:
    """Compare a study's schedules.

    ``targets`` replace the study's own. ``seed`` is that of the bootstraps: the same store and seed give
    the same summary. A study that is still running is summarised as far as it is.

    Raises:
        InputError: for a target outside the metric's range.
    """
    study: StudyLike = store.study
    metric = study.metric
    columns = read_columns(store, metric, shared=study.lanes > 0)
    runs = {s.name: _measured(columns.of(s.name, Phase.CONFIRM)) for s in study.schedules}
    base = runs[study.reference]
    levels, rule = choose_targets(columns, base, metric, targets or study.targets)
    contest = Contest(columns, metric, study.reference, runs, study.epochs, study.margin, CONFIDENCE, seed)
    reached = [reach_target(contest, level) for level in levels]
    steps = ladder(columns, base, metric)
    schedules = tuple(
        _schedule(contest, info, [found[info.name] for found in reached], steps) for info in study.schedules
    )
    untuned = {info.name for info in study.schedules if not info.space}
    schedules = _with_break_even(schedules, untuned, levels, metric)
    # Recorded histories are all there is, also where one schedule has fewer seeds than another.
    planned = len(columns.trials) if "imported" in study.spec else _planned(study)
    complete = len(columns.trials) >= planned
    return Summary(
        name=study.name,
        metric=metric.name,
        higher_is_better=metric.higher_is_better,
        reference=study.reference,
        targets=levels,
        target_rule=rule,
        epochs=study.epochs,
        margin=study.margin,
        confidence=CONFIDENCE,
        seeds=study.confirm_seeds,
        tune_budget=study.trials,
        complete=complete,
        schedules=schedules,
        warnings=study_warnings(study, contest, schedules, complete=complete),
        stability=stability(contest, levels),
        task=_task(study),
        facts=_facts(study),
        spec=json.dumps(study.spec, indent=2, ensure_ascii=False),
        seed=seed,
        planned=planned,
        lanes=study.lanes,
    )


def _measured(trials: Sequence[Trial]) -> list[Trial]:
    """Without the runs that left no epoch to judge, but with those that diverged before one ended."""
    return [trial for trial in trials if trial.end > trial.begin or trial.status is Status.DIVERGED]


def _schedule(
    contest: Contest, info: Any, reached: Sequence[Reach], steps: Sequence[float]
) -> ScheduleSummary:
    columns, metric, name = contest.columns, contest.metric, info.name
    trials = [trial for trial in columns.trials if trial.schedule == name]
    tune = [trial for trial in trials if trial.phase is Phase.TUNE]
    confirm = [trial for trial in trials if trial.phase is Phase.CONFIRM]
    results = [trial for trial in confirm if trial.status is not Status.FAILED]
    hardest = _hardest([reach.target for reach in reached], metric)
    price = None
    if hardest is not None:
        tests = [trial for trial in trials if trial.phase is Phase.RANGE_TEST]
        price = _price_of_target(contest, tests, tune, reached[hardest], searched=bool(info.space))
    return ScheduleSummary(
        name=name,
        kind=info.kind,
        tune_trials=len(tune),
        confirm_trials=len(confirm),
        pruned=sum(trial.status is Status.PRUNED for trial in [*tune, *confirm]),
        diverged=sum(trial.status is Status.DIVERGED for trial in [*tune, *confirm]),
        failed=sum(trial.status is Status.FAILED for trial in [*tune, *confirm]),
        best_params=confirm[0].params if confirm else _winner_params(tune, metric),
        best_val=_mean([trial.best_val for trial in results], metric),
        test=_mean([trial.test for trial in results], metric),
        reach=tuple(reached),
        curves=curves_of(columns, contest.runs[name], metric.name, contest.confidence),
        levels=_levels(contest, name, steps),
        trials=tuple(TunedTrial(t.trial_id, t.params, t.objective, t.status.value) for t in tune),
        best_of=_best_of(tune, metric),
        price_of_target=price,
        price=price_of(columns, name),
        break_even=None,
        best_val_iqm=interquartile_mean(_known([trial.best_val for trial in results])),
        tuned=contest.tuned(name),
        ecdf=ecdf_of(columns, contest.runs[name], metric, steps, contest.epochs),
        optimizer=None if info.optimizer is None else str(info.optimizer["name"]),
    )


def _known(values: Sequence[float | None]) -> list[float]:
    return [value for value in values if value is not None and math.isfinite(value)]


def _mean(values: Sequence[float | None], metric: Metric) -> Interval:
    measured = _known(values)
    if not measured:
        return Interval(None, None, None)
    return mean_interval(measured, CONFIDENCE, (metric.low, metric.high))


def _winner_params(tune: Sequence[Trial], metric: Metric) -> dict[str, Any]:
    tried = [one for one in ranked(tune, metric) if one.objective is not None]
    return tried[0].params if tried else {}


def _levels(contest: Contest, name: str, steps: Sequence[float]) -> Levels | None:
    if name == contest.reference or not steps:
        return None
    pairs = pairs_of(contest.runs[contest.reference], contest.runs[name])
    if len(pairs[0]) < 2:
        return None
    horizon = float(contest.epochs)
    base, other = (restricted_over(contest.columns, t, contest.metric, steps, horizon) for t in pairs)
    band = levels_band(base, other, horizon, 1.0, contest.seed, confidence=contest.confidence)
    return Levels(tuple(steps), *(_values(values) for values in (band.ratio, band.low, band.high)))


def _best_of(tune: Sequence[Trial], metric: Metric) -> TuningCurve | None:
    values = [one.objective for one in configurations(tune)]
    if not values:
        return None
    support = (
        (metric.low, metric.high)
        if math.isfinite(metric.low) and math.isfinite(metric.high)
        else (None, None)
    )
    found = best_of_n(values, metric.higher_is_better, CONFIDENCE, support=support)
    return TuningCurve(found.n, found.expected, found.low, found.high) if found.n else None


def _tuned_time(contest: Contest, tune: Sequence[Trial], reach: Reach) -> TunedTime | None:
    tried = configurations([trial for trial in tune if trial.end > trial.begin])
    if not tried:
        return None
    ert_epochs = math.inf if reach.ert_epochs is None else reach.ert_epochs
    return time_with_tuning(
        [_configuration_ert(contest, one, reach.target) for one in tried],
        [float(sum(trial.epochs_run for trial in one.trials)) for one in tried],
        ert_epochs if reach.runs else None,
        objectives=[one.objective for one in tried],
        higher_is_better=contest.metric.higher_is_better,
        runs_per_trial=[len(one.trials) for one in tried],
    )


def _configuration_ert(contest: Contest, tried: Tried, target: float) -> float | None:
    """Expected epochs to a target over a configuration's tuning trials; None when none of them hit."""
    found = hits_of(contest.columns, tried.trials, contest.metric, target, "epochs", float(contest.epochs))
    spent = [
        time if hit else float(trial.epochs_run)
        for trial, time, hit in zip(tried.trials, found.time, found.hit, strict=True)
    ]
    hits = int(found.hit.sum())
    return math.fsum(spent) / hits if hits else None


def _price_of_target(
    contest: Contest, tests: Sequence[Trial], tune: Sequence[Trial], reach: Reach, *, searched: bool
) -> TuningCurve | None:
    found = _tuned_time(contest, tune, reach)
    if found is None:
        return None
    # A schedule with nothing to search pays no tuning: its one trial is a run like any other.
    if not searched:
        return TuningCurve(found.n, found.time)
    # A range test is paid before the first trial.
    first = sum(trial.epochs_run for trial in tests)
    return TuningCurve(found.n, tuple(None if total is None else total + first for total in found.total))


def _with_break_even(
    schedules: Sequence[ScheduleSummary], untuned: AbstractSet[str], levels: Sequence[float], metric: Metric
) -> tuple[ScheduleSummary, ...]:
    """Fill in from how many tuning trials on a schedule's price beats that of the best of the ``untuned``."""
    hardest = _hardest(levels, metric)
    if hardest is None:
        return tuple(schedules)
    times = [
        time for s in schedules if s.name in untuned and (time := s.reach[hardest].ert_epochs) is not None
    ]
    if not times:
        return tuple(schedules)
    return tuple(
        replace(s, break_even=break_even(min(times), s.price_of_target.value))
        if s.name not in untuned and s.price_of_target is not None
        else s
        for s in schedules
    )


def _hardest(levels: Sequence[float], metric: Metric) -> int | None:
    if not levels:
        return None
    best = max if metric.higher_is_better else min
    return best(range(len(levels)), key=lambda place: levels[place])


def _planned(study: StudyLike) -> int:
    return sum(sum(study.planned(schedule).values()) for schedule in study.schedules)


def _task(study: StudyLike) -> str:
    task = study.spec["task"]
    parts = [task.get(part) for part in ("dataset", "model", "optimizer")]
    names = [str(part.get("name")) if isinstance(part, dict) else str(part) for part in parts if part]
    return ", ".join(names)


def _facts(study: StudyLike) -> tuple[tuple[str, str], ...]:
    hardware = study.hardware
    imported = study.spec.get("imported")
    facts = [("recorded in", ", ".join(imported["files"]))] if imported else [("seed", str(study.seed))]
    if hardware.get("cpu"):
        facts.append(("processor", f"{hardware['cpu']}, {hardware.get('cpus')} cores"))
    if hardware.get("gpus"):
        facts.append(("GPU", ", ".join(hardware["gpus"])))
    facts += [(name, version) for name, version in study.versions.items()]
    if study.git_commit:
        facts.append(("commit", study.git_commit))
    return tuple(facts)


def _values(values: Any) -> Values:
    return tuple(float(value) if np.isfinite(value) else None for value in values)
