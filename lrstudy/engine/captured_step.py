"""A step captured once as a CUDA graph, then replayed, and kept for the process's next trials.

A small network keeps a GPU waiting for Python: each layer is a few kernels of microseconds, launched one by
one. A CUDA graph launches all of them at once. It is a list of kernels with the addresses that they read and
write: no Python runs when it is replayed, and all inputs of the step must be at those addresses.

Random numbers need no such care: torch registers the default generator with every graph, so that a replay
draws from the generator's current state (it is seeded per trial) and advances it, as the calls would have.
"""

from __future__ import annotations

from collections.abc import Callable, Hashable, Sequence
from dataclasses import dataclass
from functools import cache
from typing import Any, Final

import torch
from torch import Tensor, nn

from lrstudy.compat.torch import count_as_stepped, has_hooks
from lrstudy.engine.captured_sgd import CapturedSGD, Constants, constants_of
from lrstudy.engine.gradient_clip import GradientClip
from lrstudy.engine.plain_step import PlainStep
from lrstudy.tasks.pipeline import Batch

# Repeats a captured computation on the current values of its input tensors.
Replay = Callable[[], None]
# Batches computed call by call before the capture: libraries set themselves up and choose their kernels.
_WARM_UP: Final = 3


@dataclass(frozen=True, slots=True)
class Capture:
    """A captured step and the tensors at its addresses; a later trial of the same kind can use them.

    ``results`` are the loss and the outputs, ``weights`` the model's parameters and buffers, ``grads`` the
    parameters' gradients (None: it has none). Without an ``update`` the graph ends with the gradients.
    """

    replay: Replay
    batch: tuple[Tensor, Tensor]
    results: tuple[Tensor, Tensor]
    weights: list[Tensor]
    grads: list[Tensor | None]
    update: CapturedSGD | None


@dataclass(frozen=True, slots=True)
class _Kind:
    """The task, batches and constants of the update; trials that are equal in these can share a capture."""

    task: Hashable
    batch: tuple[object, ...]
    constants: Constants | None


# The captures kept in this process between trials. A trial takes one out and puts it back at its end: no two
# trainings that are in progress at the same time can write to one capture's tensors.
_kept: dict[_Kind, Capture] = {}


class CapturedStep:
    """A trial's step, replayed from a capture: an earlier trial's, or one made at this trial's fourth batch.

    If the optimizer is a plain SGD and nothing is clipped, the whole step is captured, else all of it but the
    clipping and the optimizer's call. The batches before the capture are training steps as well, computed
    call by call (on a side stream, as a capture requires). So is a batch of another shape than the first,
    such as an epoch's last. If the capture fails, every later step is computed call by call, and ``note``
    says why. The model must do the same for every batch of one shape: decisions from a tensor's values, and
    counts in Python, stay as captured.
    """

    def __init__(
        self,
        plain: PlainStep,
        key: Hashable | None,
        capture: Callable[[Callable[[], None]], Replay] | None = None,
        warm_up: Callable[[Callable[[], None]], None] | None = None,
    ) -> None:
        self._plain, self._key = plain, key
        self._parameters = list(plain.model.parameters())
        self._record, self._warm_up = capture or capture_graph, warm_up or on_side_stream
        self._batch: tuple[object, ...] | None = None
        self._kind: _Kind | None = None
        self._constants: Constants | None = None
        self._warm = 0
        self._plain_only = False  # from now on
        self._capture: Capture | None = None
        self.note: str | None = None

    def __call__(self, inputs: Tensor, targets: Tensor) -> tuple[Tensor, Tensor]:
        """Take one step on a batch."""
        if self._batch is None:
            self._begin(inputs, targets)
        if self._plain_only or not self._fits(inputs, targets):
            return self._plain(inputs, targets)
        if self._capture is None:
            if self._warm < _WARM_UP:
                return self._warm_up_step(inputs, targets)
            self._capture = self._try_capture(inputs, targets)
        capture, optimizer = self._capture, self._plain.optimizer
        if capture is None or not (capture.update is None or capture.update.adopt(optimizer)):
            return self._plain(inputs, targets)
        return self._replay_on(capture, inputs, targets)

    def over(self, batches: Sequence[Batch]) -> list[tuple[Tensor, Tensor]]:
        """Take one step on the one batch; several are computed call by call."""
        return [self(*batches[0])] if len(batches) == 1 else self._plain.over(batches)

    @property
    def clip(self) -> GradientClip | None:
        """The clipping of the gradient, if it is clipped."""
        return self._plain.clip

    def state_dict(self) -> dict[str, Any]:
        """Return the state of the plain step."""
        return self._plain.state_dict()

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Continue from a saved state."""
        self._plain.load_state_dict(state)

    def close(self, *, keep: bool) -> None:
        """Keep the capture for a later trial; after a failure, drop all captures: memory may have run out.

        The next trial writes into this one's tensors: model and optimizer must not be used any more.
        """
        capture, self._capture, self._plain_only = self._capture, None, True
        if not keep:
            _kept.clear()
        elif capture is not None and self._kind is not None:
            for kind in [kind for kind in _kept if kind.task != self._kind.task]:
                del _kept[kind]  # another study's
            _kept[self._kind] = capture

    def _begin(self, inputs: Tensor, targets: Tensor) -> None:
        """Determine the kind of step from the first batch; reuse a kept capture. The schedule is set up."""
        self._batch = batch_format(inputs, targets)
        # What is done between gradient and update is done after the replay, and so is the update.
        if self._plain.clip is None and self._plain.before_update is None:
            self._constants = constants_of(self._plain.optimizer)
        if self._key is not None and not has_hooks(self._plain.model):
            # A hook would be captured with the model: in the next trial it would write to the tensors of the
            # previous schedule, and the next trial's own hook would not be called.
            self._kind = _Kind(self._key, self._batch, self._constants)
            self._capture = _kept.pop(self._kind, None)
        if self._capture is not None:
            self._move_in(self._capture)

    @torch.no_grad()
    def _move_in(self, capture: Capture) -> None:
        """Move the model's tensors to the capture's addresses; they keep their values."""
        for own, kept in zip(_weights(self._plain.model), capture.weights, strict=True):
            kept.copy_(own)
            own.data = kept

    def _fits(self, inputs: Tensor, targets: Tensor) -> bool:
        if batch_format(inputs, targets) != self._batch:
            return False
        if self._constants is None or constants_of(self._plain.optimizer) == self._constants:
            return True
        self.note = "a step is computed call by call if other options than rate and momentum have changed"
        return False

    def _warm_up_step(self, inputs: Tensor, targets: Tensor) -> tuple[Tensor, Tensor]:
        self._warm += 1
        results: list[Tensor] = []
        self._warm_up(lambda: results.extend(self._plain(inputs, targets)))
        return results[0].clone(), results[1].clone()

    def _try_capture(self, inputs: Tensor, targets: Tensor) -> Capture | None:
        """Capture the step, which computes nothing yet; return None if that fails."""
        plain = self._plain
        batch = inputs.clone(), targets.clone()
        update = None if self._constants is None else CapturedSGD(plain.optimizer)
        results: list[Tensor] = []

        def compute() -> None:
            results[:] = plain.gradient(*batch)
            if update is not None:
                update.run(plain.optimizer)

        try:
            replay = self._record(compute)
        except Exception as error:  # noqa: BLE001 - a model can fail here in any way
            first = (str(error).strip().splitlines() or [type(error).__name__])[0]
            self.note = f"the step could not be captured and is computed call by call: {first}"
            self._plain_only = True
            return None
        weights = [tensor.detach() for tensor in _weights(plain.model)]
        grads = [parameter.grad for parameter in self._parameters]
        return Capture(replay, batch, (results[0], results[1]), weights, grads, update)

    def _replay_on(self, capture: Capture, inputs: Tensor, targets: Tensor) -> tuple[Tensor, Tensor]:
        optimizer = self._plain.optimizer
        capture.batch[0].copy_(inputs)
        capture.batch[1].copy_(targets)
        if capture.update is not None:
            capture.update.refresh(optimizer)
            count_as_stepped(optimizer)
        capture.replay()
        for parameter, grad in zip(self._parameters, capture.grads, strict=True):
            parameter.grad = grad  # a plain step may have set other tensors
        loss, outputs = capture.results
        if capture.update is None:
            self._plain.update(loss)
        return loss.clone(), outputs.clone()


def batch_format(inputs: Tensor, targets: Tensor) -> tuple[object, ...]:
    """Return the shapes, dtypes and device that all batches of a capture share."""
    return inputs.shape, inputs.dtype, inputs.device, targets.shape, targets.dtype


def _weights(model: nn.Module) -> list[Tensor]:
    return [*model.parameters(), *model.buffers()]


def on_side_stream(compute: Callable[[], None]) -> None:
    """Compute on a side stream, as a capture's warm-up must."""
    stream: Callable[[], torch.cuda.Stream] = torch.cuda.Stream  # torch does not annotate it
    side = stream()
    side.wait_stream(torch.cuda.current_stream())
    with torch.cuda.stream(side):
        compute()
    torch.cuda.current_stream().wait_stream(side)


def capture_graph(compute: Callable[[], None]) -> Replay:
    """Capture what is computed as a CUDA graph, without computing it; return its replay."""
    graph = torch.cuda.CUDAGraph()
    torch.cuda.synchronize()
    with torch.cuda.graph(graph, pool=_memory()):
        compute()
    return graph.replay


# The memory pool that all captures of this process share: otherwise each kept one would hold a pool. No two
# of them run at the same time, and each replay writes all that it reads in the pool: weights, momentum
# buffers, rates and batches are outside.
_memory = cache(torch.cuda.graph_pool_handle)
