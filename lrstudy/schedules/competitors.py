"""The tuning-free competitors: optimizers from optional packages, in the place of the study's own.

Each takes over the parameter groups with their weight decay. Their ``lr`` is a factor on a step size that
they find themselves (Schedule-Free's is a rate), so that the groups' own rates and ratios do not apply.
"""

from __future__ import annotations

import contextlib
import dataclasses
import importlib
import io
import math
from collections.abc import Callable, Mapping
from itertools import islice
from typing import Any, Final

import torch
from torch import Tensor
from torch.optim import Adam, AdamW, Optimizer
from torch.optim.swa_utils import update_bn

from lrstudy.catalog.competitor_schedules import EXTRA
from lrstudy.compat.torch import BATCH_NORMS, make_optimizer
from lrstudy.errors import Problem, SchedulerError
from lrstudy.schedules.curve_builder import warmup_length
from lrstudy.schedules.curve_schedule import CurveSchedule
from lrstudy.schedules.curve_shapes import KINDS
from lrstudy.schedules.protocol import ScheduleContext

_BATCH_NORM_BATCHES: Final = 50  # as many as Schedule-Free's authors take


class Brought(CurveSchedule):
    """A schedule with its own optimizer, whose ``lr`` follows a curve."""

    def __init__(
        self,
        name: str,
        optimizer: Optimizer,
        context: ScheduleContext,
        *,
        anneal: str = "none",
        warmup: float = 0.0,
    ) -> None:
        curve = "cosine" if anneal == "cosine" else "fixed"
        params = {"lr": None, "warmup": warmup, "min_ratio": 0.0, "restarts": 0, "restart_factor": 1}
        super().__init__(name, KINDS[curve], params, dataclasses.replace(context, optimizer=optimizer))


class DistanceAdapted(Brought):
    """Prodigy or D-Adaptation: the optimizer keeps its estimate of the distance, d, in its groups."""

    @property
    def rate(self) -> float:
        """The step size in effect: d·lr."""
        group = self.optimizer.param_groups[0]
        return float(group["d"]) * float(group["lr"])


class ScheduleFree(Brought):
    """Schedule-Free: trains at y, between the iterate z and its average x, and is evaluated at x."""

    def __init__(self, optimizer: Optimizer, context: ScheduleContext) -> None:
        super().__init__("schedule-free", optimizer, context)
        self._model = context.model
        self._batches = context.batches

    @property
    def rate(self) -> float:
        """The rate in effect, warm-up included."""
        group = self.optimizer.param_groups[0]
        warmed: float = min(1.0, (group["k"] + 1) / max(1, group["warmup_steps"]))
        return float(group["lr"]) * warmed

    def before_training(self) -> None:
        """Put y in place."""
        self._switch("train")

    def before_evaluation(self) -> None:
        """Put x in place; batch-norm's statistics, gathered at y, are gathered again for it."""
        if not self.optimizer.param_groups[0]["train_mode"]:
            return
        self._switch("eval")
        if any(isinstance(module, BATCH_NORMS) for module in self._model.modules()):
            devices = sorted({p.device.index for p in self._model.parameters() if p.device.type == "cuda"})
            with torch.random.fork_rng(devices):  # dropout draws, in training mode
                update_bn(islice(self._batches(), _BATCH_NORM_BATCHES), self._model)

    def _switch(self, mode: str) -> None:
        getattr(self.optimizer, mode)()


class RootDecayed(Brought):
    """AdamG: a step size that falls like 1/√step where the group's ``lr`` is not lower."""

    @property
    def rate(self) -> float:
        """The step size of the next step."""
        group = self.optimizer.param_groups[0]
        return min(float(group["lr"]), 1.0 / math.sqrt(group.get("step", 0) + 1))


class Averaged(Brought):
    """DoG: trains at the iterate, and is evaluated at its polynomial-decay average."""

    def __init__(self, optimizer: Optimizer, averager: Any, context: ScheduleContext) -> None:
        super().__init__("dog", optimizer, context)
        self._model = context.model
        self._averager = averager
        self._iterate: dict[str, Tensor] | None = None  # kept while the average is in its place

    @property
    def rate(self) -> float:
        """The step size η of the last step (layer-wise: of the first tensor); reading it synchronises."""
        etas = self.optimizer.param_groups[0].get("eta")
        return float("nan") if etas is None else float(etas[0])

    def after_step(self) -> None:
        """Take the new iterate into the average."""
        super().after_step()
        if self._averager is not None:
            self._averager.step()

    def before_training(self) -> None:
        """Put the iterate in place."""
        if self._iterate is not None:
            self._model.load_state_dict(self._iterate)
            self._iterate = None

    def before_evaluation(self) -> None:
        """Put the average in place."""
        if self._averager is not None and self._iterate is None:
            self._iterate = _copied(self._model.state_dict())
            self._model.load_state_dict(self._averager.averaged_model.state_dict())

    def state_dict(self) -> dict[str, Any]:
        """Plain data and tensors: the curve's position, the average and the iterate it hides."""
        state = super().state_dict()
        if self._averager is not None:
            saved = self._averager.state_dict()
            state["averager"] = {"t": saved["t"], "av_model": _copied(saved["av_model"])}
        state["iterate"] = None if self._iterate is None else _copied(self._iterate)
        return state

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        """Continue from the saved state."""
        super().load_state_dict(state)
        for group in self.optimizer.param_groups:
            # The package leaves these on the CPU when it loads, and then adds the device's norms to them.
            for key in {"rbar", "G"} & group.keys():
                group[key] = group[key].to(group["params"][0].device)
        if self._averager is not None:
            self._averager.load_state_dict(state["averager"])
        self._iterate = None if state["iterate"] is None else _copied(state["iterate"])


def _prodigy(params: Mapping[str, Any], context: ScheduleContext) -> Brought:
    package = _package("prodigy", "prodigyopt")
    options = {name: params[name] for name in ("d_coef", "d0", "use_bias_correction", "safeguard_warmup")}
    options |= {"growth_rate": _growth(params), "betas": _betas(context.optimizer)}
    optimizer = _silently(
        package.Prodigy, _groups(context.optimizer), decouple=_is_decoupled(context.optimizer), **options
    )
    return DistanceAdapted("prodigy", optimizer, context, anneal=params["anneal"], warmup=params["warmup"])


def _d_adaptation(params: Mapping[str, Any], context: ScheduleContext) -> Brought:
    package = _package("d-adaptation", "dadaptation")
    options = {"lr": params["lr"], "d0": params["d0"], "growth_rate": _growth(params)}
    groups = _groups(context.optimizer)
    if (params["base"] or _kin(context.optimizer, "adam")) == "sgd":
        momentum = context.optimizer.defaults.get("momentum", 0.0)
        optimizer = _silently(package.DAdaptSGD, groups, momentum=momentum, **options)
    else:
        betas, decouple = _betas(context.optimizer), _is_decoupled(context.optimizer)
        optimizer = _silently(package.DAdaptAdam, groups, betas=betas, decouple=decouple, **options)
    return DistanceAdapted(
        "d-adaptation", optimizer, context, anneal=params["anneal"], warmup=params["warmup"]
    )


def _schedule_free(params: Mapping[str, Any], context: ScheduleContext) -> Brought:
    package = _package("schedule-free", "schedulefree")
    base = params["base"] or _kin(context.optimizer, "adamw")
    # The method weighs its average by the warm-up's rates, so it has to know of the warm-up.
    options: dict[str, Any] = {"warmup_steps": warmup_length(params["warmup"], context.total_steps)}
    if params["lr"] is not None:
        options["lr"] = params["lr"]
    groups = _groups(context.optimizer)
    if base == "sgd":
        optimizer = make_optimizer(package.SGDScheduleFree, groups, momentum=params["beta"], **options)
    else:
        betas = (params["beta"], _betas(context.optimizer)[1])
        optimizer = make_optimizer(package.AdamWScheduleFree, groups, betas=betas, **options)
    return ScheduleFree(optimizer, context)


def _dog(params: Mapping[str, Any], context: ScheduleContext) -> Brought:
    package = _package("dog", "dog", "dog-optimizer")
    reps_rel = params["reps_rel"]
    if reps_rel is None:  # what its authors advise
        normalised = any(isinstance(module, BATCH_NORMS) for module in context.model.modules())
        reps_rel = 1e-4 if normalised else 1e-6
    factory = package.LDoG if params["layerwise"] else package.DoG
    optimizer: Optimizer = make_optimizer(factory, _groups(context.optimizer), reps_rel=reps_rel)
    averager = package.PolynomialDecayAverager(context.model) if params["average"] else None
    return Averaged(optimizer, averager, context)


def _adamg(params: Mapping[str, Any], context: ScheduleContext) -> Brought:
    package = _package("adamg", "pytorch_optimizer", "pytorch-optimizer")
    options = {name: params[name] for name in ("lr", "p", "q")}
    decouple = _is_decoupled(context.optimizer)
    # The betas are the method's, not those of the study's optimizer: its authors chose p and q for them.
    optimizer = make_optimizer(package.AdamG, _groups(context.optimizer), weight_decouple=decouple, **options)
    return RootDecayed("adamg", optimizer, context, anneal=params["anneal"], warmup=params["warmup"])


COMPETITORS: Final[Mapping[str, Callable[[Mapping[str, Any], ScheduleContext], Brought]]] = {
    "prodigy": _prodigy,
    "d-adaptation": _d_adaptation,
    "schedule-free": _schedule_free,
    "dog": _dog,
    "adamg": _adamg,
}


def _package(kind: str, module: str, distribution: str | None = None) -> Any:
    try:
        return importlib.import_module(module)
    except ImportError as error:
        message = f"needs the package {distribution or module}, which is not installed"
        remedy = f"pip install 'lrstudy[{EXTRA}]'"
        raise SchedulerError(Problem("schedule", "kind", message, remedy, kind)) from error


def _silently(factory: Callable[..., Optimizer], groups: list[dict[str, Any]], **options: Any) -> Optimizer:
    with contextlib.redirect_stdout(io.StringIO()):  # two of the packages print what they were told
        return make_optimizer(factory, groups, **options)


def _groups(optimizer: Optimizer) -> list[dict[str, Any]]:
    return [
        {"params": group["params"], "weight_decay": group.get("weight_decay", 0.0)}
        for group in optimizer.param_groups
    ]


def _is_adam(optimizer: Optimizer) -> bool:
    return isinstance(optimizer, Adam | AdamW)


def _kin(optimizer: Optimizer, adam: str) -> str:
    return adam if _is_adam(optimizer) else "sgd"


def _is_decoupled(optimizer: Optimizer) -> bool:
    return bool(isinstance(optimizer, AdamW) or optimizer.defaults.get("decoupled_weight_decay", False))


def _betas(optimizer: Optimizer) -> tuple[float, float]:
    beta1, beta2 = optimizer.defaults.get("betas", (0.9, 0.999))
    return float(beta1), float(beta2)


def _growth(params: Mapping[str, Any]) -> float:
    growth = params["growth_rate"]
    return float("inf") if growth is None else float(growth)


def _copied(state: Mapping[str, Tensor]) -> dict[str, Tensor]:
    return {name: tensor.detach().clone() for name, tensor in state.items()}
