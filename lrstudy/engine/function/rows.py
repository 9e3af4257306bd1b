"""The evaluations of a user's training, from what the function reports to the record of each."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from lrstudy.engine.function.function_schedule import TrialSchedule
from lrstudy.engine.function.reports import Report, refusal
from lrstudy.engine.function.trial_settings import Settings
from lrstudy.records import EvaluationRecord
from lrstudy.rules.averages import mean_rate


class Rows:
    """Counts rows and evaluations. ``waiting``: an evaluation has not been followed by a safe pause yet.

    ``latest`` is the last value of the study's metric, None before the first evaluation.
    """

    def __init__(self, settings: Settings) -> None:
        self._settings = settings
        self.count_of_evaluations = 0
        self.last_step = 0
        self.latest: float | None = None
        self.waiting = False
        self._samples: int | None = 0
        self._given: dict[str, int] = {}  # the counts of the last report

    def count(self, rows: int | None, workers: int) -> None:
        """Count a batch; one of unknown length makes the number of samples unknown, as does none at all."""
        self._samples = None if rows is None or self._samples is None else self._samples + rows * workers

    def take(
        self,
        step: int,
        epoch: float | None,
        report: Report,
        schedule: TrialSchedule,
        seconds: tuple[float, float],
    ) -> EvaluationRecord:
        """Return the record of a report."""
        if self.count_of_evaluations and step <= self.last_step:
            message = f"trial.report was called twice at step {step}"
            raise refusal(message, "Report once after an evaluation, with all metrics.")
        self._check_counts(report)
        self.count_of_evaluations += 1
        self.last_step = step
        rates, measured = schedule.take_rates(), schedule.schedule.measurement
        metric = self._settings.metric
        self.latest = metric.value(report.values.get(metric.column, report.values.get(metric.name)))
        return EvaluationRecord(
            evaluation=self.count_of_evaluations,
            step=step,
            samples=(self._samples or None) if report.samples is None else report.samples,
            tokens=report.tokens,
            epoch=epoch,
            train_seconds=seconds[0],
            estimate_seconds=schedule.schedule.take_estimate_seconds(),
            eval_seconds=seconds[1],
            lr=mean_rate(rates),
            lr_min=min(rates),
            lr_max=max(rates),
            lipschitz_constant=measured.constant,
            kz=measured.kz,
            weight_norm=measured.weight_norm,
            metrics=report.in_metrics(),
            **report.in_fields(),
        )

    def _check_counts(self, report: Report) -> None:
        """Raise ``ContractError`` for a count that is less than in the report before."""
        for name, count in (("samples", report.samples), ("tokens", report.tokens)):
            before = self._given.get(name, 0)
            if count is not None and count < before:
                message = f"trial.report: {name} went from {before} down to {count}"
                raise refusal(message, f"Give the total {name} since the start of the trial.")
            if count is not None:
                self._given[name] = count

    def state_dict(self) -> dict[str, Any]:
        """Return the counts."""
        return {
            "evaluations": self.count_of_evaluations,
            "last_step": self.last_step,
            "latest": self.latest,
            "samples": self._samples,
            "given": dict(self._given),
        }

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        """Continue from saved counts."""
        self.count_of_evaluations, self.last_step = state["evaluations"], state["last_step"]
        self.latest, self._samples = state["latest"], state["samples"]
        self._given = dict(state["given"])
