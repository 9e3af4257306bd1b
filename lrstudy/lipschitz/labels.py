"""The labels that a loss module is called with, where they decide its constant."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from typing import Any

import torch
from torch import Tensor, nn
from torch.utils.hooks import RemovableHandle

from lrstudy.errors import SchedulerError
from lrstudy.lipschitz.head_candidates import refusal
from lrstudy.lipschitz.loss_modules import IGNORED_REMEDY


class LabelWatch:
    """A forward hook of a ``CrossEntropyLoss`` that notes labels which are left out, and class probabilities.

    It does not synchronise before ``problem`` is called. It sees only calls of the loss module that
    ``LipschitzLR`` was given.
    """

    def __init__(self, loss: nn.CrossEntropyLoss) -> None:
        self._loss = loss
        self._ignored, self._weighted = loss.ignore_index, loss.weight is not None
        self._seen: Tensor | None = None
        self._soft = False

    def attach(self) -> RemovableHandle:
        """Hook onto the loss module."""
        return self._loss.register_forward_hook(self, with_kwargs=True)

    def __call__(self, _: nn.Module, args: tuple[Any, ...], named: Mapping[str, Any], __: Any) -> None:
        """Look at the targets of one call."""
        targets = named.get("target", args[1] if len(args) > 1 else None)
        if isinstance(targets, Tensor) and torch.is_grad_enabled() and not torch.compiler.is_compiling():
            self.look(targets)

    def look(self, targets: Tensor) -> None:
        """Look at the targets of one batch."""
        if targets.is_floating_point():
            self._soft = True
            return
        some = (targets == self._ignored).any()
        self._seen = some if self._seen is None else self._seen.to(some.device) | some

    def problem(self) -> SchedulerError | None:
        """Return the refusal of the labels seen, if the constant does not hold with them; otherwise None."""
        if self._seen is not None and bool(self._seen):
            return refusal(
                "loss",
                f"CrossEntropyLoss(ignore_index={self._ignored})",
                f"was given labels of {self._ignored}, whose rows do not count, but were measured",
                IGNORED_REMEDY,
            )
        if self._soft and self._weighted:
            return refusal(
                "loss",
                "CrossEntropyLoss",
                "was given class probabilities, for which torch does not average by class weights",
                "Use labels, or no class weights.",
            )
        return None


def label_watch(loss: object) -> LabelWatch | None:
    """Return the watch on the labels that a loss module is called with; None where they decide nothing."""
    return LabelWatch(loss) if isinstance(loss, nn.CrossEntropyLoss) else None


class LabelledBatches:
    """Batches whose labels are shown to a watch; ``split`` gives the (inputs, targets) of one."""

    def __init__(
        self, batches: Iterable[Any], watch: LabelWatch, split: Callable[[Any], tuple[Tensor, Tensor | None]]
    ) -> None:
        self._batches, self._watch, self._split = batches, watch, split

    def __iter__(self) -> Iterator[Any]:
        for batch in self._batches:
            targets = self._split(batch)[1]
            if targets is not None:
                self._watch.look(targets)
            yield batch
