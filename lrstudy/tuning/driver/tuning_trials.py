"""The trials of one tuning: a schedule in one replicate, from its range test to its winner's confirm runs."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from types import MappingProxyType
from typing import Any

from lrstudy.engine.trial import TrialConfig
from lrstudy.records import Phase, TrialRecord
from lrstudy.rules.configurations import Configuration, configuration, rank
from lrstudy.rules.run_progress import ScheduleProgress
from lrstudy.rules.seeding import derive_seed, replicate_seed
from lrstudy.rules.trial_ids import trial_id, trial_number
from lrstudy.rules.winners import finalists_of, params_key, winner_of
from lrstudy.spec import ScheduleSpec, Study
from lrstudy.tuning.driver.extend_range import Evaluated
from lrstudy.tuning.driver.phase_trials import PhaseTrials
from lrstudy.tuning.driver.suggestions import Search


class TuningTrials:
    """One schedule in one replicate. ``progress`` is that of the schedule over all of its replicates.

    All seeds follow from the replicate's root seed and not from the schedule: trial n of every schedule
    starts from the same weights and gets the data in the same order, so that comparisons are paired.

    ``first_numbers`` are those of the runs after a search that an extension has reopened.
    """

    def __init__(
        self,
        study: Study,
        spec: ScheduleSpec,
        replicate: int,
        progress: ScheduleProgress,
        first_numbers: Mapping[Phase, int] = MappingProxyType({}),
    ) -> None:
        self._study, self._spec, self._replicate, self._progress = study, spec, replicate, progress
        self._objective = study.objective
        self._root = replicate_seed(study.seed, replicate)
        self._search = Search(study, spec, self._root)
        self._repeats = study.tune_seeds(spec)  # seeds per configuration
        planned = study.trial_budget.planned(
            searched=bool(spec.space), range_tests=spec.range_tests, replicates=1
        )
        progress.plan(planned)
        self._phases = {
            # Without a search space there is one configuration, which always wins.
            phase: PhaseTrials(planned[phase], first_numbers.get(phase, 0) if spec.space else 0)
            for phase in Phase
        }
        self._learned: dict[str, float | None] = {}
        self._tried: dict[int, Configuration[TrialRecord]] = {}
        self._best: Configuration[TrialRecord] | None = None  # of those that did not fail

    @property
    def records(self) -> Iterator[TrialRecord]:
        """The records of all ended trials."""
        return (record for trials in self._phases.values() for record in trials.records.values())

    @property
    def in_flight(self) -> int:
        """The number of trials that were handed out and have no record."""
        return sum(trials.running for trials in self._phases.values())

    @property
    def handed_out(self) -> bool:
        """Return True if every trial of the tuning was handed out."""
        return all(trials.missing() is None for trials in self._phases.values())

    @property
    def winner(self) -> Configuration[TrialRecord] | None:
        """The best configuration after the search and the selection; None before, or if all failed."""
        if not self._phases[Phase.TUNE].ended:
            return None
        if not self._phases[Phase.SELECT].ended:
            return None
        places = range(self._phases[Phase.SELECT].planned // self._study.budget.select_seeds)
        return winner_of(self._best, [self._selected(place) for place in places], self._objective)

    def next(self) -> TrialConfig | None:
        """Return the next trial to run; None while it depends on running trials, and after the last."""
        tests = self._phases[Phase.RANGE_TEST]
        if not tests.ended:
            return None if tests.missing() is None else self._start(Phase.RANGE_TEST, 0, {})
        if (number := self._phases[Phase.TUNE].missing()) is not None:
            return self._suggest(number)
        if not self._phases[Phase.TUNE].ended:
            return None
        if (place := self._phases[Phase.SELECT].missing()) is not None:
            finalist = self._finalists[place // self._study.budget.select_seeds]
            return self._start(Phase.SELECT, place, dict(finalist.params))
        place = self._phases[Phase.CONFIRM].missing()
        winner = None if place is None else self.winner
        if place is None or winner is None:
            return None
        return self._start(Phase.CONFIRM, place, dict(winner.params))

    def take_back(self, record: TrialRecord, learned: float | None) -> bool:
        """Take the record of a trial; return True if others may depend on it.

        ``learned`` is the share by which its training loss fell.
        """
        number, phase = trial_number(record.trial_id), record.phase
        trials = self._phases[phase]
        known, counted = number in trials.records, trials.counted
        trials.end(number, record)
        if not known:
            self._progress.add(record)
            if trials.counted == counted:
                self._progress.change(phase, 0, -1)
        self._learned[record.trial_id] = learned
        if phase is Phase.RANGE_TEST:
            self._narrow(record)
        elif phase is Phase.TUNE:
            self._evaluate(number // self._repeats)
        elif phase is Phase.SELECT or number not in trials.numbers:
            self._plan_runs()
        return phase is not Phase.CONFIRM

    @property
    def _finalists(self) -> list[Configuration[TrialRecord]]:
        """The configurations of the selection, the best first; known once the search has ended."""
        return finalists_of(self._tried.values(), self._study.budget.select, self._objective)

    def _selected(self, place: int) -> Configuration[TrialRecord]:
        """Return a finalist with the trials of its selection in place of those that made it one."""
        seeds = self._study.budget.select_seeds
        select = self._phases[Phase.SELECT]
        records = [select.records[number] for number in select.numbers[place * seeds : (place + 1) * seeds]]
        return configuration(place, records, lambda record: self._learned.get(record.trial_id))

    def _suggest(self, number: int) -> TrialConfig | None:
        index, tuned = number // self._repeats, self._phases[Phase.TUNE].records
        needed, known = self._search.needed(index), self._known(index)
        if any(earlier not in tuned for earlier in range(max(needed, known) * self._repeats)):
            return None
        params = self._search.suggest(index, [_for_search(self._tried[one]) for one in range(needed)])
        return self._start(Phase.TUNE, number, params, self._cap(known))

    def _known(self, index: int) -> int:
        """Return the number of first configurations that cap the time of configuration ``index``.

        Those of all earlier generations, also where the search uses no results: fixed numbers, so that the
        order in which trials end decides nothing.
        """
        if self._study.goal.stop == "never" or not self._spec.space:
            return 0
        size = self._study.budget.generation
        return index // size * size

    def _cap(self, count: int) -> float | None:
        """Return the time from which a run cannot win against the first ``count`` configurations; None: none.

        With a selection, from which its configuration cannot be a finalist. Times of a configuration are
        averaged over its seeds: one run alone makes it lose from the other's mean times their number on. A
        configuration that did not arrive is no cap: it is worth at least the length of a trial.
        """
        if self._study.goal.stop == "never" or self._objective.arrival is None:
            return None
        finalists = max(1, self._study.budget.select)
        known = (self._tried[number] for number in range(count))
        best = finalists_of(known, finalists, self._objective)
        last = best[finalists - 1].objective if len(best) >= finalists else None
        return None if last is None else last * self._repeats

    def _start(
        self, phase: Phase, place: int, params: Mapping[str, Any], cap: float | None = None
    ) -> TrialConfig:
        number = self._phases[phase].start(place)
        name = trial_id(self._spec.name, phase, number, self._replicate)
        return TrialConfig(
            name,
            phase,
            self._spec.name,
            self._spec.kind,
            dict(params),
            self._seed(phase, place),
            self._replicate,
            cap,
        )

    def _seed(self, phase: Phase, place: int) -> int:
        """Return the seed of a trial by its place in its phase; configurations that are compared share it."""
        if phase is Phase.TUNE and self._study.budget.common_seed:
            place %= self._repeats
        elif phase is Phase.SELECT:
            place %= self._study.budget.select_seeds
        return derive_seed(self._root, phase.value, place)

    def _evaluate(self, index: int) -> None:
        """Add a configuration once every trial of it has a record."""
        tuned = self._phases[Phase.TUNE].records
        trials = range(index * self._repeats, (index + 1) * self._repeats)
        if any(trial not in tuned for trial in trials):
            return
        records = [tuned[trial] for trial in trials]
        tried = configuration(index, records, lambda record: self._learned.get(record.trial_id))
        self._tried[index] = tried
        if not tried.failed and (
            self._best is None or rank(tried, self._objective) < rank(self._best, self._objective)
        ):
            self._best = tried
            if tried.objective is not None:
                self._progress.compare(tried.objective, self._objective)
        self._plan_runs()

    def _plan_runs(self) -> None:
        """Plan the runs after the search, once it is known of which configurations they are.

        There may be fewer finalists where configurations failed, or no winner.
        """
        if not self._phases[Phase.TUNE].ended:
            return
        if self._phases[Phase.SELECT].planned:
            seeds = self._study.budget.select_seeds
            self._plan(Phase.SELECT, [one for one in self._finalists for _ in range(seeds)])
        if self._best is None:
            self._plan(Phase.CONFIRM, [])
        elif (winner := self.winner) is not None:
            self._plan(Phase.CONFIRM, [winner] * self._study.budget.confirm_seeds)

    def _plan(self, phase: Phase, runs: Sequence[Configuration[TrialRecord]]) -> None:
        """Plan a run of each configuration."""
        trials = self._phases[phase]
        planned, counted = trials.planned, trials.counted
        trials.assign([(params_key(one.params), self._seed(phase, place)) for place, one in enumerate(runs)])
        self._progress.change(phase, trials.planned - planned, trials.counted - counted)

    def _narrow(self, record: TrialRecord) -> None:
        low, high = record.params.get("min_lr"), record.params.get("max_lr")
        if isinstance(low, float) and isinstance(high, float):
            # A failed test has no bounds: the search then has the whole range of the test.
            self._spec = self._spec.narrowed(low, high)
            self._search = Search(self._study, self._spec, self._root)


def _for_search(tried: Configuration[TrialRecord]) -> Evaluated:
    """Return a configuration in the form that the search takes."""
    return Evaluated(tried.params, tried.objective, failed=tried.failed, learned=tried.learned)
