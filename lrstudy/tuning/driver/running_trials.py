"""The running trials, on the driver's side, from the workers' reports."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime

from ray.tune.experiment import Trial

from lrstudy.records import EpochRecord, Phase, TrialRecord
from lrstudy.rules.outcome import Outcome
from lrstudy.tuning.job import Job, jobs_of
from lrstudy.tuning.messages import Attempt


@dataclass(slots=True)
class RunningTrial:
    """An attempt at a trial and the epochs that its worker has sent."""

    job: Job
    rows: list[EpochRecord] = field(default_factory=list)
    attempt: int = 1
    started_at: datetime = field(default_factory=lambda: datetime.now(UTC))

    def add(self, rows: Sequence[EpochRecord]) -> None:
        """Add epochs. A trial that resumed from a checkpoint sends all of its epochs again."""
        if rows and self.rows and rows[0].epoch <= self.rows[-1].epoch:
            self.rows = [row for row in self.rows if row.epoch < rows[0].epoch]
        self.rows += rows

    def record(self, outcome: Outcome, where: Attempt | None) -> TrialRecord:
        """Return the trial's row in the store; ``where`` is None if its worker did not report the end."""
        config = self.job.config
        return TrialRecord(
            trial_id=config.trial_id,
            phase=Phase(config.phase),
            schedule=config.schedule,
            seed=config.seed,
            params={**config.params, **outcome.found},
            status=outcome.status,
            error=outcome.error,
            epochs_run=outcome.epochs_run,
            best_val=outcome.best_val,
            best_epoch=outcome.best_epoch,
            objective=outcome.objective,
            test_loss=outcome.test.get("loss"),
            test_accuracy=outcome.test.get("accuracy"),
            test_r2=outcome.test.get("r2"),
            started_at=self.started_at if where is None else where.started_at,
            ended_at=datetime.now(UTC) if where is None else where.ended_at,
            node="" if where is None else where.node,
            device="" if where is None else where.device,
            attempt=self.attempt,
        )


class RunningTrials:
    """All running trials, by Tune's id of their group and by trial id, without a group's ended trials."""

    def __init__(self) -> None:
        self._groups: dict[str, dict[str, RunningTrial]] = {}

    def of(self, trial: Trial) -> dict[str, RunningTrial]:
        """Return the trials of a group that have not ended; adds the group if it is new."""
        if trial.trial_id not in self._groups:
            jobs = jobs_of(trial.config)
            self._groups[trial.trial_id] = {
                job.config.trial_id: RunningTrial(job, attempt=job.attempt) for job in jobs
            }
        return self._groups[trial.trial_id]

    def group(self, group: str) -> list[RunningTrial]:
        """Return the trials of a known group that have not ended."""
        return list(self._groups[group].values())

    @property
    def groups(self) -> list[str]:
        """Tune's ids of all groups."""
        return list(self._groups)

    def end(self, group: str, running: RunningTrial) -> None:
        """Remove an attempt that has ended."""
        del self._groups[group][running.job.config.trial_id]

    def end_group(self, group: str) -> None:
        """Remove a group that has ended."""
        self._groups.pop(group, None)

    def __iter__(self) -> Iterator[RunningTrial]:
        # Copies: the progress display iterates in another thread.
        return iter([each for group in list(self._groups.values()) for each in list(group.values())])
