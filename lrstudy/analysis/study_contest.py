"""The contest of a stored study: its runs, targets and settings."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Final, Protocol

from lrstudy.analysis.arrival_rules import arrival_of
from lrstudy.analysis.by_length import has_lengths, question
from lrstudy.analysis.column_changes import with_best, without
from lrstudy.analysis.contest import Contest
from lrstudy.analysis.families import END, Comparison, Question, primary_of
from lrstudy.analysis.money import with_cost_clock
from lrstudy.analysis.sequential_test import sizes_of
from lrstudy.analysis.targets import choose_targets
from lrstudy.analysis.timing import timing_of
from lrstudy.analysis.trial_table import Readable, Trial, read_columns
from lrstudy.errors import InputError, Problem
from lrstudy.records import Phase, Status
from lrstudy.rules.arrival import stay_of
from lrstudy.rules.prices import Prices
from lrstudy.store.superseded import superseded_trials

CONFIDENCE: Final = 0.95


class StoreLike(Readable, Protocol):
    """The part of a ``Store`` that an analysis needs."""

    @property
    def study(self) -> Any:
        """The store's ``StudyInfo``."""


@dataclass(frozen=True)
class StudyContest:
    """A study's contest with its targets, the rule that chose them, and its rule of arrival.

    ``further`` are the questions beside the targets that share the study's error, without p-values yet.
    ``prices`` are those that the study names, and ``everything`` are all of its trials, with those that an
    extension has superseded.
    """

    contest: Contest
    targets: tuple[float, ...]
    target_rule: str
    arrival: str
    further: dict[Comparison, float | None]
    prices: Prices | None = None
    everything: tuple[Trial, ...] = ()


def contest_of(
    store: StoreLike,
    *,
    targets: Sequence[float] | None = None,
    clock: str | None = None,
    arrival: str | None = None,
    seed: int = 0,
    replicates: int | None = None,
) -> StudyContest:
    """Read a study's confirm runs, of all or of the first so many ``replicates``.

    The other arguments are those of ``analyse``.

    Raises:
        InputError: for a target outside the metric's range or beyond the one at which runs were stopped, a
            clock that some evaluation lacks, and an unknown rule of arrival.
    """
    study = store.study
    metric = study.metric
    rule_of_arrival = arrival_of(study, arrival)
    columns = read_columns(
        store,
        metric,
        clock=study.clock,
        declared=[one.column for one in study.declared_metrics.values()],
        shared=study.lanes > 0,
        stay=stay_of(rule_of_arrival),
    )
    prices = Prices.of(study.spec)
    everything = columns.trials
    columns = with_cost_clock(columns, prices)
    columns = without(columns, superseded_trials(study, columns.trials))
    if study.judged:
        columns = with_best(columns, metric)
    runs = {
        info.name: [
            run
            for run in _measured(columns.of(info.name, Phase.CONFIRM))
            if replicates is None or run.replicate <= replicates
        ]
        for info in study.compared
    }
    levels, rule = choose_targets(columns, runs[study.reference], metric, targets or study.targets)
    primary: Question | None = primary_of(
        study.goal.primary, levels, higher_is_better=metric.higher_is_better
    )
    if has_lengths(study) and isinstance(primary, float):
        primary = question(primary)
    contest = Contest(
        columns,
        metric,
        study.goal.objective,
        study.reference,
        runs,
        timing_of(study, columns, [run for those in runs.values() for run in those], clock),
        study.margin,
        CONFIDENCE,
        seed,
        primary=primary,
        looks=sizes_of(study),
        goal=study.goal,
        stopped=frozenset(study.stopped),
        common=(study.clock, study.length) if study.spec.get("imported") else None,
    )
    _check_told(contest, targets or ())
    # Runs that end once they have reached the last target have no value at the end to compare.
    ends = study.goal.stop != "all"
    further: dict[Comparison, float | None] = {(END, name): None for name in contest.others} if ends else {}
    return StudyContest(contest, levels, rule, rule_of_arrival, further, prices, everything)


def _check_told(contest: Contest, targets: Sequence[float]) -> None:
    """Raise ``InputError`` for targets that runs were stopped before: they would count as missed."""
    end = None if contest.goal is None else contest.goal.stop_at(tuning=False)
    if end is None:
        return
    message = f"is harder than {end.target:g}, at which runs were stopped: their time to it is not known"
    remedy = (
        f"Give a level that is no harder than {end.target:g}. For a harder one, start a new run with it in "
        'target.values, or with budget.stop = "tune".'
    )
    problems = [
        Problem("command line", "--target", message, remedy, target)
        for target in targets
        if not contest.tells(target)
    ]
    if problems:
        raise InputError(problems)


def _measured(trials: Sequence[Trial]) -> list[Trial]:
    """Leave out the runs without an evaluation, except those that diverged before the first."""
    return [trial for trial in trials if trial.end > trial.begin or trial.status is Status.DIVERGED]
