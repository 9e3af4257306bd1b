"""Refusals if the last layer's hook saw nothing, instead of a rate that does not move or is wrong."""

from __future__ import annotations

from torch import nn

from lrstudy.errors import SchedulerError
from lrstudy.lipschitz.head_candidates import is_compiled, refusal
from lrstudy.lipschitz.step_watch import StepWatch
from lrstudy.lipschitz.trace import HeadTrace


def problem_of_hook(
    watch: StepWatch, model: nn.Module, trace: HeadTrace | None, *, needed: bool, accumulate: int | None
) -> SchedulerError | None:
    """Return the problem with what a hook saw since the last measurement, or None.

    ``needed``: the rate depends on it. ``accumulate``: how many of the user's batches make a step; None if
    nothing depends on them.
    """
    steps, seen, calls = watch.tally()
    if needed and steps and not seen and not watch.read()[1]:
        return _nothing_seen(watch, model, trace, steps)
    if needed and 0 < seen < steps and is_compiled(model):
        return refusal(
            "model",
            type(model).__name__,
            f"called the hook of its last linear layer in {seen} of {steps} optimizer steps: what was"
            " compiled before the scheduler was made does not call it",
            "Make the scheduler before the compiled model's first step, or use measure='pass'.",
        )
    if accumulate is not None and calls > accumulate:
        return refusal(
            "accumulate",
            accumulate,
            f"the last linear layer was called {calls} times in an optimizer step, but batches= are put"
            f" together by {accumulate}",
            f"Give accumulate={calls} if a step has that many micro-batches"
            + (", or target_norm=, the largest norm of all targets of a step." if needed else ".")
            + " Calls by another model that shares the layer count, too.",
        )
    return None


def _nothing_seen(watch: StepWatch, model: nn.Module, trace: HeadTrace | None, steps: int) -> SchedulerError:
    what = f"took part in none of {steps} optimizer steps with a forward pass in training"
    if watch.in_evaluation or (trace is not None and trace.in_evaluation):
        # Only the layer's mode is known: the model may be in training mode, and share the layer with one that
        # is not.
        where = "has its last linear layer" if watch.in_evaluation else "is"
        return refusal(
            "model",
            type(model).__name__,
            f"{where} in evaluation mode (eval()) while it is trained: it {what}",
            "Call model.train() before each epoch. Of a frozen model only the last linear layer needs to be"
            " in training mode: model.eval(), then head.train(). A layer that another model shares is in the"
            " mode that was set last, by either.",
        )
    if trace is not None and trace.missed:
        return refusal(
            "head",
            None,
            "cannot be found in a compiled forward pass of a model that was given uncompiled",
            "Give the compiled model, or name the last linear layer by head=.",
        )
    if trace is not None:
        return refusal(
            "model",
            type(model).__name__,
            f"{what}: it was not called itself, or without gradients",
            "Give the model that the training calls, or name its last linear layer by head=.",
        )
    return refusal(
        "model",
        type(model).__name__,
        f"{what} at its last linear layer: a model that was compiled and run before the scheduler was made"
        " does not call its hook, and one without a trainable parameter gets no gradient",
        "Make the scheduler before the model's first step, on the model that the training calls; or use"
        " measure='pass'.",
    )
