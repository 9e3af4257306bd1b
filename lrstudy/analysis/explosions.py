"""Measurements of a schedule's trainings besides metrics: shares, and the words on those that diverged."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from lrstudy.analysis.trial_table import Array, Columns, Trial
from lrstudy.records import Status
from lrstudy.rules.diagnostics import (
    GRADIENT_RATIO,
    LARGEST_LAYER,
    RATE_OVER_LIMIT,
    layer_name,
    times_the_limit,
)


@dataclass(frozen=True, slots=True)
class Diagnosed:
    """Shares of the measurements of a schedule's confirm runs; None for what was not measured.

    ``unstable`` are those with the rate above the stability limit, ``premise`` those in which the last
    layer's gradient was the largest. ``layer`` is the one that had the largest gradient most often.
    """

    unstable: float | None
    premise: float | None
    layer: str

    def to_json(self) -> dict[str, Any]:
        """Return the fields under stable names."""
        return {
            "share_above_stability_limit": self.unstable,
            "share_last_layer_largest": self.premise,
            "largest_gradient_layer": self.layer or None,
        }


def diagnosed(columns: Columns, trials: Sequence[Trial], layers: Sequence[str]) -> Diagnosed | None:
    """Return the shares over these runs; None if nothing was measured."""
    ratios, gradients, numbers = (
        _known(columns, trials, name) for name in (RATE_OVER_LIMIT, GRADIENT_RATIO, LARGEST_LAYER)
    )
    if not len(ratios) and not len(numbers):
        return None
    common = Counter(numbers.astype(int).tolist()).most_common(1)
    return Diagnosed(
        float(np.mean(ratios > 1)) if len(ratios) else None,
        float(np.mean(gradients >= 1)) if len(gradients) else None,
        layer_name(common[0][0], layers) if common else "",
    )


def explosion_words(columns: Columns, trials: Sequence[Trial]) -> str:
    """Return a sentence on the steps in which trials diverged; empty if nothing was measured there."""
    lost = [trial for trial in trials if trial.status is Status.DIVERGED and trial.end > trial.begin]
    said = []
    if ratios := _last(columns, lost, RATE_OVER_LIMIT):
        said.append(f"the rate was {_range(ratios, times_the_limit)} where these began")
    if gradients := _last(columns, lost, GRADIENT_RATIO):
        below = sum(ratio < 1 for ratio in gradients)
        said.append(
            f"the last layer's gradient was not the largest in {below} of {len(gradients)}"
            if below
            else "the last layer's gradient was the largest"
        )
    return f"In the steps in which they diverged {'; '.join(said)}." if said else ""


def _range(values: Sequence[float], words: Any) -> str:
    """Return the median of values in words, and from where to where they go."""
    text: str = words(float(np.median(values)))
    low, high = min(values), max(values)
    return text if high <= 1.005 * low else f"{text} (median; {low:.3g} to {high:.3g})"


def _last(columns: Columns, trials: Sequence[Trial], name: str) -> list[float]:
    values = columns.shown.get(name)
    if values is None:
        return []
    found = [float(values[trial.end - 1]) for trial in trials]
    return [value for value in found if np.isfinite(value)]


def _known(columns: Columns, trials: Sequence[Trial], name: str) -> Array:
    values = columns.shown.get(name)
    if values is None or not trials:
        return np.zeros(0)
    found = np.concatenate([values[trial.begin : trial.end] for trial in trials])
    known: Array = found[~np.isnan(found)]
    return known
