"""The pruned lanes of all groups: the driver adds them, a worker queries those of its group and drops them.

Tune can only stop whole Tune trials, and a group of lanes is one of these. A Ray actor without a CPU holds
the set; it exists only if a study has both a pruner and lanes.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any

import ray


class _PrunedSet:
    """The ids of all pruned trials; a Ray actor."""

    def __init__(self) -> None:
        self._pruned: set[str] = set()

    def add(self, trial_ids: Sequence[str]) -> None:
        self._pruned.update(trial_ids)

    def among(self, trial_ids: Sequence[str]) -> list[str]:
        return [trial_id for trial_id in trial_ids if trial_id in self._pruned]


@dataclass(frozen=True, slots=True)
class PrunedLanes:
    """A handle to the set, for the driver and the workers."""

    actor: Any

    @classmethod
    def create(cls) -> PrunedLanes:
        """Start an empty set; it ends with the connection to Ray."""
        # Its process may be killed when its node's memory runs out: then Ray starts it again, empty.
        forever = {"max_restarts": -1, "max_task_retries": -1}
        return cls(ray.remote(_PrunedSet).options(num_cpus=0, **forever).remote())

    def add(self, trial_ids: Iterable[str]) -> None:
        """Add trials; pass all earlier ones too. Returns once every worker can see them."""
        ray.get(self.actor.add.remote(list(trial_ids)))

    def among(self, trial_ids: Sequence[str]) -> list[str]:
        """Return the pruned ones of a worker's trials."""
        pruned: list[str] = ray.get(self.actor.among.remote(list(trial_ids)))
        return pruned
