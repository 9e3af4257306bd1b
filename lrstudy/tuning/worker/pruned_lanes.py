"""Where the driver writes down which lanes it gave up: a worker asks there and drops them.

Tune stops whole trials of its own, and a group of lanes is one of them. A Ray actor without a CPU holds the
answers; it exists only where a study has both a pruner and lanes.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any

import ray


class _Names:
    """The process behind a board."""

    def __init__(self) -> None:
        self._given_up: set[str] = set()

    def add(self, trials: Sequence[str]) -> None:
        self._given_up.update(trials)

    def among(self, trials: Sequence[str]) -> list[str]:
        return [trial for trial in trials if trial in self._given_up]


@dataclass(frozen=True, slots=True)
class Board:
    """A handle that travels to the workers. Trials are told apart by their ids."""

    names: Any

    @classmethod
    def put_up(cls) -> Board:
        """A new one, gone with the connection to Ray."""
        # Its process may be killed as any other, for its node's memory: then it is put up again, empty.
        forever = {"max_restarts": -1, "max_task_retries": -1}
        return cls(ray.remote(_Names).options(num_cpus=0, **forever).remote())

    def give_up(self, trials: Iterable[str]) -> None:
        """For the driver, with all that it has given up so far; returns when every worker can see it."""
        ray.get(self.names.add.remote(list(trials)))

    def given_up(self, trials: Sequence[str]) -> list[str]:
        """For a worker: which of its trials go on no further."""
        found: list[str] = ray.get(self.names.among.remote(list(trials)))
        return found
