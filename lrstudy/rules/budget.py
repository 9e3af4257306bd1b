"""The numbers of trials that a schedule gets from a study's budget."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from lrstudy.records import Phase


@dataclass(frozen=True, slots=True)
class TrialBudget:
    """The trials that every schedule of a study may spend.

    In each of ``replicates`` tunings ``configurations`` are tried, each on ``tune_seeds`` seeds; then
    ``extension`` more of them (0: none). The best ``finalists`` run on ``select_seeds`` further seeds (0: no
    such phase), and the winner on ``confirm_seeds``. A schedule without a search space tries one
    configuration on one seed. A range test takes the place of a configuration.
    """

    configurations: int
    tune_seeds: int
    extension: int
    confirm_seeds: int
    finalists: int = 0
    select_seeds: int = 1
    replicates: int = 1

    @classmethod
    def of(cls, section: Mapping[str, Any]) -> TrialBudget:
        """Read a study file's ``[budget]``; what older stores leave out has no effect."""
        return cls(
            configurations=int(section["trials"]),
            tune_seeds=int(section.get("tune_seeds", 1)),
            extension=int(section.get("extend_trials", 0)) if section.get("extend") else 0,
            confirm_seeds=int(section["confirm_seeds"]),
            finalists=int(section.get("select", 0)),
            select_seeds=int(section.get("select_seeds", 1)),
            replicates=int(section.get("replicates", 1)),
        )

    @property
    def tune_trials(self) -> int:
        """Tuning trials of a tuning of a schedule with a search space, a range test's place included."""
        return (self.configurations + self.extension) * self.tune_seeds

    def planned(
        self, *, searched: bool, range_tests: int = 0, replicates: int | None = None
    ) -> dict[Phase, int]:
        """Return the number of trials of each phase for one schedule, over all ``replicates``.

        >>> budget = TrialBudget(configurations=8, tune_seeds=2, extension=0, confirm_seeds=5)
        >>> [int(count) for count in budget.planned(searched=True, range_tests=1).values()]
        [1, 14, 0, 5]
        """
        tune = self.tune_trials - range_tests * self.tune_seeds if searched else min(self.configurations, 1)
        each = {
            Phase.RANGE_TEST: range_tests,
            Phase.TUNE: tune,
            Phase.SELECT: self.finalists * self.select_seeds if searched else 0,
            Phase.CONFIRM: self.confirm_seeds,
        }
        times = self.replicates if replicates is None else replicates
        return {phase: count * times for phase, count in each.items()}
