"""From a store to a ``Summary``, without further input or output; every random number is seeded."""

from __future__ import annotations

import json
import math
from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any, Protocol

import numpy as np

from lrstudy.analysis.aggregate import interquartile_mean
from lrstudy.analysis.bands import levels_band
from lrstudy.analysis.by_length import by_length, compare_lengths, length_questions
from lrstudy.analysis.clusters import unit_means
from lrstudy.analysis.components import components_of
from lrstudy.analysis.contest import Contest
from lrstudy.analysis.curves import curves_of
from lrstudy.analysis.ecdf import ecdf_of, evaluation_times
from lrstudy.analysis.end_values import compare_ends, end_questions, ends_of
from lrstudy.analysis.explosions import diagnosed
from lrstudy.analysis.families import END
from lrstudy.analysis.intervals import Interval, mean_interval
from lrstudy.analysis.judgement import compare, judge
from lrstudy.analysis.ledger import price_of
from lrstudy.analysis.money import energy_of, money_of
from lrstudy.analysis.next_step import next_step_of, next_step_of_lengths
from lrstudy.analysis.pairing import pairs_of, restricted_over
from lrstudy.analysis.replicated_band import replicated_band
from lrstudy.analysis.rule_disagreements import arrival_warnings, verdicts_by_stay
from lrstudy.analysis.stability import stability
from lrstudy.analysis.study_contest import CONFIDENCE, StoreLike, contest_of
from lrstudy.analysis.study_facts import facts_of, task_of
from lrstudy.analysis.summary import Levels, Reach, ScheduleSummary, Summary, TunedTrial, Values, Winner
from lrstudy.analysis.targets import ladder
from lrstudy.analysis.time_to_target import reach_target
from lrstudy.analysis.trial_table import Trial
from lrstudy.analysis.tried_configurations import by_replicate, ranked
from lrstudy.analysis.tuned_price import best_value, price_of_target, priced_target, with_break_even
from lrstudy.analysis.warnings import study_warnings
from lrstudy.records import Phase, Status
from lrstudy.rules.diagnostics import COLUMNS
from lrstudy.rules.goal import Goal
from lrstudy.rules.metrics import Metric
from lrstudy.rules.objective import Objective
from lrstudy.rules.prices import Prices
from lrstudy.store.location import open_location, study_folder


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
    compared: tuple[Any, ...]
    clock: str
    length: int
    target_clock: str
    declared_metrics: dict[str, Metric]
    trials: int
    confirm_seeds: int
    lanes: int
    goal: Goal
    history: list[dict[str, Any]]
    stopped: dict[str, dict[str, Any]]
    layers: list[str]

    def replicates(self, schedule: str) -> int:
        """Return the number of tunings that a schedule has, or will have."""

    def planned(self, schedule: Any) -> Mapping[Phase, int]:
        """Return the number of trials of each phase that a schedule gets."""


def analyse(
    store: StoreLike,
    *,
    targets: Sequence[float] | None = None,
    clock: str | None = None,
    arrival: str | None = None,
    seed: int = 0,
) -> Summary:
    """Compare a study's schedules.

    ``targets``, ``clock`` and ``arrival`` (``first``, ``stay:3``) replace the study's own. ``seed`` is that
    of the bootstraps: the same store and seed give the same summary. A study that is still running is
    summarised as far as it is.

    Raises:
        InputError: for a target outside the metric's range or beyond the one at which runs were stopped, a
            clock that some evaluation lacks, and an unknown rule of arrival.
    """
    study: StudyLike = store.study
    metric = study.metric
    declared = study.declared_metrics
    found = contest_of(store, targets=targets, clock=clock, arrival=arrival, seed=seed)
    contest, levels = found.contest, found.targets
    columns, runs, timing = contest.columns, contest.runs, contest.timing
    base = runs[study.reference]
    confirmed = [run for those in runs.values() for run in those]
    compared = {level: compare(contest, level) for level in levels}
    ends = compare_ends(contest)
    end_p_values = end_questions(contest, ends)
    further = {question: end_p_values.get(question) for question in found.further}
    lengths = compare_lengths(contest, study, levels)
    further |= length_questions(contest, study, lengths)
    judgement = judge(contest, compared, further)
    reached = [reach_target(contest, level, compared[level], judgement) for level in levels]
    rungs = tuple(level for level in ladder(columns, base, metric) if contest.tells(level))
    priced = priced_target(contest, levels)
    times = evaluation_times(columns, confirmed, timing)
    schedules = tuple(
        replace(
            _schedule(contest, info, [reach[info.name] for reach in reached], rungs, priced, found.prices),
            curves=curves_of(
                columns,
                contest.trained_out(info.name),
                metric,
                CONFIDENCE,
                clock=study.clock,
                declared=declared,
                stopped=timing.stopped,
            ),
            ecdf=ecdf_of(columns, runs[info.name], metric, rungs, timing, times),
            diagnosed=diagnosed(columns, runs[info.name], study.layers),
        )
        for info in study.compared
    )
    untuned = {info.name for info in study.compared if not info.space}
    schedules = with_break_even(schedules, untuned, priced)
    # Recorded histories are all there is, also where one schedule has fewer seeds than another.
    planned = len(columns.trials) if "imported" in study.spec else _planned(study, columns.trials)
    complete = len(columns.trials) >= planned
    end = ends_of(contest, study, ends, {name: judgement.adjusted.get((END, name)) for name in runs})
    primary = contest.primary if isinstance(contest.primary, float) else None
    components = None if primary is None else components_of(contest, primary)
    shortest = by_length(contest, study, lengths, judgement.adjusted)
    step = None
    if complete and base:
        if shortest is not None:
            ratios = lengths[levels[shortest.primary]][1]
            step = next_step_of_lengths(contest, study, shortest, ratios, judgement)
        elif primary is not None:
            step = next_step_of(contest, study, compared[primary], judgement)
    by_stay = verdicts_by_stay(contest, levels, further, study)
    disagreements = arrival_warnings(levels, judgement.verdicts, by_stay, end, tuple(runs), metric)
    return Summary(
        name=study.name,
        metric=metric,
        reference=study.reference,
        targets=levels,
        target_rule=found.target_rule,
        clock=timing.clock,
        length=_whole(timing.horizon),
        trial_clock=study.clock,
        trial_length=study.length,
        margin=study.margin,
        confidence=CONFIDENCE,
        seeds=study.confirm_seeds,
        tune_budget=study.trials,
        complete=complete,
        schedules=schedules,
        warnings=(*disagreements, *study_warnings(study, contest, schedules, complete=complete)),
        stability=stability(contest, compared, further),
        task=task_of(study),
        facts=facts_of(study),
        spec=json.dumps(study.spec, indent=2, ensure_ascii=False),
        seed=seed,
        planned=planned,
        lanes=study.lanes,
        moment=columns.moment,
        declared=tuple(one for one in declared.values() if one.name not in (metric.name, *COLUMNS)),
        arrival=found.arrival,
        end=end,
        by_length=shortest,
        shorter_trials=sum(trial.schedule not in runs for trial in columns.trials),
        components=components,
        confirm_replicates=len({run.replicate for run in base}),
        objective=contest.objective.label,
        next_step=step,
        run=str(study_folder(open_location("runs"), study.name)),
        priced=priced,
        money=money_of(store, found.everything),
        energy=energy_of(found.everything),
    )


def _schedule(
    contest: Contest,
    info: Any,
    reached: Sequence[Reach],
    rungs: Sequence[float],
    priced: int | None,
    prices: Prices | None,
) -> ScheduleSummary:
    columns, metric, name = contest.columns, contest.metric, info.name
    trials = [trial for trial in columns.trials if trial.schedule == name]
    tune = [trial for trial in trials if trial.phase is Phase.TUNE]
    confirm = [trial for trial in trials if trial.phase is Phase.CONFIRM]
    results = [trial for trial in confirm if trial.status is not Status.FAILED]
    price = None
    if priced is not None:
        tests = [trial for trial in trials if trial.phase is Phase.RANGE_TEST]
        price = price_of_target(contest, tests, tune, reached[priced], searched=bool(info.space))
    return ScheduleSummary(
        name=name,
        kind=info.kind,
        tune_trials=len(tune),
        confirm_trials=len(confirm),
        pruned=sum(trial.status is Status.PRUNED for trial in [*tune, *confirm]),
        diverged=sum(trial.status is Status.DIVERGED for trial in [*tune, *confirm]),
        failed=sum(trial.status is Status.FAILED for trial in [*tune, *confirm]),
        best_params=confirm[0].params if confirm else _winner_params(tune, contest.objective),
        best_val=_mean([(trial, trial.best_val) for trial in results], metric),
        test=_mean([(trial, trial.test) for trial in results], metric),
        reach=tuple(reached),
        curves={},
        levels=_levels(contest, name, rungs),
        trials=tuple(TunedTrial(t.trial_id, t.params, t.best_val, t.status.value) for t in tune),
        best_of=best_value(tune, contest.objective, CONFIDENCE),
        price_of_target=price,
        price=price_of(columns, name, prices),
        break_even=None,
        best_val_iqm=interquartile_mean(_known([trial.best_val for trial in results])),
        tuned=contest.tuned(name),
        winners=tuple(Winner(number, runs[0].params) for number, runs in by_replicate(confirm).items()),
        optimizer=None if info.optimizer is None else str(info.optimizer["name"]),
        loss=None if info.loss is None else str(info.loss["name"]),
    )


def _known(values: Sequence[float | None]) -> list[float]:
    return [value for value in values if value is not None and math.isfinite(value)]


def _mean(values: Sequence[tuple[Trial, float | None]], metric: Metric) -> Interval:
    """Return the mean over runs, or over replicates where there are several."""
    measured = [(trial, value) for trial, value in values if value is not None and math.isfinite(value)]
    if not measured:
        return Interval(None, None, None)
    units = unit_means([value for _, value in measured], [trial.replicate for trial, _ in measured])
    return mean_interval(units, CONFIDENCE, (metric.low, metric.high))


def _winner_params(tune: Sequence[Trial], objective: Objective) -> dict[str, Any]:
    tried = [one for one in ranked(tune, objective) if one.objective is not None]
    return tried[0].params if tried else {}


def _levels(contest: Contest, name: str, rungs: Sequence[float]) -> Levels | None:
    if name == contest.reference or not rungs:
        return None
    runs = {each: contest.trained_out(each) for each in (contest.reference, name)}
    pairs = pairs_of(runs[contest.reference], runs[name])
    if len(pairs[0]) < 2:
        return None
    timing = contest.timing
    if contest.replicated:
        two = replace(contest, runs=runs)
        tables = [two.replicates(level, timing.clock, timing.horizon) for level in rungs]
        band = replicated_band(tables, contest.seed, confidence=contest.confidence)
    else:
        base, other = (restricted_over(contest.columns, t, contest.metric, rungs, timing) for t in pairs)
        band = levels_band(
            base, other, timing.horizon, timing.resolution, contest.seed, confidence=contest.confidence
        )
    return Levels(tuple(rungs), *(_values(values) for values in (band.ratio, band.low, band.high)))


def _planned(study: StudyLike, trials: Sequence[Trial]) -> int:
    """Return the number of trials of the whole study; a schedule that was stopped by hand has all of its."""
    ended = sum(trial.schedule in study.stopped for trial in trials)
    others = (schedule for schedule in study.schedules if schedule.name not in study.stopped)
    return ended + sum(sum(study.planned(schedule).values()) for schedule in others)


def _whole(value: float) -> float:
    """Return a whole number as ``int``."""
    return int(value) if value.is_integer() else value


def _values(values: Any) -> Values:
    return tuple(float(value) if np.isfinite(value) else None for value in values)
