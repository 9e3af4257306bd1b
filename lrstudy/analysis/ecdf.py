"""Share of (run, target) pairs reached by each epoch: runs and targets pooled, as COCO does."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from lrstudy.analysis.hits import hits_of
from lrstudy.analysis.summary import Ecdf
from lrstudy.analysis.trial_table import Columns, Trial
from lrstudy.rules.metrics import Metric


def ecdf_of(
    columns: Columns, trials: Sequence[Trial], metric: Metric, levels: Sequence[float], epochs: int
) -> Ecdf | None:
    """The share of (run, level) pairs reached by each epoch from 1 to ``epochs`` (COCO's runtime ECDF).

    F(e) = |{(run, level): hit epoch <= e}| / (runs * levels) (Hansen et al. 2021). A pair that is never
    reached counts as not reached, so the curve of a schedule whose runs diverge stays below 1. ``area`` is
    the mean of F over the epochs, the area under the curve as a share of the whole.

    Returns:
        None without a run or a level.
    """
    if not trials or not levels:
        return None
    reached = np.zeros(epochs + 1)
    for level in levels:
        found = hits_of(columns, trials, metric, level, "epochs", float(epochs))
        np.add.at(reached, found.time[found.hit].astype(np.int64), 1.0)
    share = np.cumsum(reached)[1:] / (len(trials) * len(levels))
    return Ecdf(
        epochs=tuple(range(1, epochs + 1)),
        share=tuple(float(value) for value in share),
        area=float(share.mean()),
        levels=len(levels),
        runs=len(trials),
    )
