"""A configuration and what its tuning trials, one for each seed, found together."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from lrstudy.records import Status, TrialRecord
from lrstudy.rules.metrics import Metric
from lrstudy.tuning.driver.extend_range import Evaluated


@dataclass(frozen=True, slots=True)
class Configuration:
    """Concrete hyperparameters and how they did: means over the seeds that did not fail.

    ``objective`` is None where a seed diverged, or where all failed (then ``failed``). ``learned`` is by what
    share the training loss fell, None where that is not known of every seed.
    """

    number: int
    params: Mapping[str, Any]
    objective: float | None
    best_epoch: float
    epochs_run: float
    failed: bool
    learned: float | None = None

    @property
    def evaluated(self) -> Evaluated:
        """What the search is told."""
        return Evaluated(self.params, self.objective, failed=self.failed, learned=self.learned)


def configuration(
    number: int, records: Sequence[TrialRecord], learned: Mapping[str, float | None]
) -> Configuration:
    """Sum up the trials of one configuration; ``learned`` is by trial id."""
    ran = [record for record in records if record.status is not Status.FAILED]
    values = [record.objective for record in ran if record.objective is not None]
    falls = [fall for record in ran if (fall := learned.get(record.trial_id)) is not None]
    counted = ran or records
    return Configuration(
        number=number,
        params=records[0].params,
        objective=math.fsum(values) / len(values) if values and len(values) == len(ran) else None,
        best_epoch=math.fsum(record.best_epoch or 0 for record in counted) / len(counted),
        epochs_run=math.fsum(record.epochs_run for record in counted) / len(counted),
        failed=not ran,
        learned=math.fsum(falls) / len(falls) if falls and len(falls) == len(ran) else None,
    )


def rank(found: Configuration, metric: Metric) -> tuple[float, ...]:
    """Sorts the better first: the better objective, then fewer epochs to it, then the earlier suggestion.

    Those that diverged come last, among them first the one that lasted longest.
    """
    if found.objective is None:
        return (1.0, 0.0, -found.epochs_run, found.number)
    sign = -1.0 if metric.higher_is_better else 1.0
    return (0.0, sign * found.objective, found.best_epoch, found.number)
