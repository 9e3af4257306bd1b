"""An extension of a study: what can be added to a run whose trials stay, as values and as a command line."""

from __future__ import annotations

import shlex
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final

# The options of ``lrstudy extend`` that raise a number, each with its key in a study file.
NUMBERS: Final[Mapping[str, str]] = {
    "confirm_seeds": "budget.confirm_seeds",
    "replicates": "budget.replicates",
    "most": "budget.most",
    "trials": "budget.trials",
    "select_seeds": "budget.select_seeds",
}


@dataclass(frozen=True, slots=True)
class Extension:
    """The additions to a study; each number is the new total, None leaves it as it is.

    ``schedules`` are ``NAME=FILE`` with the study files that describe them.
    """

    confirm_seeds: int | None = None
    replicates: int | None = None
    most: int | None = None
    trials: int | None = None
    select_seeds: int | None = None
    schedules: tuple[str, ...] = ()
    epochs: int | None = None
    metric: str | None = None

    @property
    def numbers(self) -> dict[str, int]:
        """The numbers to raise, by the names of ``NUMBERS``."""
        values = {name: getattr(self, name) for name in NUMBERS}
        return {name: value for name, value in values.items() if value is not None}

    @property
    def reopens_search(self) -> bool:
        """Return True if another configuration may win than before."""
        return self.trials is not None or self.select_seeds is not None

    @property
    def is_empty(self) -> bool:
        """Return True if it leaves the study as it is."""
        return self == Extension()


@dataclass(frozen=True, slots=True)
class Extended:
    """An extension that passed its checks: the digest of the study before it, and the keys that change."""

    extension: Extension
    spec_hash: str
    changes: Mapping[str, list[Any]]


def extend_command(run: str, what: str, value: int | str) -> str:
    """Return the command line that extends a run; ``what`` is a field of ``Extension``.

    >>> extend_command("runs/my study", "confirm_seeds", 20)
    "lrstudy extend 'runs/my study' --confirm-seeds 20"
    """
    return extend_commands(run, [(what, value)])


def extend_commands(run: str, parts: list[tuple[str, int | str]]) -> str:
    """Return the command line for several changes at once."""
    words = ["lrstudy", "extend", run]
    for what, value in parts:
        words += [f"--{'schedule' if what == 'schedules' else what.replace('_', '-')}", str(value)]
    return shlex.join(words)


def changed_keys(before: Mapping[str, Any], now: Mapping[str, Any]) -> dict[str, list[Any]]:
    """Return the keys of two specs that differ, each with the old and the new value.

    >>> changed_keys({"budget": {"trials": 8}}, {"budget": {"trials": 12}})
    {'budget.trials': [8, 12]}
    """
    changes: dict[str, list[Any]] = {}
    for section in dict.fromkeys([*before, *now]):
        old, new = before.get(section), now.get(section)
        if isinstance(old, Mapping) and isinstance(new, Mapping):
            for key in dict.fromkeys([*old, *new]):
                if old.get(key) != new.get(key):
                    changes[f"{section}.{key}"] = [old.get(key), new.get(key)]
        elif old != new:
            changes[section] = [old, new]
    return changes
