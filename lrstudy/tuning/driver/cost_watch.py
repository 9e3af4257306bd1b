"""The cost of a run while it runs: what trials use is kept, and a run that passes its limit is stopped."""

from __future__ import annotations

import logging
import time
from collections.abc import Callable, Iterable
from typing import Final

from lrstudy.errors import StoreError
from lrstudy.records import TrialRecord
from lrstudy.rules.prices import Prices
from lrstudy.rules.spending import Spending, seconds_held, spending_of
from lrstudy.spec import Study
from lrstudy.store import Location
from lrstudy.store.open_attempts import OpenAttempts, write_open_attempts
from lrstudy.tuning.driver.slot_times import SlotTimes
from lrstudy.tuning.stop_request import request_stop

_log = logging.getLogger(__name__)

# A driver that is killed forgets at most this much of the time of its running trials.
_KEEP_SECONDS: Final = 30.0
_CHECK_SECONDS: Final = 0.5


class CostWatch:
    """The cost of a study's trials so far, and its limit.

    ``finished`` are the trials of earlier drivers, ``before`` their attempts at trials without a row.
    ``slots`` has the times of the trials that run. ``passed`` is the cost with which the run was stopped.
    """

    def __init__(
        self,
        study: Study,
        store: Location,
        finished: Iterable[TrialRecord] = (),
        before: Iterable[OpenAttempts] = (),
        *,
        shared: bool = False,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self.slots = SlotTimes(study.resources, before, clock)
        self.passed: Spending | None = None
        self._store, self._shared, self._clock = store, shared, clock
        self._prices = Prices.of(study.resolved())
        self._ended = list(finished)
        self._checked = self._kept = clock()

    def add(self, record: TrialRecord) -> None:
        """Add a trial that has ended."""
        self._ended.append(record)

    def spending(self, attempts: Iterable[OpenAttempts]) -> Spending | None:
        """Return the cost so far, with that of ``attempts`` at trials without a row; None without prices."""
        if self._prices is None:
            return None
        held = [(record, seconds_held(record, shared=self._shared)) for record in self._ended]
        return spending_of(self._prices, [*held, *((one, one.seconds) for one in attempts)])

    def check(self, attempts: Callable[[], list[OpenAttempts]]) -> None:
        """Stop the run if its cost has passed the limit; keep what running trials have used, now and then."""
        now = self._clock()
        if now - self._checked < _CHECK_SECONDS:
            return
        self._checked = now
        if self.passed is None and self._prices is not None and self._prices.limit is not None:
            spending = self.spending(attempts())
            if spending is not None and spending.passed:
                self._stop(spending)
        if now - self._kept >= _KEEP_SECONDS:
            self.keep(attempts())

    def keep(self, attempts: Iterable[OpenAttempts]) -> None:
        """Write what attempts at trials without a row have used; an error of the store is only logged."""
        self._kept = self._clock()
        try:
            write_open_attempts(self._store, attempts)
        except StoreError as error:
            _log.warning("the time of unfinished trials could not be kept: %s", error)

    def _stop(self, spending: Spending) -> None:
        try:
            request_stop(self._store)
        except StoreError as error:
            _log.warning("the cost limit is passed, and the run could not be stopped: %s", error)
            return
        self.passed = spending
        _log.info("stopped at the cost limit: %s", spending)
