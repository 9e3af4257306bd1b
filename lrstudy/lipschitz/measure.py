"""A pass over batches that leaves no trace on the model, and the norms of the batches' targets."""

from __future__ import annotations

import random
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from itertools import islice
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn
from torch.utils.hooks import RemovableHandle

from lrstudy.errors import Problem, SchedulerError
from lrstudy.lipschitz.head_candidates import unwrapped
from lrstudy.lipschitz.layer_watch import Watch
from lrstudy.lipschitz.norms import wide
from lrstudy.lipschitz.step_count import part_of, step_quantities, together
from lrstudy.lipschitz.step_watch import StepWatch
from lrstudy.lipschitz.trace import trace_head


@contextmanager
def _undisturbed(model: nn.Module, batches: object) -> Iterator[None]:
    """Evaluate without gradients in the block, and restore modes and random states after it."""
    modes = [(module, module.training) for module in model.modules()]
    devices = sorted({p.device.index for p in model.parameters() if p.device.type == "cuda"})
    owners = (batches, getattr(batches, "sampler", None))
    generators = {
        id(g): (g, g.get_state())
        for g in (getattr(owner, "generator", None) for owner in owners)
        if isinstance(g, torch.Generator)
    }
    python, legacy = random.getstate(), np.random.get_state()  # noqa: NPY002 - users' augmentations draw from it
    model.eval()
    try:
        with torch.random.fork_rng(devices), torch.no_grad():
            yield
    finally:
        random.setstate(python)
        np.random.set_state(legacy)  # noqa: NPY002 - as above
        for generator, state in generators.values():
            generator.set_state(state)
        for module, training in modes:
            module.training = training


def run_pass(
    model: nn.Module,
    head: nn.Module,
    batches: Iterable[Any],
    names: Sequence[str],
    *,
    fraction: float | None = None,
    seed: int = 0,
) -> tuple[dict[str, float], int]:
    """Return the named maxima over ``batches`` in evaluation mode, and the rows of the largest batch.

    ``fraction`` takes a random part of the batches, seeded. Model mode, gradients and every random
    state that the pass may draw from (torch's, Python's, numpy's, the loader's own) are restored.
    """
    watch = Watch(names, next(head.parameters()), training_only=False)
    handle: RemovableHandle = head.register_forward_hook(watch)
    try:
        for _ in _outputs(model, batches, fraction, seed):
            pass
        return watch.read()
    finally:
        handle.remove()


def run_steps(
    model: nn.Module,
    head: nn.Module,
    batches: Iterable[Any],
    watch: StepWatch,
    accumulate: int,
    *,
    fraction: float | None = None,
    seed: int = 0,
) -> None:
    """As ``run_pass``, into ``watch``, with ``accumulate`` batches to a step; the last may have fewer."""
    handles = watch.attach(head, [])
    try:
        unfinished = 0
        for _ in _outputs(model, batches, fraction, seed):
            unfinished += 1
            if unfinished == accumulate:
                watch.end_step()
                unfinished = 0
        if unfinished:
            watch.end_step()
    finally:
        for handle in handles:
            handle.remove()


def _outputs(model: nn.Module, batches: Iterable[Any], fraction: float | None, seed: int) -> Iterator[Any]:
    device = next(model.parameters()).device
    # Not the data-parallel wrapper: it synchronises its ranks, which need not have as many batches.
    inner = (
        unwrapped(model) if torch.distributed.is_available() and torch.distributed.is_initialized() else model
    )
    with _undisturbed(model, batches):
        for batch in _part(batches, fraction, seed):
            yield inner(split_batch(batch)[0].to(device, non_blocking=True))


def draw_batches(model: nn.Module, batches: Iterable[Any], count: int, seed: int) -> list[Any]:
    """Return ``count`` random batches, but for the last, which may be short; the first of unknown length."""
    with _undisturbed(model, batches):
        try:
            total = len(batches)  # type: ignore[arg-type]  # an iterable may have none: that is what is tried
        except TypeError:
            drawn = list(islice(batches, count))
        else:
            several = range(total - 1 if total > count else total)
            draw = random.Random(seed)  # noqa: S311 - which batches to look at is no secret
            chosen = set(draw.sample(several, min(count, len(several))))
            until = max(chosen, default=-1) + 1
            drawn = [batch for i, batch in enumerate(islice(batches, until)) if i in chosen]
    if not drawn:
        raise _empty("Give at least one batch.")
    return drawn


def head_by_pass(model: nn.Module, batches: Iterable[Any]) -> nn.Module:
    """Return the layer whose output is the model's output for the first of the batches."""
    with _undisturbed(model, batches):
        for batch in batches:
            return trace_head(model, split_batch(batch)[0].to(next(model.parameters()).device))
    raise _empty("Give at least one batch, or name the last layer by head=.")


def _empty(remedy: str) -> SchedulerError:
    return SchedulerError(Problem("LipschitzLR", "batches", "is empty", remedy))


def target_sums(batches: Iterable[Any], model: nn.Module, accumulate: int = 1) -> Tensor | None:
    """Return the sums of each step's targets (see ``steps``), every number a row; None without targets."""
    steps: list[Tensor] = []
    parts: list[Tensor] = []
    with _undisturbed(model, batches):
        for batch in batches:
            targets = split_batch(batch)[1]
            if targets is None:
                return None
            column = targets.detach().to(wide(targets)).reshape(-1, 1)
            parts.append(part_of(("kz", "rms_kz"), column, column))
            if len(parts) == accumulate:
                steps.append(together(torch.stack(parts)))
                parts = []
    if parts:
        steps.append(together(torch.stack(parts)))
    return torch.stack(steps) if steps else None


def largest_target_norm(batches: Iterable[Any], model: nn.Module) -> float | None:
    """Return ‖y‖: the largest norm of the targets of a batch; None if the batches hold no targets."""
    sums = target_sums(batches, model)
    return None if sums is None else float(step_quantities(("kz",), sums, None).max())


def split_batch(batch: Any) -> tuple[Tensor, Tensor | None]:
    """Return (inputs, targets or None) of a batch that is a tensor or a pair."""
    if isinstance(batch, Tensor):
        return batch, None
    if isinstance(batch, list | tuple) and batch and isinstance(batch[0], Tensor):
        return batch[0], (batch[1] if len(batch) > 1 and isinstance(batch[1], Tensor) else None)
    raise SchedulerError(
        Problem(
            "LipschitzLR",
            "batches",
            "gave a batch that is neither a tensor nor an (input, target) pair of tensors",
            "Wrap the loader in a function that gives such pairs.",
            type(batch).__name__,
        )
    )


def _part(batches: Iterable[Any], fraction: float | None, seed: int) -> Iterator[Any]:
    if fraction is None:
        yield from batches
        return
    draw = random.Random(seed)  # noqa: S311 - which batches to look at is no secret
    try:
        total = len(batches)  # type: ignore[arg-type]  # an iterable may have none: that is what is tried
    except TypeError:
        # Length unknown: each batch by itself, but always the first, so that one is seen.
        yield from (batch for i, batch in enumerate(batches) if draw.random() < fraction or i == 0)
        return
    chosen = sorted(draw.sample(range(total), max(1, round(fraction * total)))) if total else []
    if isinstance(batches, Sequence):
        yield from (batches[i] for i in chosen)
        return
    wanted = set(chosen)
    for i, batch in enumerate(batches):
        if i in wanted:
            yield batch
        if i == chosen[-1]:
            return
