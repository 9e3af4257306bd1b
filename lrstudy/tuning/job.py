"""Jobs: the attempts at trials that the driver hands to a worker, through Tune's config of a trial."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any

from lrstudy.engine.trial import TrialConfig


@dataclass(frozen=True, slots=True)
class Job:
    """One attempt at a trial.

    ``alone``: nothing else may run on its machine or GPU. ``solo``: no other trial shares its worker.
    """

    config: TrialConfig
    attempt: int = 1
    alone: bool = False
    solo: bool = False

    def to_config(self) -> dict[str, Any]:
        """Return the dict that Tune passes to the worker."""
        how = {"attempt": self.attempt, "alone": self.alone, "solo": self.solo}
        return {"trial": asdict(self.config), **how}

    @classmethod
    def from_config(cls, config: Mapping[str, Any]) -> Job:
        """Return the job of a dict that ``to_config`` made."""
        how = {name: config[name] for name in ("attempt", "alone", "solo")}
        return cls(TrialConfig(**config["trial"]), **how)


def group_config(jobs: Sequence[Job], *, in_lanes: bool) -> dict[str, Any]:
    """Return the config that Tune passes to a group's worker; ``in_lanes``: it trains them side by side."""
    alone = any(job.alone for job in jobs)
    return {"jobs": [job.to_config() for job in jobs], "in_lanes": in_lanes, "alone": alone}


def jobs_of(config: Mapping[str, Any]) -> list[Job]:
    """Return the jobs in a group's config."""
    return [Job.from_config(entry) for entry in config["jobs"]]


def in_lanes(config: Mapping[str, Any]) -> bool:
    """Return True if the worker trains this group in lanes."""
    return bool(config["in_lanes"])
