"""The hook of the last linear layer that adds up the forward passes of each optimizer step."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any

import torch
from torch import Tensor, nn
from torch.utils.hooks import RemovableHandle

from lrstudy.compat.torch import backward_number
from lrstudy.lipschitz.layer_watch import LayerHook, Watch
from lrstudy.lipschitz.norms import wide
from lrstudy.lipschitz.step_count import (
    CALLS,
    NEEDS_GRAM,
    ROWS,
    SIZE,
    accumulator,
    grams_of,
    part_of,
    size_with_norms,
    step_quantities,
    together,
)


class StepWatch(Watch):
    """A watch that adds up the forward passes of one optimizer step (gradient accumulation).

    ``attach`` hooks it onto the layer and its parameters; ``end_step`` is to be called after each step that
    the optimizer took. In eager code a forward pass counts when a backward pass brings its gradient to the
    layer's own parameters, once: a pass for a metric alone, one that only the inputs' gradient is wanted of
    and the recomputation of a checkpointed one do not. Where gradients start again without a step in
    between (a gradient scaler skipped it, and they were zeroed), what was added up is dropped. In compiled
    code no such hook can be had, and a pass counts when it is made.

    ``recorded`` keeps every step's sums instead of their maxima, for the ranks of a group to put together.
    """

    def __init__(self, names: Sequence[str], like: Tensor, *, training_only: bool, recorded: bool) -> None:
        super().__init__(names, like, training_only=training_only)
        self.record: list[Tensor] | None = [] if recorded else None
        self.steps = 0
        # Per device: since the last backward pass, and up to it. Made now for the compiler, as the maxima.
        self._entering = {like.device: self._no_sums(like)}
        self._sums = {like.device: self._no_sums(like)}
        self._grams: dict[torch.device, Tensor] = {}
        self._entering_grams: dict[torch.device, Tensor] = {}
        # The most passes in a step, and the steps that had one.
        self._tally = torch.zeros(2, device=like.device, dtype=accumulator(like))
        self._witnesses: list[Tensor] = []
        self._passes: list[_Pass] = []  # those that no backward pass has brought to the layer's parameters
        self._confirmed = False

    @property
    def needs_grams(self) -> bool:
        """Return True if a quantity needs AᵀA, which is added up as a matrix."""
        return not NEEDS_GRAM.isdisjoint(self.names)

    def attach(
        self, layer: nn.Module, parameters: Sequence[nn.Parameter]
    ) -> list[RemovableHandle | LayerHook]:
        """Hook onto a layer. ``parameters`` show the backward passes if the layer itself is frozen."""
        own = [parameter for parameter in layer.parameters() if parameter.requires_grad]
        self._witnesses = list(own or (p for p in parameters if p.requires_grad))
        weight = next(layer.parameters())
        if self.needs_grams:
            for grams in (self._grams, self._entering_grams):
                grams.setdefault(weight.device, self._no_grams(weight, _width(layer)))
        handles: list[RemovableHandle | LayerHook] = [self.hook_onto(layer)]
        if self._witnesses:
            first = self._witnesses[0]
            handles += [
                first.register_hook(partial(self._before_gradient, first)),  # type: ignore[no-untyped-call]
                first.register_post_accumulate_grad_hook(self._after_gradient),  # type: ignore[no-untyped-call]
            ]
        return handles

    def _take(self, A: Tensor, outputs: Tensor, attached: Tensor) -> None:
        part = part_of(self.names, A, outputs, norms=True)
        grams = grams_of(A) if self.needs_grams else None
        if torch.compiler.is_compiling() or not self.training_only:
            self._enter(part, grams)
        elif attached.requires_grad and self._witnesses:
            made = _Pass(part, grams)
            self._passes.append(made)
            attached.register_hook(made.note_backward)  # type: ignore[no-untyped-call]

    def _confirm(self) -> None:
        """Count the passes whose gradient came to the layer in the running backward pass."""
        backward = backward_number()
        arrived = [made for made in self._passes if made.backward == backward]
        for made in arrived:
            self._enter(made.part, made.grams)
            self._passes.remove(made)
            self._confirmed = True

    def _enter(self, part: Tensor, grams: Tensor | None) -> None:
        if part.device not in self._entering:
            self._entering[part.device] = self._no_sums(part)
        entering = self._entering[part.device]
        entering.copy_(together(torch.stack([entering, part])))
        if grams is not None:
            if part.device not in self._entering_grams:
                self._entering_grams[part.device] = torch.zeros_like(grams)
            self._entering_grams[part.device].add_(grams)

    def _before_gradient(self, parameter: Tensor, _: Tensor) -> None:
        """Drop what was added up, if a backward pass is about to bring a parameter's first gradient."""
        self._confirm()
        if parameter.grad is None:
            self._forget_sums()
            return
        # What zero_grad(set_to_none=False) leaves; without reading it back.
        # An embedding that shows the backward passes may have a sparse gradient.
        left = parameter.grad.coalesce().values() if parameter.grad.is_sparse else parameter.grad
        some = (left != 0).any()
        for sums in (*self._sums.values(), *self._grams.values()):
            sums.copy_(torch.where(some.to(sums.device), sums, torch.zeros_like(sums)))

    def _after_gradient(self, _: Tensor) -> None:
        self._settle()

    def _settle(self) -> None:
        for device, entering in self._entering.items():
            sums = self._sums.setdefault(device, torch.zeros_like(entering))
            sums.copy_(together(torch.stack([sums, entering])))
            entering.zero_()
        for device, entering in self._entering_grams.items():
            self._grams.setdefault(device, torch.zeros_like(entering)).add_(entering)
            entering.zero_()

    def _forget_sums(self) -> None:
        for sums in (*self._sums.values(), *self._grams.values()):
            sums.zero_()

    def end_step(self, skipped: Tensor | None = None) -> None:
        """End a step. ``skipped``: not 0 if a gradient scaler made a fused optimizer skip it."""
        if not self._confirmed:  # gradients that no backward pass brought: the passes made are all there is
            for made in self._passes:
                self._enter(made.part, made.grams)
        self._settle()
        home, *others = self._sums
        sums = self._sums[home].clone()
        if others:
            sums = together(torch.stack([sums, *(self._sums[device].to(home) for device in others)]))
        if skipped is not None:
            sums = torch.where(skipped.to(home).any(), torch.zeros_like(sums), sums)
        if self.record is None:
            self._keep(sums)
        else:
            self.record.append(sums[:SIZE])
        self._forget_sums()
        self._drop_passes()
        self.steps += 1

    def _drop_passes(self) -> None:
        self._passes, self._confirmed = [], False

    def _keep(self, sums: Tensor) -> None:
        grams = None
        if self.needs_grams:
            grams = torch.stack([grams.to(sums.device) for grams in self._grams.values()]).sum(0)
        maxima = self.maxima[next(iter(self.maxima))]
        found = torch.cat([step_quantities(self.names, sums, grams), sums[ROWS : ROWS + 1]])
        # A NaN stays. A step that saw no rows has zeros.
        maxima.copy_(torch.maximum(maxima, found.to(maxima)))
        self._count(sums.unsqueeze(0))

    def _count(self, sums: Tensor) -> None:
        self._tally[0] = torch.maximum(self._tally[0], sums[:, CALLS].amax())
        self._tally[1] += (sums[:, ROWS] > 0).sum()

    def tally(self) -> tuple[int, int, int]:
        """Return (steps since the last reset, those that saw a forward pass, the most passes in one)."""
        if self.record:
            sums = torch.stack(self.record)
            return self.steps, int((sums[:, ROWS] > 0).sum()), int(sums[:, CALLS].max())
        calls, seen = self._tally.tolist()
        return self.steps, int(seen), int(calls)

    def recorded_sums(self) -> Tensor:
        """Return the sums of the steps since the last reset, (steps, SIZE)."""
        like = next(iter(self._sums.values()))
        return torch.stack(self.record) if self.record else like.new_zeros(0, SIZE)

    def reset(self) -> None:
        """Forget the steps; what belongs to a step that has not ended stays."""
        super().reset()
        self.steps = 0
        self._tally.zero_()
        if self.record is not None:
            self.record = []

    def forget_everything(self) -> None:
        """Forget the steps and the one that has not ended."""
        self.reset()
        for sums in (*self._entering.values(), *self._entering_grams.values()):
            sums.zero_()
        self._forget_sums()
        self._drop_passes()

    def state_dict(self) -> dict[str, Any]:
        """Return the steps' part of what ``put`` does not hold, as plain numbers.

        A step that has not ended is lost with its gradients, which no state holds either.
        """
        return {
            "steps": self.steps,
            "tally": self._tally.tolist(),
            "record": [] if self.record is None else [sums.tolist() for sums in self.record],
        }

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Continue from what ``state_dict`` returned; after ``put``."""
        self.steps = state["steps"]
        self._tally.copy_(torch.tensor(state["tally"]))
        if self.record is not None:
            like = next(iter(self._sums.values()))
            self.record = [
                torch.tensor(sums, dtype=like.dtype, device=like.device) for sums in state["record"]
            ]

    def _no_sums(self, like: Tensor) -> Tensor:
        size = size_with_norms(self.names)
        return torch.zeros(size, device=like.device, dtype=accumulator(like))

    def _no_grams(self, like: Tensor, width: int) -> Tensor:
        return torch.zeros(2, width, width, device=like.device, dtype=wide(like))

    def __getstate__(self) -> dict[str, Any]:
        # Handles are not copied: the passes that they wait for belong to the original.
        return {**super().__getstate__(), "_passes": [], "_confirmed": False}


@dataclass(slots=True, eq=False)
class _Pass:
    """A forward pass: its sums, and the backward pass that came to its outputs last."""

    part: Tensor
    grams: Tensor | None
    backward: int | None = None

    def note_backward(self, _: Tensor) -> None:
        self.backward = backward_number()


def _width(layer: nn.Module) -> int:
    for name in ("in_features", "in_channels"):
        if isinstance(getattr(layer, name, None), int):
            return int(getattr(layer, name))
    raise AttributeError(name)
