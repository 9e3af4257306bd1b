"""A user's training function called by itself: no Ray, no study file, no store."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any

import torch

from lrstudy.engine.function.random_states import seed_all
from lrstudy.engine.function.reports import Report
from lrstudy.engine.function.trial_caller import TrialEnded
from lrstudy.engine.function.trial_handle import Trial
from lrstudy.engine.function.trial_settings import Settings
from lrstudy.records import EvaluationRecord
from lrstudy.rules.metrics import Metric


class _Printer:
    """Collects the evaluations, and prints each if asked to."""

    def __init__(self, *, show: bool) -> None:
        self.rows: list[EvaluationRecord] = []
        self._show = show

    def pause(self, row: EvaluationRecord | None, *, safe: bool) -> bool:
        if row is not None:
            self.rows.append(row)
            if self._show:
                print(_line(row), flush=True)
        return True

    def due(self) -> bool:
        return False

    def share(self, report: Report, step: int) -> Report:
        return report

    def note(self, text: str) -> None:
        print(text, flush=True)


def try_training(
    function: Callable[[Trial], Any],
    schedule: str | Mapping[str, Any] = "fixed",
    *,
    steps: int | None = None,
    epochs: int | None = None,
    evaluate_every: int | None = None,
    metrics: Mapping[str, str] | Sequence[str] | None = None,
    options: Mapping[str, Any] | None = None,
    params: Mapping[str, Any] | None = None,
    lr: float = 0.1,
    seed: int = 0,
    device: str | torch.device = "cpu",
    show: bool = True,
) -> list[EvaluationRecord]:
    """Call a training function once, in this thread, and return its evaluations.

    ``schedule`` is a kind or a table as in a study file, ``{"kind": "cosine", "lr": 0.3}``; the other
    arguments are the keys of ``[task]``. Without ``metrics`` any name may be reported. A trial that diverges
    ends as it does in a study. Raises what the function raises, and ``ContractError`` for what a study would
    refuse.
    """
    table = {"kind": schedule} if isinstance(schedule, str) else dict(schedule)
    if (steps is None) == (epochs is None):
        raise TypeError("try_training takes one of steps and epochs")
    declared = None if metrics is None else tuple(metrics)
    goal = next(iter(metrics.values()), "min") if isinstance(metrics, Mapping) else "min"
    judged = next(iter(declared or ("",)), "")
    kind = str(table.pop("kind", "fixed"))
    settings = Settings(
        seed=seed,
        schedule=kind,
        kind=kind,
        schedule_params=table,
        metric=Metric(judged, judged, goal == "max", -float("inf"), float("inf"), None),
        declared=declared,
        steps=steps,
        epochs=epochs,
        evaluate_every=evaluate_every,
        options=options or {},
        params=params or {},
        lr=lr,
        device=torch.device(device),
    )
    printer = _Printer(show=show)
    trial = Trial(settings, printer)
    seed_all(seed)
    trial.enter()
    try:
        function(trial)
        if trial.reason is None:
            trial.check_end()
    except TrialEnded:
        pass
    finally:
        trial.leave()
        trial.close()
    if trial.reason is not None:
        print(f"diverged: {trial.reason}", flush=True)
    return printer.rows


def _line(row: EvaluationRecord) -> str:
    values = {"train_loss": row.train_loss, "val_loss": row.val_loss, "val_accuracy": row.val_accuracy}
    told = ", ".join(_values({**values, **row.metrics}.items()))
    return f"step {row.step}: {told}; lr {row.lr:.4g}, {row.train_seconds:.3g} s"


def _values(items: Iterable[tuple[str, float | None]]) -> Iterable[str]:
    return (f"{name} {value:.5g}" for name, value in items if value is not None)
