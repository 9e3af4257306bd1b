"""The extension of a study that would decide its open comparisons at the primary target most cheaply."""

from __future__ import annotations

import math
from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any, Final

from lrstudy.analysis.by_length import has_lengths
from lrstudy.analysis.contest import Contest
from lrstudy.analysis.families import ALPHA, shares
from lrstudy.analysis.judgement import Judgement, luck_of, paired_times
from lrstudy.analysis.length_to_target import LengthRatio
from lrstudy.analysis.replicates import difference
from lrstudy.analysis.results import ByLength
from lrstudy.analysis.sequential_test import FEWEST_REPLICATES, chance_to_decide, levels
from lrstudy.analysis.speedup import Speedup, paired_variation
from lrstudy.analysis.trial_table import Trial
from lrstudy.analysis.verdict import POWER, fewest_seeds
from lrstudy.records import Phase
from lrstudy.rules.extension import extend_command
from lrstudy.rules.looks import look_sizes

# The tunings of each schedule that show twice the speed nearly always (studies/README.md).
REPLICATES: Final = 8
_TIMES: Final = (2, 3, 4, 6, 8)
_EVEN: Final = 0.5


@dataclass(frozen=True, slots=True)
class NextStep:
    """An extension of a finished study, with its cost and its chance to decide what is ``open``.

    ``what`` is an option of ``lrstudy extend`` and ``value`` its number, the new total; both None where no
    extension is likely to decide, or none is possible. ``trials`` and ``time`` (in the study's clock) are at
    most what it adds; ``chances`` are those of the open comparisons, as predicted from the data so far.
    """

    open: tuple[str, ...]
    what: str | None = None
    value: int | None = None
    trials: int = 0
    time: float = 0.0
    clock: str = "epochs"
    chances: Mapping[str, float] = field(default_factory=dict)
    one_tuning: bool = False

    def command(self, run: str) -> str | None:
        """Return the command line that extends a run; None without an extension."""
        return None if self.what is None or self.value is None else extend_command(run, self.what, self.value)

    @property
    def most_likely(self) -> str:
        """The open schedule whose comparison is the most likely to be decided."""
        return max(self.open, key=lambda name: self.chances.get(name, 0.0))

    def to_json(self) -> dict[str, Any]:
        """Return the fields under stable names."""
        return {
            "open": list(self.open),
            "extend": self.what,
            "value": self.value,
            "trials": self.trials,
            self.clock: self.time,
            "chances": dict(self.chances),
            "one_tuning": self.one_tuning,
        }


@dataclass(frozen=True, slots=True)
class _Known:
    """An open comparison as it is now: the log ratio with its standard error and degrees of freedom."""

    effect: float
    error: float
    degrees: float


def next_step_of(
    contest: Contest, study: Any, compared: Mapping[str, Speedup], judgement: Judgement
) -> NextStep | None:
    """Return the next step of a finished study; None if no comparison at the primary target is open.

    Of the extensions that are up to eight times as large, the cheapest with which an open comparison is
    decided in 4 of 5 cases counts, else the cheapest that decides one as likely as not.

    Args:
        study: a ``StudyInfo``.
        compared: the comparisons at the primary target.
    """
    primary = contest.primary
    if not isinstance(primary, float):
        return None
    names = tuple(each for each in contest.others if judgement.verdicts[primary, each] == "inconclusive")
    known = {name: one for name in names if (one := _known(contest, primary, name, compared[name]))}
    return _next_step(contest, study, names, known, judgement)


def next_step_of_lengths(
    contest: Contest,
    study: Any,
    found: ByLength,
    ratios: Mapping[str, LengthRatio],
    judgement: Judgement,
) -> NextStep | None:
    """Return the next step of a finished study of several lengths, chosen as by ``next_step_of``.

    Args:
        ratios: those of the lengths to the primary target.
    """
    verdicts = zip(contest.runs, found.verdicts[found.primary], strict=True)
    names = tuple(name for name, one in verdicts if one.verdict == "inconclusive")
    # The luck of one tuning is not in the error of a ratio of lengths.
    blind = not contest.replicated and _tuned(contest, names)
    ratio = {} if blind else {name: _known_ratio(ratios[name]) for name in names}
    known = {name: one for name, one in ratio.items() if one}
    return _next_step(contest, study, names, known, judgement)


def _next_step(
    contest: Contest, study: Any, names: tuple[str, ...], known: Mapping[str, _Known], judgement: Judgement
) -> NextStep | None:
    if not names:
        return None
    if "imported" in study.spec:
        return NextStep(names, clock=str(study.clock))
    assert contest.primary is not None
    share = shares([question for question, _ in judgement.adjusted], contest.primary)[contest.primary]
    steps = _Steps(contest, study, names, known, ALPHA * share / len(names))
    if contest.replicated:
        # The p-values pay for looks at replicates; more seeds after a look would be a look for nothing.
        options = list(steps.more_replicates())
    elif _tuned(contest, names):
        # One tuning says nothing of the spread between tunings: its prediction decides nothing here.
        return steps.first_replicates()
    else:
        options = list(steps.more_seeds())
    return _cheapest(options) or NextStep(names, clock=str(study.clock), chances=_best_chances(options))


def _tuned(contest: Contest, names: Sequence[str]) -> bool:
    return any(contest.tuned(name) for name in (contest.reference, *names))


def _cheapest(options: Sequence[NextStep]) -> NextStep | None:
    for enough in (POWER, _EVEN):
        likely = [one for one in options if max(one.chances.values(), default=0.0) >= enough]
        if likely:
            return min(likely, key=lambda one: one.time)
    return None


def _best_chances(options: Sequence[NextStep]) -> Mapping[str, float]:
    best = max(options, key=lambda one: max(one.chances.values(), default=0.0), default=None)
    return {} if best is None else best.chances


def _known(contest: Contest, target: float, name: str, speedup: Speedup) -> _Known | None:
    if contest.replicated:
        table = contest.replicates(target, contest.timing.clock, contest.timing.horizon)
        found = difference(table, name)
        if found is None or not found.error or found.degrees is None:
            return None
        return _Known(found.effect, found.error, found.degrees)
    variation = paired_variation(*paired_times(contest, name, target)) if speedup.pairs > 1 else None
    if not variation or speedup.ratio is None:
        return None
    seeds = variation**2 / speedup.pairs
    luck = luck_of(contest, target) if speedup.tuning_variance else None
    degrees = speedup.pairs - 1.0 if luck is None else min(speedup.pairs - 1.0, luck.degrees)
    return _Known(math.log(speedup.ratio), math.sqrt(seeds + speedup.tuning_variance), degrees)


def _known_ratio(ratio: LengthRatio) -> _Known | None:
    if ratio.ratio.value is None or ratio.error is None:
        return None
    return _Known(math.log(ratio.ratio.value), ratio.error, ratio.units - 1.0)


@dataclass(frozen=True)
class _Steps:
    """The extensions of one study.

    ``names`` are the open schedules, and ``known`` those of them whose ratio has an error; ``level`` is that
    of the test of an open comparison.
    """

    contest: Contest
    study: Any
    names: tuple[str, ...]
    known: Mapping[str, _Known]
    level: float

    def more_replicates(self) -> Iterator[NextStep]:
        """Yield extensions by replicates, of the open comparisons and the reference; with lengths, of all."""
        now = self.study.replicates(self.study.reference)
        added = {self.contest.reference, *self.known}
        what = "replicates" if has_lengths(self.study) else "most"
        trials, time = self._cost_of_replicate(None if has_lengths(self.study) else added)
        for most in [times * now for times in _TIMES]:
            looks = self._looks(now, most)
            level = levels(looks, self.level)[-1] if len(looks) > 1 else self.level
            chances = {name: self._chance(one, now / most, level) for name, one in self.known.items()}
            more = most - now
            yield self._step(what, most, round(trials * more), time * more, chances)

    def _looks(self, now: int, most: int) -> tuple[int, ...]:
        """Return the looks at the study once it has ``most`` replicates."""
        if has_lengths(self.study):
            sizes = sorted({*(look.replicates for look in self.study.taken_looks), now, most})
        else:
            decided = self.study.spec["budget"].get("until") == "decided"
            sizes = look_sizes(self.study.budget.replicates if decided else now, most)
        return tuple(size for size in sizes if size >= FEWEST_REPLICATES)

    def first_replicates(self) -> NextStep:
        """Return the extension of a study with one tuning of each schedule to several."""
        now = 1
        chances = {name: self._chance(one, now / REPLICATES, self.level) for name, one in self.known.items()}
        trials, time = self._cost_of_replicate()
        more = REPLICATES - now
        decided = self.study.spec["budget"].get("until") == "decided"
        step = self._step(
            "most" if decided else "replicates", REPLICATES, round(trials * more), time * more, chances
        )
        return replace(step, open=self.names, one_tuning=True)

    def more_seeds(self) -> Iterator[NextStep]:
        """Yield extensions by confirm seeds of schedules that have nothing to tune."""
        seeds = self.study.confirm_seeds
        trials = time = 0.0
        for info in self.study.schedules:
            runs = self.contest.columns.of(info.name, Phase.CONFIRM)
            winners = self.study.replicates(info.name)
            trials += winners
            time += winners * sum(map(self._length, runs)) / max(1, len(runs))
        # Sign flips of few pairs reach no level, however large the difference.
        flips = not has_lengths(self.study)
        least = fewest_seeds(len(self.contest.others), self.level) if flips else 2
        for total in [times * seeds for times in _TIMES]:
            if total < least:
                continue
            chances = {name: self._chance(one, seeds / total, self.level) for name, one in self.known.items()}
            more = total - seeds
            yield self._step("confirm_seeds", total, round(trials * more), time * more, chances)

    def _chance(self, one: _Known, share: float, level: float) -> float:
        """Return the chance that a comparison is decided once ``share`` of its variance is left."""
        # No length counts as equivalent to another.
        margin = 0.0 if has_lengths(self.study) else -math.log1p(-self.contest.margin)
        return chance_to_decide(one.effect, one.error, one.degrees, share, level, margin)

    def _step(
        self, what: str, value: int, trials: int, time: float, chances: Mapping[str, float]
    ) -> NextStep:
        return NextStep(tuple(self.known), what, value, trials, time, str(self.study.clock), chances)

    def _cost_of_replicate(self, names: Collection[str] | None = None) -> tuple[float, float]:
        """Return trials and time of one more replicate of some schedules or all, as the present ones took."""
        trials = time = 0.0
        for info in self.study.schedules:
            if names is None or info.name in names:
                ran = [one for one in self.contest.columns.trials if one.schedule == info.name]
                count = sum(self.study.planned(info).values()) / self.study.replicates(info.name)
                trials += count
                time += count * sum(map(self._length, ran)) / max(1, len(ran))
        return trials, time

    def _length(self, trial: Trial) -> float:
        """Return the length of a trial in the study's clock."""
        clock = str(self.study.clock)
        known = trial.ran(clock)
        if known or trial.end == trial.begin:
            return float(known)
        return float(self.contest.columns.times[clock][trial.end - 1])
