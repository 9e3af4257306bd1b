"""Studies cut from the replicates of a larger one.

A replicate is the study with another seed, so disjoint sets of replicates of one long run are independent
repetitions of a shorter study. The looks that each would have taken are taken by the functions that a run
calls, on the rows that it would have had.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from lrstudy.analysis.open_comparisons import open_schedules
from lrstudy.rules.looks import Look, next_size
from lrstudy.store import StudyInfo, open_store


@dataclass(frozen=True)
class Cut:
    """A store in memory: the replicates that its study has planned, of a larger store's tables."""

    study: StudyInfo
    trial_rows: Any
    evaluation_rows: Any

    def trials(self) -> Any:
        """Return the trials of the replicates that are planned so far."""
        return self.trial_rows.filter(self._planned(self.trial_rows))

    def evaluations(self, columns: list[str]) -> Any:
        """Return columns of their evaluations."""
        return self.evaluation_rows.filter(self._planned(self.evaluation_rows)).select(columns)

    def _planned(self, rows: Any) -> Any:
        most = {one.name: self.study.replicates(one.name) for one in self.study.schedules}
        limit = pa.array([most[name] for name in rows["schedule"].to_pylist()], pa.int64())
        return pc.less_equal(rows["replicate"], limit)


def cuts(folder: Path, replicates: int, most: int = 0) -> Iterator[Cut]:
    """Yield the studies that a store holds, of so many replicates or, until decided, up to ``most``."""
    store = open_store(folder)
    trials, evaluations = store.trials(), store.evaluations()
    replicate_of = dict(zip(trials["trial_id"].to_pylist(), trials["replicate"].to_pylist(), strict=True))
    numbers = np.array([replicate_of[one] for one in evaluations["trial_id"].to_pylist()])
    design = {"replicates": replicates, "until": "decided" if most else "spent", "most": most or None}
    spec = store.study.spec | {"budget": store.study.spec["budget"] | design}
    info = replace(store.study, spec=spec, looks=[])
    own, size = np.array(trials["replicate"].to_pylist()), most or replicates
    for first in range(0, own.max() - size + 1, size):
        tables = (
            _renumbered(table, place, first, size) for table, place in ((trials, own), (evaluations, numbers))
        )
        yield Cut(info, *tables)


def _renumbered(table: Any, numbers: Any, first: int, size: int) -> Any:
    """Return the rows of the replicates after ``first``, counted from 1."""
    kept = np.flatnonzero((numbers > first) & (numbers <= first + size))
    rows = table.take(pa.array(kept))
    if "replicate" in rows.column_names:
        rows = rows.drop_columns("replicate")
    return rows.append_column("replicate", pa.array(numbers[kept] - first, pa.int64()))


def looked_at(cut: Cut, arrival: str | None = None) -> Cut:
    """Return a study with the looks that it would have taken; ``arrival`` replaces its rule of arrival."""
    target = cut.study.spec["target"] | ({} if arrival is None else {"arrival": arrival})
    cut = replace(cut, study=replace(cut.study, spec=cut.study.spec | {"target": target}))
    budget = cut.study.spec["budget"]
    looks: list[Look] = []
    while budget["until"] == "decided" and (not looks or looks[-1].adds):
        size, then = next_size(budget["replicates"], budget["most"], looks)
        looks.append(Look(size, tuple(open_schedules(cut, size)), then))
        cut = replace(cut, study=replace(cut.study, looks=[look.to_json() for look in looks]))
    return cut
