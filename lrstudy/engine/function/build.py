"""A trial's schedule from what a user's function gives: its optimizer, model, loss and loader."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Any

from torch import Tensor, nn
from torch.optim import Optimizer

from lrstudy.engine.function.function_schedule import TrialSchedule
from lrstudy.engine.function.random_states import generators_of, load_random, save_random
from lrstudy.engine.function.reports import refusal
from lrstudy.engine.function.step_check import whole_epochs
from lrstudy.engine.function.trial_settings import Settings
from lrstudy.rules.seeding import derive_seed
from lrstudy.schedules import ScheduleContext, build_schedule


def check_optimizer(optimizer: object) -> None:
    """Raise ``ContractError`` for anything but a torch optimizer."""
    if not isinstance(optimizer, Optimizer):
        message = f"trial.schedule got a {type(optimizer).__name__}, not an optimizer"
        raise refusal(message, "Pass a torch.optim.Optimizer first.")


def build_trial_schedule(
    settings: Settings,
    optimizer: Optimizer,
    model: nn.Module | None,
    loss: str | nn.Module,
    loader: Iterable[Any] | None,
    per_epoch: int | None,
) -> TrialSchedule:
    """Build the schedule that the settings name on the user's optimizer.

    ``per_epoch`` is the number of optimizer steps of an epoch. A trial given in steps whose epochs have no
    known length has one of ``evaluate_every`` steps, else of its whole length.
    """
    if settings.steps is not None:
        steps = settings.steps
        per_epoch = min(per_epoch or settings.evaluate_every or steps, steps)
        epochs = whole_epochs(steps, per_epoch)
    else:
        assert settings.epochs is not None
        assert per_epoch is not None
        epochs, steps = settings.epochs, settings.epochs * per_epoch
    context = ScheduleContext(
        optimizer=optimizer,
        model=_NoModel() if model is None else model,
        loss_name=loss,
        loss_options={},
        epochs=epochs,
        steps_per_epoch=per_epoch,
        batches=lambda: _pairs(loader),
        seed=derive_seed(settings.seed, "schedule"),
        higher_is_better=settings.metric.higher_is_better,
        steps=steps,
        own_loop=True,
    )
    schedule = build_schedule(settings.kind, settings.schedule_params, context)
    return TrialSchedule(settings.schedule, schedule, optimizer)


class _NoModel(nn.Module):
    """Stands for a model that was not given; a schedule that looks at it is refused."""

    def __getattribute__(self, name: str) -> Any:
        if name in ("modules", "named_modules", "parameters", "named_parameters", "register_forward_hook"):
            message = "the schedule measures the model, and trial.schedule was not given it"
            raise refusal(message, "Pass it: trial.schedule(optimizer, model=model, loss=…).")
        return super().__getattribute__(name)


def _pairs(loader: Iterable[Any] | None) -> Iterator[tuple[Tensor, Tensor]]:
    """Yield a pass over the user's loader for a schedule that measures; random states stay as they are."""
    if loader is None:
        message = "the schedule needs the training's batches, and trial.schedule was given no loader"
        raise refusal(message, "Pass it: trial.schedule(optimizer, model=model, loader=loader).")
    generators = generators_of(loader)
    before = save_random(generators)
    try:
        for batch in loader:
            if not (isinstance(batch, tuple | list) and len(batch) == 2):
                message = (
                    f"the schedule needs batches of (inputs, targets), and the loader gives {_kind(batch)}"
                )
                raise refusal(message, 'Use measure = "hook" in the study file, which needs no batches.')
            yield batch[0], batch[1]
    finally:
        load_random(before, generators)


def _kind(batch: Any) -> str:
    return f"a {type(batch).__name__}" + (
        f" of {len(batch)}" if isinstance(batch, tuple | list | dict) else ""
    )
