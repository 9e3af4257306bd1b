"""The running trials, on the driver's side, from the workers' reports."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime

from ray.tune.experiment import Trial

from lrstudy.records import EvaluationRecord, Phase, TrialRecord
from lrstudy.rules.outcome import Outcome
from lrstudy.spec import Study
from lrstudy.store.open_attempts import OpenAttempts
from lrstudy.tuning.job import Job, jobs_of
from lrstudy.tuning.messages import Attempt


@dataclass(slots=True)
class RunningTrial:
    """An attempt at a trial and the evaluations that its worker has sent, and the device that it named."""

    job: Job
    rows: list[EvaluationRecord] = field(default_factory=list)
    attempt: int = 1
    started_at: datetime = field(default_factory=lambda: datetime.now(UTC))
    device: str = ""

    def add(self, rows: Sequence[EvaluationRecord]) -> None:
        """Add evaluations. A trial that resumed from a checkpoint sends all of its evaluations again."""
        if rows and self.rows and rows[0].evaluation <= self.rows[-1].evaluation:
            self.rows = [row for row in self.rows if row.evaluation < rows[0].evaluation]
        self.rows += rows

    def record(
        self, study: Study, outcome: Outcome, where: Attempt | None, used: OpenAttempts | None = None
    ) -> TrialRecord:
        """Return the trial's row in the store; ``where`` is None if its worker did not report the end.

        ``used`` is what all attempts at it have used.
        """
        config, end, best = (
            self.job.config,
            self._row(outcome.evaluations),
            self._row(outcome.best_evaluation),
        )
        return TrialRecord(
            trial_id=config.trial_id,
            phase=Phase(config.phase),
            schedule=config.schedule,
            seed=config.seed,
            replicate=config.replicate,
            params={**config.params, **outcome.found},
            status=outcome.status,
            error=outcome.error,
            length=None if config.phase is Phase.RANGE_TEST else study.length_of(config.schedule),
            evaluations_run=outcome.evaluations,
            steps_run=None if end is None else end.step,
            epochs_run=None if end is None else end.epoch,
            best_val=outcome.best_val,
            best_evaluation=outcome.best_evaluation,
            best_step=None if best is None else best.step,
            best_epoch=None if best is None else best.epoch,
            objective=outcome.objective,
            test_loss=outcome.test.get("loss"),
            test_accuracy=outcome.test.get("accuracy"),
            test_r2=outcome.test.get("r2"),
            started_at=self.started_at if where is None else where.started_at,
            ended_at=datetime.now(UTC) if where is None else where.ended_at,
            node="" if where is None else where.node,
            device=self.device if where is None else where.device,
            gpus=study.resources.gpus,
            workers=study.resources.workers,
            attempt=self.attempt,
            cpus=study.resources.cpus,
            slot_seconds=None if used is None else used.seconds,
            energy_kwh=None if used is None else used.energy_kwh,
            energy_source=None if used is None else used.energy_source,
        )

    def _row(self, evaluation: int | None) -> EvaluationRecord | None:
        """Return the record of an evaluation, None where it has none."""
        return next((row for row in self.rows if row.evaluation == evaluation), None)


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
