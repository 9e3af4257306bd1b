"""The eligibility of a study for lanes, determined by a trial run: the types of the layers are not enough.

- Stacked layers must compute the same as the task's own model. Layers are recognized by their types, but a
  user's model may contain more than its types show: a frozen or a shared parameter, a hook, rows of another
  shape.
- A lane's bits must not depend on its neighbours, or a study would depend on which trials shared a group.
  Some of torch's operations compute the last few numbers of a tensor differently from the rest (a sine's last
  digit differs). Only the shapes decide which numbers these are, so that groups of a few sizes, trained for
  some steps on batches and splits of the study's own shapes, reveal it. Each kind of processor runs different
  code: the result is the same each time on one machine, and may differ on another.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from dataclasses import asdict, replace
from typing import TYPE_CHECKING, Any, Final

import torch
from torch import Tensor, nn

from lrstudy.catalog.moved_options import WEIGHT_DECAY, names_moved
from lrstudy.catalog.schedule_kinds import SCHEDULES
from lrstudy.engine.lanes.lane_group import LaneGroup
from lrstudy.engine.lanes.lane_losses import StackedLoss
from lrstudy.engine.lanes.stacked_model import stack, unstackable
from lrstudy.engine.trial import TrialConfig
from lrstudy.records import EvaluationRecord, Phase
from lrstudy.spec.hyperparameters import is_of_task
from lrstudy.spec.space import Choices, Range
from lrstudy.tasks import Seeds, TaskData, assemble
from lrstudy.tasks.losses import Loss
from lrstudy.tasks.pipeline import EVALUATION_ROWS, Pipeline
from lrstudy.tasks.splits import Split

if TYPE_CHECKING:  # a GPU machine that only trains may lack pydantic
    from lrstudy.spec import ScheduleSpec, Study, TaskSpec

_ROWS: Final = 8
_SEEDS: Final = (0, 1)
# Each round stacks the models again, which loses attributes that a model keeps outside its parameters.
_ROUNDS: Final = 2
# Groups, by the numbers of their lanes, compared with the last one: a lane in the last place may differ.
_GROUPS: Final = ((0,), (1,), (2, 3), (3, 4, 5), (4, 5, 6, 7, 8), tuple(range(16)))
_BATCHES, _STEPS = 8, 24
_CLOCKS: Final = ("train_seconds", "estimate_seconds", "eval_seconds")


def why_not(study: Study, data: TaskData, kinds: Sequence[str]) -> str | None:
    """Return the reason why a study's trials of these schedule kinds cannot run in lanes, or None."""
    task = study.built_in
    if (reason := unsupported(task)) is not None:
        return reason
    for kind in kinds:
        if kind not in SCHEDULES:
            return f"the schedule {kind!r} is user-defined"
    if (reason := _why_parts_differ(study)) is not None:
        return reason
    reason = unstackable(assemble(task, data, torch.device("cpu")).model)
    return disagreement(task, data) if reason is None else reason


def unsupported(task: TaskSpec) -> str | None:
    """Return the reason why a task's settings keep its trials out of lanes, or None."""
    reasons = {
        f"the precision is {task.precision}": task.precision in ("bf16", "fp16"),
        f"a step has {task.accumulate} batches (task.accumulate)": task.accumulate > 1,
        "gradients are clipped (task.clip_norm)": task.clip_norm is not None,
        "the weights are averaged (task.ema)": task.ema is not None,
        "the model is compiled (task.compile)": task.compile,
        "a DataLoader reads the rows (task.loader)": task.streamed,
        "the training is diagnosed (task.diagnose)": bool(task.diagnose),
        "metrics are those of torchmetrics (task.metrics)": bool(task.metrics),
        "evaluations are not at the epochs' ends (task.evaluate_every)": task.evaluate_every is not None,
    }
    return next((reason for reason, holds in reasons.items() if holds), None)


def _why_parts_differ(study: Study) -> str | None:
    """Return the reason if lanes would not share a task, or if a part of it is not stacked; else None.

    The lanes of a group have one batch size, model, loss and optimizer, but for its rate and momentum.
    """
    for part in (study.built_in.loss, study.built_in.optimizer):
        if part.is_users_own:
            return f"{part.name!r} is not one of lrstudy's parts, which alone are known not to mix lanes"
    if any("optimizer" in group for group in study.built_in.optimizer.options.get("groups", ())):
        return "a group of parameters has its own optimizer"
    for schedule in study.schedules:
        for key in schedule.own_parts:
            return f"trials of a group would differ in the {key}: {schedule.name!r} has its own"
        for name in (*schedule.space, *schedule.fixed):
            if is_of_task(name):
                return f"trials of a group would differ in {name}"
    return None


def disagreement(task: TaskSpec, data: TaskData) -> str | None:
    """Compare a step and an evaluation of two lanes with plain ones; return the difference, or None."""
    alone, stacked = (
        [assemble(task, data, torch.device("cpu"), Seeds(model=seed)) for seed in _SEEDS] for _ in range(2)
    )
    inputs, targets = next(alone[0].pipeline.batches("train", _ROWS))
    inputs = inputs.double()
    targets = targets.double() if targets.is_floating_point() else targets
    models, lanes = ([parts.model.double() for parts in group] for group in (alone, stacked))
    loss = alone[0].loss
    try:
        for _ in range(_ROUNDS):
            ours = _compute_stacked(lanes, loss, inputs, targets)
            theirs = [_compute_alone(model, loss, inputs, targets) for model in models]
            for lane, model, actual, expected in zip(lanes, models, ours, theirs, strict=True):
                if not (_all_close(actual, expected) and _all_close(lane.buffers(), model.buffers())):
                    return "the stacked model computes other values than the model alone"
    except Exception as error:  # noqa: BLE001 - after any error the model is trained without lanes
        return f"the model, in float64, cannot be stacked: {type(error).__name__}: {error}"
    return None


def _compute_stacked(
    models: list[nn.Module], loss: Loss, inputs: Tensor, targets: Tensor
) -> list[tuple[Tensor, ...]]:
    """Return the training outputs, loss, gradient and evaluation outputs of every lane."""
    stacked, losses, count = stack(models), StackedLoss(loss), len(models)
    inputs, targets = (tensor.expand(count, *tensor.shape) for tensor in (inputs, targets))
    outputs = stacked(inputs, training=True)
    gradients = stacked.layout.parts(stacked.backward(losses.gradient(outputs, targets)))
    gradient = torch.cat([part.flatten(1) for part in gradients], 1)
    evaluated = stacked(inputs, training=False)
    return list(zip(outputs, losses(outputs, targets), gradient, evaluated, strict=True))


def _compute_alone(model: nn.Module, loss: Loss, inputs: Tensor, targets: Tensor) -> tuple[Tensor, ...]:
    model.train()
    outputs = model(inputs)
    value = loss(outputs, targets)
    gradient = torch.autograd.grad(value, list(model.parameters()))
    with torch.no_grad():
        evaluated = model.eval()(inputs)
    return outputs.detach(), value.detach(), torch.cat([part.flatten() for part in gradient]), evaluated


def _all_close(ours: Iterable[Tensor], theirs: Iterable[Tensor]) -> bool:
    return all(
        a.shape == b.shape and torch.allclose(a, b, rtol=1e-6, atol=1e-9, equal_nan=True)
        for a, b in zip(ours, theirs, strict=True)
    )


def neighbours_matter(study: Study, data: TaskData) -> bool:
    """Train a few trials in several groups; return True if any result depends on the group."""
    size = study.built_in.batch_size
    data = replace(
        data,
        train=_shorten(data.train, size),
        validation=_shorten(data.validation, max(size, EVALUATION_ROWS)),
        test=_shorten(data.test, max(size, EVALUATION_ROWS)),
    )
    epochs = max(2, math.ceil(_STEPS / Pipeline(data, study.built_in, torch.device("cpu")).steps_per_epoch))
    study = study.model_copy(update={"task": study.built_in.model_copy(update={"epochs": epochs})})
    *some, expected = [_train_group(study, data, group) for group in _GROUPS]
    return any(lane != expected[number] for group in some for number, lane in group.items())


def _kinds(study: Study) -> list[tuple[str, dict[str, Any]]]:
    """Return a fixed rate, which changes every weight, and the schedules with arithmetic of a different kind.

    They read weights, activations, losses or gradients, or move a weight decay that lanes then do not share.
    """
    own = [
        schedule
        for schedule in study.schedules
        if schedule.kind in ("lipschitz", "polyak")
        or SCHEDULES[schedule.kind].replaces_optimizer
        or WEIGHT_DECAY in names_moved([*schedule.fixed, *schedule.space])
    ]
    return [("fixed", {"lr": 0.05}), *((schedule.kind, _example_params(schedule)) for schedule in own)]


def _example_params(schedule: ScheduleSpec) -> dict[str, Any]:
    """Return hyperparameters that a search might suggest."""
    params = dict(schedule.fixed)
    for name, space in schedule.space.items():
        if isinstance(space, Choices):
            params[name] = space.values[0]
        elif not space.names:
            params[name] = space.low
    for name, space in schedule.space.items():
        if isinstance(space, Range) and name not in params:  # another parameter bounds it
            params[name] = space.ends(params)[0]
    return params


def _shorten(split: Split, size: int) -> Split:
    """Return rows for some whole batches and for a last batch as long as the split's."""
    whole, rest = divmod(len(split.targets), size)
    rows = min(whole, _BATCHES) * size + rest
    return Split(split.inputs[:rows], split.targets[:rows])


def _train_group(study: Study, data: TaskData, group: Sequence[int]) -> dict[int, tuple[Any, ...]]:
    """Train a group; return the last record, the bytes of the weights and the test values of each lane."""
    kinds = _kinds(study)
    configs = []
    for number in group:
        kind, params = kinds[number % len(kinds)]
        configs.append(TrialConfig(f"lane-{number}", Phase.CONFIRM, kind, kind, params, number))
    lanes = LaneGroup(study, data, configs, torch.device("cpu"))
    try:
        records: dict[int, EvaluationRecord] = {}
        while lanes.active:
            records |= lanes.run_to_evaluation()
        return {
            number: (
                [repr(value) for name, value in asdict(records[lane]).items() if name not in _CLOCKS],
                [_bytes(tensor) for tensor in lanes.trainings[lane].model.state_dict().values()],
                repr(lanes.trainings[lane].outcome().test),
            )
            for lane, number in enumerate(group)
        }
    finally:
        lanes.close()


def _bytes(tensor: Tensor) -> bytes:
    """Return a tensor's bits; all NaNs count as the same."""
    bits: bytes = tensor.nan_to_num(nan=0.0).numpy().tobytes()
    return bits
