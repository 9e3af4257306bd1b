"""The rounds of a study that is run until it is decided: after each, a look at the comparisons."""

from __future__ import annotations

import logging
from collections.abc import Callable, Collection

from lrstudy.rules.counting import counted
from lrstudy.rules.looks import Look, next_size
from lrstudy.spec import Study
from lrstudy.store import StoreWriter, open_store
from lrstudy.tuning.driver.controller import Controller

_log = logging.getLogger(__name__)

Judge = Callable[[StoreWriter, int], Collection[str]]


class Rounds:
    """Plans the replicates that undecided comparisons need, from the rows of the store alone.

    ``judge`` returns the schedules that are open after so many replicates. All looks are kept in
    ``study.json``: a resume plans what they planned, and a report pays for them.
    """

    def __init__(
        self, study: Study, controller: Controller, writer: StoreWriter, judge: Judge | None = None
    ) -> None:
        self._study, self._controller, self._writer = study, controller, writer
        self._judge = judge or open_after
        self._looks = list(writer.study.taken_looks)
        for look in self._looks:
            self._plan(look)

    def look(self) -> bool:
        """Look at the finished round; return True if replicates were added.

        Call once all planned trials are in the store.
        """
        budget = self._study.budget
        if budget.until != "decided" or not self._controller.done:
            return False
        if self._looks and not self._looks[-1].adds:
            return False
        size, then = next_size(budget.replicates, budget.most or budget.replicates, self._looks)
        unsettled = set(self._judge(self._writer, size))
        names = tuple(spec.name for spec in self._study.schedules if spec.name in unsettled)
        look = Look(size, names, then)
        self._looks.append(look)
        self._writer.note_looks(self._looks)
        _log.info(
            "%s: %s undecided%s",
            counted(size, "replicate"),
            ", ".join(names) or "nothing",
            f", {then - size} more for each" if look.adds else "",
        )
        self._plan(look)
        return look.adds

    def _plan(self, look: Look) -> None:
        if look.adds:
            self._controller.plan(look.then, {*look.open, self._study.target.reference})


def open_after(writer: StoreWriter, replicates: int) -> Collection[str]:
    """Return the schedules whose comparison is open after so many replicates, from the rows on disk."""
    from lrstudy.analysis.open_comparisons import (
        open_schedules,
    )  # takes half a second, which other studies save

    return open_schedules(open_store(writer.location), replicates)
