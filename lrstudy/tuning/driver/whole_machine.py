"""The wait of a trial that must run alone for a whole machine, and its end.

Ray can lose CPUs: one that it reserves while the request is taken back stays reserved (Ray 2.60,
ray-project/ray#64693), and Tune takes a request back whenever a free worker gets the next trial. Other
programs on the cluster may hold some too. A trial that asks for a whole machine would wait without end.
"""

from __future__ import annotations

import logging
from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Final

from ray.tune.experiment import Trial

from lrstudy.tuning.driver.epoch_limit import RunningClock

_log = logging.getLogger(__name__)

# Longer than most clusters take to add a machine. No result depends on it.
_SECONDS: Final = 300.0


class NoWholeMachineError(Exception):
    """Nothing runs, and no machine is free as a whole for the trials that must run alone."""


@dataclass(slots=True)
class WholeMachine:
    """Trials that must run alone get a whole machine while ``given``; afterwards they run beside others."""

    given: bool = True
    _clock: RunningClock = field(default_factory=RunningClock)
    _since: float | None = None

    def watch(self, trials: Iterable[Trial]) -> None:
        """Note the trials of Tune that have not ended; call it at each of Tune's steps.

        Raises ``NoWholeMachineError`` once nothing but waiting has happened for too long: Tune must then be
        started again without such requests.
        """
        now = self._clock.tick()
        held_up = self.given and _held_up(trials)
        if not held_up:
            self._since = None
        elif self._since is None:
            self._since = now
        elif now - self._since > _SECONDS:
            self.given = False
            _log.warning(
                "no machine became free as a whole in %.0f s, for a trial that must run alone: such trials "
                "run beside others from now on",
                now - self._since,
            )
            raise NoWholeMachineError


def _held_up(trials: Iterable[Trial]) -> bool:
    live = list(trials)
    waiting = all(trial.status == Trial.PENDING for trial in live)
    return waiting and any(trial.config["alone"] for trial in live)
