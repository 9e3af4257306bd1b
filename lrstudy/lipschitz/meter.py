"""The measuring instrument of one scheduler: which way to measure, on what, and what it cost."""

from __future__ import annotations

import time
import weakref
from collections.abc import Callable, Iterable, Sequence
from typing import Any

from torch import nn
from torch.utils.hooks import RemovableHandle

from lrstudy.errors import Problem, SchedulerError
from lrstudy.lipschitz.measure import Watch, largest_target_norm, run_pass, weight_norm
from lrstudy.lipschitz.rate import Measurement
from lrstudy.seeding import derive_seed

Batches = Iterable[Any] | Callable[[], Iterable[Any]]


class Meter:
    """Measures ``names`` (see ``batch_quantities``) on ``model`` once per epoch, as ``LipschitzLR`` says.

    ``seconds`` is what the latest measurement took. With ``way="hook"`` that is the reading alone; the
    hook's own work in every step is not timed, for timing it would synchronise (benchmark: a few per cent).
    """

    def __init__(
        self,
        model: nn.Module,
        head: nn.Module,
        names: Sequence[str],
        *,
        way: str,
        batches: Batches | None,
        fraction: float,
        seed: int,
        norms: str,
        batch_size: int | None,
        target_norm: float | None,
        needs_targets: bool,
    ) -> None:
        self.model, self.head, self.way, self.batches = model, head, way, batches
        self.fraction, self.seed, self.norms, self.batch_size = fraction, seed, norms, batch_size
        self.seconds = 0.0
        self.closed = False
        started = time.perf_counter()
        self.target_norm = 0.0
        if needs_targets:
            self.target_norm = self._find_target_norm() if target_norm is None else float(target_norm)
        self.opening_seconds = time.perf_counter() - started
        self.watch = Watch(names, next(head.parameters()), training_only=True)
        self._attach()

    def measure(self, epoch: int) -> Measurement:
        """The measurement for the coming epoch (from 0); the hook begins anew."""
        started = time.perf_counter() - self.opening_seconds
        self.opening_seconds = 0.0
        if self.way == "hook":
            found, rows = self.watch.read()
            self.watch.reset()
        else:
            found, rows = run_pass(
                self.model,
                self.head,
                self._open_batches(),
                self.watch.names,
                fraction=self.fraction if self.way == "subset" else None,
                seed=derive_seed(self.seed, "lipschitz-subset", epoch),
            )
        norm = float(weight_norm(self.model, self.norms))
        self.seconds = time.perf_counter() - started
        m = rows if self.batch_size is None or not rows else self.batch_size
        return Measurement(
            kz=found.get("kz", 0.0),
            rows=m,
            weight_norm=norm,
            squares=found.get("squares", 0.0),
            ka=found.get("ka", 0.0),
            target_norm=self.target_norm,
            spectral=found.get("spectral", 0.0),
        )

    def close(self) -> None:
        """Take the hook off the model. Nothing is measured after that."""
        self.closed = True
        self._handle.remove()

    def state_dict(self) -> dict[str, Any]:
        """What the hook has seen since the last measurement: plain numbers; synchronises."""
        found, rows = self.watch.read()
        return {**{name: found.get(name, 0.0) for name in self.watch.names}, "rows": rows}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Continue from what ``state_dict`` gave."""
        found = {name: state[name] for name in self.watch.names}
        self.watch.put(found, state["rows"], next(self.head.parameters()))

    def _open_batches(self) -> Iterable[Any]:
        assert self.batches is not None
        return self.batches() if callable(self.batches) else self.batches

    def _find_target_norm(self) -> float:
        found = None if self.batches is None else largest_target_norm(self._open_batches(), self.model)
        if found is None:
            raise SchedulerError(
                Problem(
                    "LipschitzLR",
                    "target_norm",
                    "is not known, and a squared loss's constant depends on it",
                    "Give batches= of (input, target) pairs, or target_norm=, their largest norm.",
                )
            )
        return found

    def _attach(self) -> None:
        hooks = self.head._forward_hooks  # noqa: SLF001 - torch lists a module's hooks nowhere else
        # A copied head brings the copied hook along.
        for key in [key for key, hook in hooks.items() if hook is self.watch]:
            del hooks[key]
        self.watch.awake = True
        # Only a hook in training needs to stay on the model: a pass brings its own.
        self._handle: RemovableHandle = self.head.register_forward_hook(self.watch)
        if self.way != "hook" or self.closed:
            self._handle.remove()
        # A scheduler that is dropped without close() leaves nothing on the model either.
        self._finalizer = weakref.finalize(self, self._handle.remove)
        self._finalizer.atexit = False

    def __getstate__(self) -> dict[str, Any]:
        return {key: value for key, value in self.__dict__.items() if key not in ("_handle", "_finalizer")}

    def __setstate__(self, state: dict[str, Any]) -> None:
        self.__dict__.update(state)
        self._attach()
