"""The measuring instrument of one scheduler, which knows its way, its model and its cost."""

from __future__ import annotations

import time
import weakref
from collections.abc import Callable
from dataclasses import replace
from typing import Any

from torch import Tensor, nn

from lrstudy.errors import SchedulerError
from lrstudy.lipschitz.constants import OF_ALL_LAYERS
from lrstudy.lipschitz.curvature_meter import CurvatureMeter
from lrstudy.lipschitz.labels import LabelledBatches, LabelWatch
from lrstudy.lipschitz.layer_watch import LayerHook, Watch
from lrstudy.lipschitz.linear_layers import outputs_of
from lrstudy.lipschitz.measure import run_pass, run_steps, split_batch
from lrstudy.lipschitz.meter_settings import MeterSettings
from lrstudy.lipschitz.norms import weight_norm
from lrstudy.lipschitz.ranks import Ranks
from lrstudy.lipschitz.rate import Measurement
from lrstudy.lipschitz.step_count import ROWS, step_quantities, together
from lrstudy.lipschitz.step_watch import StepWatch
from lrstudy.lipschitz.target_shapes import find_targets
from lrstudy.lipschitz.trace import HeadTrace
from lrstudy.lipschitz.unseen import problem_of_hook
from lrstudy.lipschitz.weak_calls import weakly
from lrstudy.rules.seeding import derive_seed


class Meter:
    """Measures on ``model`` once per epoch.

    ``head`` is None if the first training pass finds it; ``found`` is called with it then. ``seconds`` is the
    time of the latest measurement. With ``way="hook"`` that is the reading alone; the hook's work in every
    step is not timed, because timing it would synchronise (benchmark: a few per cent).
    """

    def __init__(
        self,
        model: nn.Module,
        head: nn.Module | None,
        settings: MeterSettings,
        ranks: Ranks | None = None,
        labels: LabelWatch | None = None,
    ) -> None:
        self.model, self.head, self.settings = model, head, settings
        self.ranks, self._labels = ranks, labels
        self.found: Callable[[nn.Module], None] | None = None
        self.seconds = 0.0
        self.closed = False
        started = time.perf_counter()
        self._targets = None
        if settings.needs_targets:
            batches = None if settings.batches is None else settings.open_batches()
            self._targets = find_targets(settings.target_norm, batches, settings.accumulate, model, ranks)
        self._curvature = CurvatureMeter(settings) if settings.bound in OF_ALL_LAYERS else None
        self.opening_seconds = time.perf_counter() - started
        self.watch: Watch = self._new_watch()
        self._hook: LayerHook | None = None  # copied with the model
        self._attach()

    @property
    def way(self) -> str:
        """hook, pass or subset."""
        return self.settings.way

    @property
    def steps(self) -> int:
        """The optimizer's steps since the last measurement; 0 if they are not counted."""
        return self.watch.steps if isinstance(self.watch, StepWatch) else 0

    def end_step(self, skipped: Tensor | None) -> None:
        """Count a step of the optimizer (see ``StepWatch.end_step``)."""
        if isinstance(self.watch, StepWatch) and not self.closed:
            self.watch.end_step(skipped)

    def measure(self, epoch: int, rate: float) -> Measurement:
        """Return the measurement for the coming epoch (from 0), and reset the hook; ``rate`` is in force."""
        started = time.perf_counter() - self.opening_seconds
        self.opening_seconds = 0.0
        problem = self._hook_problem()
        if problem is not None and self.ranks is None:
            raise problem
        parts: float = 1
        if self.way == "hook":
            if isinstance(self.watch, StepWatch):
                parts = self.watch.tally()[2]
            found, rows = self._read(self.watch, problem)
        else:
            found, rows = self._pass(epoch, problem)
            parts = self.settings.accumulate
        self.watch.reset()
        norm = float(weight_norm(self.model, self.settings.norms))
        if self.ranks is not None:
            norm, parts = (self.ranks.largest(value, self._like.device) for value in (norm, parts))
        measured = self._measurement(found, rows, norm, int(parts))
        if self._curvature is not None:
            measured = replace(measured, curvature=self._curvature.measure(self.model, epoch, rate))
        self.seconds = time.perf_counter() - started
        return measured

    def close(self) -> None:
        """Take the hooks off the model. Nothing is measured after that."""
        self.closed = True
        self._finalizer()

    def state_dict(self) -> dict[str, Any]:
        """Return what the hook has seen since the last measurement, as plain numbers; synchronises."""
        found, rows = self.watch.read()
        state = {**{name: found.get(name, 0.0) for name in self.watch.names}, "rows": rows}
        return state | (self.watch.state_dict() if isinstance(self.watch, StepWatch) else {})

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Continue from what ``state_dict`` returned."""
        if isinstance(self.watch, StepWatch):
            self.watch.forget_everything()
        self.watch.put({name: state[name] for name in self.watch.names}, state["rows"], self._like)
        if isinstance(self.watch, StepWatch):
            self.watch.load_state_dict(state)

    # -- inside -------------------------------------------------------------------------------------

    @property
    def _like(self) -> Tensor:
        return next((self.model if self.head is None else self.head).parameters())

    def _new_watch(self) -> Watch:
        if not self.settings.steps:
            return Watch(self.settings.names, self._like, training_only=True)
        # If a pass measures, the hook only counts how many passes make a step.
        hook = self.way == "hook"
        names = self.settings.names if hook else ()
        recorded = hook and self.ranks is not None
        return StepWatch(names, self._like, training_only=True, recorded=recorded)

    def _pass(self, epoch: int, problem: SchedulerError | None) -> tuple[dict[str, float], int]:
        assert self.head is not None
        s = self.settings
        fraction = s.fraction if self.way == "subset" else None
        seed = derive_seed(s.seed, "lipschitz-subset", epoch)
        batches = s.open_batches()
        if self._labels is not None:
            batches = LabelledBatches(batches, self._labels, split_batch)
        if self.ranks is None and s.accumulate == 1:
            found = run_pass(self.model, self.head, batches, s.names, fraction=fraction, seed=seed)
            self._raise(self._label_problem())
            return found
        watch = StepWatch(s.names, self._like, training_only=False, recorded=self.ranks is not None)
        run_steps(self.model, self.head, batches, watch, s.accumulate, fraction=fraction, seed=seed)
        return self._read(watch, problem or self._label_problem())

    def _read(self, watch: Watch, problem: SchedulerError | None) -> tuple[dict[str, float], int]:
        if self.ranks is None:
            self._raise(problem)
            return watch.read()
        assert isinstance(watch, StepWatch)
        sums = together(self.ranks.merge(problem, watch.recorded_sums()))
        if not len(sums):
            return {}, 0
        largest = step_quantities(watch.names, sums, None).amax(0).tolist()
        return dict(zip(watch.names, largest, strict=True)), round(float(sums[:, ROWS].max()))

    def _measurement(self, found: dict[str, float], rows: int, norm: float, parts: int) -> Measurement:
        target = rms_target = 0.0
        if self._targets is not None and self.head is not None:
            inverse = found.get("inverse_root_rows", 0.0)
            target, rms_target = self._targets.norms(outputs_of(self.head), inverse)
        named = self.settings.batch_size
        if named is not None:  # it is said to hold for every step
            found = {**found, "rms_kz": 0.0, "rms_ka": 0.0, "mean_spectral": 0.0}
            rows, rms_target = rows and named, 0.0
        return Measurement(
            kz=found.get("kz", 0.0),
            rows=rows,
            weight_norm=norm,
            squares=found.get("squares", 0.0),
            ka=found.get("ka", 0.0),
            target_norm=target,
            spectral=found.get("spectral", 0.0),
            rms_kz=found.get("rms_kz", 0.0),
            rms_ka=found.get("rms_ka", 0.0),
            rms_target=rms_target,
            mean_spectral=found.get("mean_spectral", 0.0),
            parts=max(parts, 1) if self.settings.summed else 1,
        )

    def _hook_problem(self) -> SchedulerError | None:
        if not isinstance(self.watch, StepWatch):
            return None
        hook = self.way == "hook"
        counted = not hook or (self._targets is not None and self._targets.counted)
        problem = problem_of_hook(
            self.watch,
            self.model,
            self._trace,
            needed=hook,
            accumulate=self.settings.accumulate if counted else None,
        )
        return problem or (self._label_problem() if hook else None)

    def _label_problem(self) -> SchedulerError | None:
        return None if self._labels is None else self._labels.problem()

    @staticmethod
    def _raise(problem: SchedulerError | None) -> None:
        if problem is not None:
            raise problem

    def _attach(self) -> None:
        self._trace: HeadTrace | None = None
        # All that is taken off at the end; the list grows when the head is found.
        self._handles: list[Any] = []
        if not self.closed:
            if self._labels is not None and self.way == "hook":
                self._handles.append(self._labels.attach())
            if self.head is None:
                self._handles.append(self._begin_trace())
            else:
                self._watch_head(self.head)
        # A scheduler that is dropped without close() leaves nothing on the model either.
        self._finalizer = weakref.finalize(self, _remove, self._handles)
        self._finalizer.atexit = False

    def _begin_trace(self) -> HeadTrace:
        self._trace = HeadTrace(self.model, weakly(self._decide), training_only=True)
        return self._trace

    def _decide(self, layer: nn.Module, args: tuple[Any, ...], outputs: Tensor) -> None:
        """Take a layer for the head, and the forward pass that found it for the first one measured."""
        if self.found is not None:
            self.found(layer)
        self.head, self._trace = layer, None
        self._watch_head(layer)
        self.watch(layer, args, outputs)

    def _watch_head(self, head: nn.Module) -> None:
        if self._hook is not None:
            self._hook.remove()  # a copied head brings the copied hook along
        handles: list[Any] = []
        if isinstance(self.watch, StepWatch):
            handles = [*self.watch.attach(head, list(self.model.parameters()))]
        elif self.way == "hook":
            # Only a hook in training needs to stay on the model: a pass brings its own.
            handles = [self.watch.hook_onto(head)]
        self._hook = next((handle for handle in handles if isinstance(handle, LayerHook)), None)
        self._handles += handles

    def __getstate__(self) -> dict[str, Any]:
        left_out = ("_handles", "_finalizer", "_trace", "found")
        return {key: value for key, value in self.__dict__.items() if key not in left_out}

    def __setstate__(self, state: dict[str, Any]) -> None:
        self.__dict__.update(state)
        self.found = None
        self._attach()


def _remove(handles: list[Any]) -> None:
    for handle in handles:
        handle.remove()
