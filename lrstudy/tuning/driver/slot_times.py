"""The time for which trials hold their workers, and their energy, over all attempts at each."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace

from lrstudy.records import Phase
from lrstudy.spec import Resources
from lrstudy.store.open_attempts import OpenAttempts
from lrstudy.tuning.driver.running_trials import RunningTrial


@dataclass(slots=True)
class SlotTimes:
    """Divides the time of each worker between the trials that it trains.

    ``before`` are attempts of earlier drivers at trials without a row. The time of a group of lanes is
    divided evenly between those of its trials that have not ended.
    """

    resources: Resources
    before: Iterable[OpenAttempts] = ()
    clock: Callable[[], float] = time.monotonic
    _open: dict[str, OpenAttempts] = field(default_factory=dict)
    _since: dict[str, float] = field(default_factory=dict)

    def __post_init__(self) -> None:
        self._open = {one.trial_id: one for one in self.before}

    def start(self, group: str) -> None:
        """Note that a worker starts a group."""
        self._since[group] = self.clock()

    def divide(self, group: str, trials: Sequence[RunningTrial]) -> None:
        """Give the time since the last division to the trials of a group that have not ended."""
        share = self._share(group, len(trials))
        if group in self._since:
            self._since[group] = self.clock()
        for running in trials:
            self._open[running.job.config.trial_id] = self._with(running, share)

    def add_energy(self, running: RunningTrial, kwh: float | None, source: str | None) -> None:
        """Add an energy that a worker reports; what is estimated in part is estimated."""
        if kwh is None:
            return
        one = self._with(running, 0.0)
        whole = source if one.energy_source in (None, source) else "estimated"
        one = replace(one, energy_kwh=kwh + (one.energy_kwh or 0.0), energy_source=whole)
        self._open[one.trial_id] = one

    def end(self, group: str) -> None:
        """Note that a worker has ended a group."""
        self._since.pop(group, None)

    def take(self, running: RunningTrial) -> OpenAttempts:
        """Return what all attempts at a trial have used, which has ended; forget it."""
        return self._open.pop(running.job.config.trial_id, None) or self._with(running, 0.0)

    def open(self, groups: Mapping[str, Sequence[RunningTrial]]) -> list[OpenAttempts]:
        """Return what all attempts at trials without a row have used until now; ``groups`` are running."""
        now = dict(self._open)
        for group, trials in groups.items():
            share = self._share(group, len(trials))
            now |= {running.job.config.trial_id: self._with(running, share) for running in trials}
        return list(now.values())

    def _share(self, group: str, trials: int) -> float:
        since = self._since.get(group)
        return 0.0 if since is None or not trials else (self.clock() - since) / trials

    def _with(self, running: RunningTrial, seconds: float) -> OpenAttempts:
        """Return the attempts at a running trial with so many seconds more."""
        config, resources = running.job.config, self.resources
        one = self._open.get(config.trial_id) or OpenAttempts(
            trial_id=config.trial_id, schedule=config.schedule, phase=Phase(config.phase), seconds=0.0
        )
        return replace(
            one,
            seconds=one.seconds + seconds,
            device=running.device or one.device,
            cpus=resources.cpus,
            gpus=resources.gpus,
            workers=resources.workers,
        )
