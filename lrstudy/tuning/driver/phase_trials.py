"""The trials of one phase of a tuning, by number."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence

from lrstudy.records import TrialRecord
from lrstudy.rules.winners import params_key


class PhaseTrials:
    """The planned trials of one phase in their order, those that were handed out, and those with a record.

    Trial n has the number n, unless the search was reopened by an extension: then runs of its outcome may
    have a record already, and the others get numbers that no earlier run has (``assign``).
    """

    def __init__(self, planned: int, first: int = 0) -> None:
        self.records: dict[int, TrialRecord] = {}
        self.first = first  # the number of the first run after a reopened search
        self.counted = 0  # records that count
        self.numbers: Sequence[int] = range(planned)
        self._assigned = not first
        self._started: set[int] = set()
        self._next = 0  # no earlier place is missing

    def assign(self, runs: Sequence[tuple[str, int]]) -> None:
        """Plan these runs, each with its hyperparameters (``params_key``) and seed.

        A run with a record has its number, any other ``first`` plus its place. ``first`` is beyond all
        numbers that were given before the extension, so that none is given twice, also after a kill.
        """
        numbers: Sequence[int] = range(len(runs))
        if self.first:
            recorded: defaultdict[tuple[str, int], list[int]] = defaultdict(list)
            for number in sorted(self.records, reverse=True):
                record = self.records[number]
                recorded[params_key(record.params), record.seed].append(number)
            numbers = [
                recorded[run].pop() if recorded.get(run) else self.first + place
                for place, run in enumerate(runs)
            ]
        if numbers != self.numbers:
            self.numbers, self._next = numbers, 0
        self._assigned = True
        planned = set(numbers)
        self.counted = sum(number in planned for number in self.records)

    def start(self, place: int) -> int:
        """Note that the trial in this place was handed out; return its number."""
        number = self.numbers[place]
        self._started.add(number)
        return number

    def end(self, number: int, record: TrialRecord) -> None:
        """Add a record; the trial may have been handed out by an earlier driver.

        After a reopened search it counts once the runs are assigned: it may be of an earlier winner.
        """
        self._started.add(number)
        self.counted += self._assigned and number not in self.records
        self.records[number] = record

    def missing(self) -> int | None:
        """Return the first place whose trial was not handed out, or None."""
        while self._next < self.planned and self.numbers[self._next] in self._started:
            self._next += 1
        return self._next if self._next < self.planned else None

    @property
    def planned(self) -> int:
        """The number of planned trials."""
        return len(self.numbers)

    @property
    def ended(self) -> bool:
        """Return True if every planned trial has a record."""
        return len(self.records) >= self.planned and all(number in self.records for number in self.numbers)

    @property
    def running(self) -> int:
        """The number of trials that were handed out and have no record."""
        return len(self._started) - len(self.records)
