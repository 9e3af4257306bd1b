"""The rule that an ended trial has each of its evaluations once, checked as the rows are read."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

import numpy as np
import pyarrow.compute as pc

from lrstudy.errors import Problem
from lrstudy.records import Status

COLUMNS: Final = ("trial_id", "evaluation")


@dataclass(frozen=True, slots=True)
class Span:
    """A trial's evaluations: the number of rows, of different ones among them, the first and the last one."""

    rows: int
    distinct: int
    first: int
    last: int

    def __add__(self, other: Span) -> Span:
        """The evaluations of two files."""
        return Span(
            self.rows + other.rows,
            self.distinct + other.distinct,
            min(self.first, other.first),
            max(self.last, other.last),
        )

    @property
    def doubled(self) -> bool:
        """Return True if an evaluation is stored more than once."""
        return self.rows > min(self.distinct, self.last - self.first + 1)

    def lacks(self, evaluations: int, *, gaps: bool) -> bool:
        """Return True if some of these evaluations are missing; with ``gaps``, only if the last ones are."""
        return (
            max(self.distinct, self.last) < evaluations
            if gaps
            else self.distinct < max(evaluations, self.last)
        )


NOTHING: Final = Span(0, 0, 1, 0)


def count_evaluations(rows: Any) -> dict[str, Span]:
    """Return each trial's evaluations in rows that have the columns ``trial_id`` and ``evaluation``."""
    if not rows.num_rows:
        return {}
    ids = rows["trial_id"].combine_chunks().dictionary_encode()
    trial = ids.indices.to_numpy(zero_copy_only=False)
    number = pc.fill_null(rows["evaluation"], 0).to_numpy()
    order = np.lexsort((number, trial))
    trial, number = trial[order], number[order]
    begins = np.flatnonzero(np.diff(trial, prepend=-1))
    ends = np.append(begins[1:], len(trial))
    is_new = np.append(True, (trial[1:] != trial[:-1]) | (number[1:] != number[:-1]))
    distinct = np.add.reduceat(is_new.astype(np.int64), begins)
    names = ids.dictionary.take(trial[begins]).to_pylist()
    spans = zip(ends - begins, distinct, number[begins], number[ends - 1], strict=True)
    return {name: Span(*map(int, span)) for name, span in zip(names, spans, strict=True)}


class EvaluationTally:
    """Adds up each trial's evaluations file by file; ``problems`` compares them with the trials' rows.

    ``gaps`` allows evaluations that are missing in between: recorded histories may have them.
    """

    def __init__(self, trials: Any, *, gaps: bool) -> None:
        self._trials, self._gaps = trials, gaps
        self.spans: dict[str, Span] = {}

    def add(self, spans: Mapping[str, Span]) -> None:
        """Take the evaluations of a file."""
        for name, span in spans.items():
            self.spans[name] = self.spans[name] + span if name in self.spans else span

    @property
    def doubled(self) -> list[str]:
        """The ended trials that have an evaluation more than once."""
        return sorted(name for name in self._ended() if self.spans.get(name, NOTHING).doubled)

    @property
    def lacking(self) -> list[str]:
        """The ended trials that lack evaluations; one that failed has those that it sent."""
        return sorted(
            name
            for name, (status, evaluations) in self._ended().items()
            if self.spans.get(name, NOTHING).lacks(
                0 if status == Status.FAILED else evaluations or 0, gaps=self._gaps
            )
        )

    def problems(self, where: str, run: str) -> list[Problem]:
        """Return what is wrong with the evaluations of the trials that have ended."""
        doubled = self.doubled
        lacking = [name for name in self.lacking if name not in set(doubled)]
        found = []
        if doubled:
            found.append(rows_problem(where, doubled, "evaluations that are stored more than once", run))
        if lacking:
            found.append(rows_problem(where, lacking, "evaluations that are missing", run))
        return found

    def _ended(self) -> dict[str, tuple[str, int | None]]:
        columns = (self._trials[name].to_pylist() for name in ("trial_id", "status", "evaluations_run"))
        return {name: (status, number) for name, status, number in zip(*columns, strict=True)}


def doubled_trials(trials: Any) -> list[str]:
    """Return the ids of the trials that have more than one row."""
    counts = pc.value_counts(trials["trial_id"])
    return sorted(entry["values"] for entry in counts.to_pylist() if entry["counts"] > 1)


def rows_problem(where: str, trial_ids: Sequence[str], have: str, run: str) -> Problem:
    """The problem of trials whose rows contradict each other."""
    trials = "1 trial has" if len(trial_ids) == 1 else f"{len(trial_ids)} trials have"
    message = f"{trials} {have} (the first: {trial_ids[0]!r})"
    return Problem(where, "", message, f"To see what is wrong and how to continue: lrstudy doctor {run}")
