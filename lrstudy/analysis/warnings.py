"""Warnings to read before trusting the numbers, as sentences."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from shlex import quote
from typing import Any

from lrstudy.analysis.contest import Contest
from lrstudy.analysis.explosions import explosion_words
from lrstudy.analysis.ledger import budget_warnings
from lrstudy.analysis.range_tests import range_test_warnings, range_tests_of, searched_space
from lrstudy.analysis.summary import ScheduleSummary
from lrstudy.analysis.tuning_checks import toss_up, toss_up_warnings, tuning_warnings
from lrstudy.records import Phase, Status
from lrstudy.rules.counting import counted


def study_warnings(
    study: Any, contest: Contest, schedules: Sequence[ScheduleSummary], *, complete: bool
) -> tuple[str, ...]:
    """Return all warnings: missing data first, then those of each schedule, then the budgets."""
    found = _missing_run_warnings(contest, schedules)
    tossed = []
    tests = {info.name: range_tests_of(contest.columns, info.name) for info in study.compared}
    for info, schedule in zip(study.compared, schedules, strict=True):
        tune, confirm = (contest.columns.of(info.name, phase) for phase in (Phase.TUNE, Phase.CONFIRM))
        space = searched_space(info.space, tests[info.name])
        found += tuning_warnings(info.name, space, tune, confirm, contest.objective)
        found += _lost_run_warnings(schedule, contest)
        found += range_test_warnings(info.name, tests[info.name])
        found += _hand_picked_warnings(study, info, schedule.best_params)
        if info.space and toss_up(tune, confirm, contest.objective):
            tossed.append(info.name)
    found += _stopped_run_warnings(contest)
    found += unpaid_look_warnings(study)
    found += _stopped_warnings(study, contest)
    found += toss_up_warnings(
        tossed, max((run.replicate for run in contest.runs[contest.reference]), default=1)
    )
    if complete:
        prices = {schedule.name: schedule.price for schedule in schedules}
        planned = {info.name: study.trials if info.space else 1 for info in study.compared}
        replaced = {info.name: info.range_tests * study.tune_seeds for info in study.compared}
        tunings = {info.name: study.replicates(info.name) for info in study.compared}
        found += budget_warnings(prices, planned, replaced, tunings)
    return tuple(found)


def unpaid_look_warnings(study: Any) -> list[str]:
    """Return a sentence if a study was extended by what the p-values do not pay for: all but replicates."""
    free = ("budget.replicates", "budget.most", "budget.until")
    keys = {key for entry in study.history for key in entry.get("changes", {}) if key not in free}
    if not keys:
        return []
    listed = ", ".join(sorted(keys))
    sentence = f"This run was extended after it had begun ({listed}). If a verdict was read before, it was"
    return [f"{sentence} a look that the p-values do not allow for; they allow for looks between replicates."]


def _stopped_run_warnings(contest: Contest) -> list[str]:
    """Return a sentence if confirm runs were stopped at a target: on what is not known of them then."""
    runs = [run for each in contest.runs.values() for run in each]
    stopped = sum(run.place in contest.timing.stopped for run in runs)
    if not stopped:
        return []
    said = f"{stopped} of {len(runs)} confirm runs were stopped once they had reached the targets"
    return [f"{said}: best values and test values are those until then, and curves end with the first stop."]


def _stopped_warnings(study: Any, contest: Contest) -> list[str]:
    """Return a sentence on each compared schedule that was stopped by hand."""
    found = []
    for info in study.compared:
        if info.name in study.stopped:
            ended = sum(trial.schedule == info.name for trial in contest.columns.trials)
            of = f"{ended} of {counted(sum(study.planned(info).values()), 'trial')}"
            found.append(
                f"{info.name}: stopped by hand after {of}. It gets no verdict, because p-values do not allow "
                "for a stop that may depend on the results; the others are corrected as if it had been "
                f"compared. To take it back: lrstudy stop RUN --schedule {quote(info.name)} --undo, then "
                "lrstudy resume RUN."
            )
    return found


def _hand_picked_warnings(study: Any, info: Any, winner: Mapping[str, Any]) -> list[str]:
    """Return a sentence on the ``initial_lr`` of the Lipschitz rule with momentum, unless it was searched.

    Its authors choose this rate (AdaMo's x) by hand for each network: tuning that no ledger counts. Without
    it the average starts at the first measured constant.
    """
    optimizer = info.optimizer or study.spec["task"].get("optimizer")
    if info.kind != "lipschitz" or not isinstance(optimizer, Mapping) or "initial_lr" in info.space:
        return []
    momentum = winner.get("optimizer.momentum", optimizer.get("momentum"))
    rule = info.fixed.get("rule") or ("adamo" if momentum else None)
    rate = info.fixed.get("initial_lr")
    if optimizer.get("name") != "sgd" or rule != "adamo" or rate is None:
        return []
    starts = (
        f"{info.name}: with momentum its first rate ({rate:g}) starts the average that sets all later rates"
    )
    picked = "It was chosen by hand, which is tuning that the ledger does not count"
    return [f"{starts}. {picked}: give initial_lr a search space to include that cost."]


def _missing_run_warnings(contest: Contest, schedules: Sequence[ScheduleSummary]) -> list[str]:
    """Return sentences on results that are missing for lack of runs, of a comparison or of hits."""
    found = []
    if len(schedules) == 1:
        found.append(f"{schedules[0].name} is the only schedule: there is nothing to compare.")
    if not any(contest.runs.values()):
        confirm = [trial for trial in contest.columns.trials if trial.phase is Phase.CONFIRM]
        ended = "All confirm runs that have ended have failed" if confirm else "No confirm run has ended yet"
        found.append(f"{ended}: there is nothing to compare.")
    elif not contest.runs[contest.reference]:
        found.append(f"The reference {contest.reference} has no confirm run: there is no speedup.")
    for place, target in enumerate(schedules[0].reach):
        ways = [schedule.reach[place] for schedule in schedules]
        if sum(way.runs for way in ways) and not sum(way.hits for way in ways):
            found.append(f"No run of any schedule reached the target {target.target:g}.")
    return found + [
        f"Only some {contest.columns.moment}s recorded their {axis}: times are not counted in {axis}."
        for axis in contest.columns.partial
    ]


def _lost_run_warnings(schedule: ScheduleSummary, contest: Contest) -> list[str]:
    """Return sentences on one schedule's trials that failed, diverged or are too few."""
    name, found = schedule.name, []
    if schedule.failed:
        trials = (
            "1 trial failed and is" if schedule.failed == 1 else f"{schedule.failed} trials failed and are"
        )
        found.append(f"{name}: {trials} left out.")
    runs = contest.runs[name]
    lost = sum(trial.status is Status.DIVERGED for trial in runs)
    if lost:
        which = "every confirm run" if lost == len(runs) else f"{lost} of {len(runs)} confirm runs"
        counts = f"{name}: {which} diverged; they count as never reaching a target."
        found.append(" ".join(filter(None, (counts, explosion_words(contest.columns, runs)))))
    if short := len(contest.cut_short(name)):
        end = f"{contest.timing.horizon:,.6g} {contest.timing.clock}"
        found.append(
            f"{name}: {short} of {len(runs)} confirm runs ended before {end}. Without a hit they count as "
            "misses, and a verdict that needs these is inconclusive. Train them as long as the others, or "
            "leave them out."
        )
    empty = len(contest.columns.of(name, Phase.CONFIRM)) - len(runs)
    if empty:
        found.append(
            f"{name}: confirm runs without a recorded {contest.columns.moment} are left out ({empty})."
        )
    if len(runs) == 1:
        found.append(f"{name}: one run gives no interval.")
    return found
