"""Measurements that say why a training explodes: gradients by layer, and the distance to the stability limit.

They are made before the steps up to an evaluation, on one batch that is the same for the whole trial, and
disturb nothing: the weights, the buffers (batch-norm's statistics), the modes and all random states are as
before. A trial with them has the bits of one without.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor, nn
from torch.optim import Optimizer

from lrstudy.engine.stability_limit import limit_times_curvature
from lrstudy.errors import InputError, Problem, StudyFileError
from lrstudy.lipschitz.curvature import ITERATIONS, gradient_of, largest_eigenvalue, leaves_of, undisturbed
from lrstudy.lipschitz.head import find_head
from lrstudy.lipschitz.head_candidates import unwrapped
from lrstudy.rules.diagnostics import CURVATURE, GRADIENT_RATIO, LARGEST_LAYER, RATE_OVER_LIMIT
from lrstudy.rules.seeding import derive_seed
from lrstudy.rules.surroundings import random_states_kept
from lrstudy.rules.user_modules import cause_of
from lrstudy.tasks import TaskData, TrainingParts, assemble
from lrstudy.tasks.model_outputs import logits_of
from lrstudy.tasks.pipeline import Batch

if TYPE_CHECKING:
    from lrstudy.spec import TaskSpec

Measured = dict[str, float | None]


class Diagnosis:
    """The measurements that a task asks for (``task.diagnose``), of one trial.

    ``seconds`` is the time of the last ``measure``.
    """

    def __init__(
        self, parts: TrainingParts, seed: int, clock: Callable[[], float], iterations: int = ITERATIONS
    ) -> None:
        self._parts, self._seed, self._clock = parts, derive_seed(seed, "diagnosis"), clock
        self._wanted, self._iterations = parts.task.diagnose, iterations
        self._batch: Batch | None = None
        self._head: nn.Module | None = None
        self._limit: float | None = None
        self._measured: Measured = {}
        self.seconds = 0.0

    def measure(self, optimizer: Optimizer) -> None:
        """Measure at the weights of now, which ``optimizer`` will move."""
        started = self._clock()
        self._measured = {}
        with random_states_kept(self._seed):
            batch = self._batch = self._first_batch() if self._batch is None else self._batch
            if "gradients" in self._wanted:
                self._measured |= self._gradients(batch)
            if "stability" in self._wanted:
                self._limit = limit_times_curvature(optimizer)
                found = largest_eigenvalue(
                    self._parts.model, self._loss, batch, self._iterations, seed=self._seed
                )
                self._measured[CURVATURE] = float(found) if bool(torch.isfinite(found)) else None
        self.seconds = self._clock() - started

    def after_steps(self, rate: float) -> Measured:
        """Return what was measured, with the mean ``rate`` of the steps since compared to the limit then."""
        curvature = self._measured.get(CURVATURE)
        if "stability" not in self._wanted:
            return self._measured
        known = None not in (curvature, self._limit) and math.isfinite(rate)
        ratio = rate * max(curvature or 0.0, 0.0) / (self._limit or 1.0) if known else None
        return self._measured | {RATE_OVER_LIMIT: ratio}

    def _first_batch(self) -> Batch:
        """Return the fixed batch: shuffled and augmented as those trained on; of a stream the first rows."""
        pipeline, task = self._parts.pipeline, self._parts.task
        if task.streamed:
            return next(iter(pipeline.batches("train", task.batch_size)))
        generator = torch.Generator(self._parts.device).manual_seed(self._seed)
        return next(pipeline.train_batches(generator))

    def _loss(self, model: Callable[..., Any], batch: Batch) -> Tensor:
        inputs, targets = batch
        loss: Tensor = self._parts.loss(logits_of(model(inputs.clone())), targets.clone())
        return loss

    def _gradients(self, batch: Batch) -> Measured:
        with undisturbed(self._parts.model, self._seed, training=True) as model:
            if self._head is None:
                self._head = find_head(model.eval(), inputs=batch[0].clone())
                model.train()
            weights = layer_weights(model)
            leaves = {name: leaf for name, leaf in leaves_of(model).items() if leaf.ndim > 1}
            found = gradient_of(model, self._loss, batch, leaves)
        sizes = [float(torch.linalg.vector_norm(part)) for part in found]
        norms = dict(zip(weights, sizes, strict=True))
        last = [name for name, weight in weights.items() if weight is self._head.weight]
        earlier = [norm for name, norm in norms.items() if name not in last]
        if not last or not all(map(math.isfinite, norms.values())) or not any(norms.values()):
            return {GRADIENT_RATIO: None, LARGEST_LAYER: None}
        largest = max(earlier, default=0.0)
        number = 1 + max(range(len(norms)), key=list(norms.values()).__getitem__)
        return {GRADIENT_RATIO: norms[last[0]] / largest if largest else None, LARGEST_LAYER: float(number)}


def layer_weights(model: nn.Module) -> dict[str, nn.Parameter]:
    """Return the weights of all layers by name, in the model's order: trained tensors of several dimensions.

    Biases and the scales of normalisation layers are vectors, and no layers by themselves.
    """
    return {
        name.removesuffix(".weight"): parameter
        for name, parameter in unwrapped(model).named_parameters()
        if parameter.requires_grad and parameter.ndim > 1
    }


def layer_names(task: TaskSpec, data: TaskData) -> list[str]:
    """Return the names of the layers of a task's model, as ``largest_gradient_layer`` counts them."""
    with random_states_kept():
        return list(layer_weights(assemble(task, data, torch.device("cpu")).model))


def check_diagnosis(task: TaskSpec, data: TaskData) -> None:
    """Measure once on the CPU; raises ``StudyFileError`` for a model or a loss that cannot be measured."""
    with random_states_kept():
        for kind in task.diagnose:
            parts = assemble(task.model_copy(update={"diagnose": (kind,)}), data, torch.device("cpu"))
            try:
                Diagnosis(parts, 0, lambda: 0.0, iterations=1).measure(parts.optimizer)
            except Exception as error:
                why = str(error) if isinstance(error, InputError) else cause_of(error)
                message, remedy = f"cannot be measured: {why}", f'Leave "{kind}" out.'
                raise StudyFileError(Problem("task", "diagnose", message, remedy, kind)) from error
